"""A department is told what is wrong with its rows, once per verdict, however often we are killed."""

from __future__ import annotations

import json

import pytest
import yaml

from crossdock import notices, pipeline
from crossdock.language.phrases import in_chinese
from crossdock.storage.notices import notice_by_id
from crossdock.storage.records import verdicts
from hamlet import PERMITS, found
from hooks import hook
from killing import KILLED, code, start

DATASET = "town_hall/permits"


@pytest.fixture
def server():
    with hook() as made:
        yield made


@pytest.fixture
def hamlet(tmp_path, server):
    made = found(tmp_path)
    path = made.home / "contracts" / "town_hall" / "department.yaml"
    path.write_text(path.read_text("utf-8") + "findings: town_hook\n", "utf-8")
    made.add_connection("town_hook", {"conn_type": "http", "host": server.url})
    return made


def judged(exchange):
    return pipeline.validate(exchange, pipeline.pull(exchange, DATASET).id)


def test_a_department_is_told_of_each_failing_row(hamlet, server):
    exchange = hamlet.open()
    verdict = judged(exchange)
    sent = notices.notify(exchange, verdict.id)
    assert sent == notice_by_id(exchange.state, verdict.id)
    ((headers, body),) = server.taken
    exchange.keys.public().verify(bytes.fromhex(headers["crossdock-signature"]), body)
    told = json.loads(body)
    assert headers["idempotency-key"] == told["verdict"] == verdict.id
    assert (told["dataset"], told["outcome"], told["rows"], told["quarantined"]) == (DATASET, "partial", PERMITS, 2)
    assert [(row["arrival"], row["permit_no"], row["rule"]) for row in told["failing"]] == [
        (3, "P0003", "fee.type"), (4, "P0004", "fee.between"),
    ]  # fmt: skip
    for each in (*told["failing"], *told["findings"]):
        assert each["reason_zh"] == in_chinese(each["reason"]) != each["reason"]
    assert "a lot" not in body.decode()  # what a row holds beside its key stays here
    assert told["not_named"] == 0


def test_a_verdict_is_told_once(hamlet, server):
    exchange = hamlet.open()
    verdict = judged(exchange)
    assert notices.notify(exchange, verdict.id) == notices.notify(exchange, verdict.id)
    assert len(server.taken) == 1


def test_long_lists_end_with_how_many_more(hamlet, server, monkeypatch):
    monkeypatch.setattr(notices, "MOST", 1)
    exchange = hamlet.open()
    notices.notify(exchange, judged(exchange).id)
    told = json.loads(server.taken[0][1])
    assert (len(told["failing"]), told["not_named"]) == (1, 1)


def test_a_pass_tells_and_goes_on_where_nobody_listens(hamlet, server):
    server.answers += [(400, {})]
    done = hamlet.sweep()
    (failed,) = done.failures
    assert failed.verb == "notify"
    assert {v.outcome for v in done.verdicts} == {"accepted", "partial"}
    assert len(done.outcomes) == 6  # everybody was served
    again = hamlet.sweep()
    assert not again.failures
    assert {json.loads(body)["dataset"] for _, body in server.taken} == {DATASET, "town_hall/residents"}
    assert len(server.taken) == 2
    assert len(hamlet.sweep().failures) == 0
    assert len(server.taken) == 2


def test_killed_after_sending_the_same_notice_is_sent_again(hamlet, server):
    assert code(start(hamlet.home, fault="notice.sent")) == KILLED
    assert code(start(hamlet.home)) == 1
    assert len(verdicts(hamlet.open().state, dataset=DATASET)) == 1
    names = [headers["idempotency-key"] for headers, _ in server.taken]
    bodies = {headers["idempotency-key"]: set() for headers, _ in server.taken}
    for headers, body in server.taken:
        bodies[headers["idempotency-key"]].add(body)
    assert (len(names), len(set(names))) == (3, 2)
    assert {len(each) for each in bodies.values()} == {1}


def test_who_does_not_ask_is_not_told(tmp_path, server):
    hamlet = found(tmp_path / "other")
    exchange = hamlet.open()
    assert notices.notify(exchange, judged(exchange).id) is None
    assert server.asked == 0


def test_a_misspelled_key_of_a_department_is_named(hamlet):
    path = hamlet.home / "contracts" / "town_hall" / "department.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text("utf-8")) | {"finding": "x"}), "utf-8")
    assert any("Did you mean 'findings'?" in str(p) for p in hamlet.open().catalogue.problems)
