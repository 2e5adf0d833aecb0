"""Killed at any step and run again, the exchange ends where an undisturbed run ends: nothing lost, nothing twice."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest
import yaml

from crossdock import pipeline, recalls
from crossdock.ledger.counts import count
from crossdock.storage.recalls import recalls as on_record
from crossdock.storage.records import deliveries, refusals
from hamlet import Hamlet, agreement, entries, found, open_rows, permits, school_files, tax_rows, write_yaml
from killing import KILLED, code, start, steps
from provinces import run

STEPS = steps()
CHANNELS = ("bucket", "sftp", "webhook")  # that the hamlet has not; test_every_channel
ON_OTHER_CHANNELS = {step for step in STEPS if step.startswith(tuple(f"delivery.{channel}." for channel in CHANNELS))}
ALTERED = {"delivery.database.altered"}  # see the test whose agreement changes
TOLD = {step for step in STEPS if step.startswith("notice.")}  # tests/test_notices.py
RECALL = {step for step in STEPS if step.startswith(("recall.", "withdrawal."))}  # see the tests of recalls
REJECTED = {"handover.rejected"}  # see test_rejections
USAGE = {step for step in STEPS if step.startswith("usage.")}  # tests/usage/test_ingest.py
TIDIED = {"compaction.written", "compaction.deleted", "filters.written"}  # by the audit
RETIRED = {"retired.deleted", "retention.deleted"}  # tests/ledger/test_retired.py, tests/test_retention.py
ELSEWHERE = ON_OTHER_CHANNELS | ALTERED | TOLD | RECALL | REJECTED | USAGE | TIDIED | RETIRED
FINDINGS = 1  # exit code: the hamlet has faulty rows and a refusal


def outcome(hamlet: Hamlet):
    """All that must be the same, whatever happened on the way."""
    exchange = hamlet.open()
    audit = pipeline.check(exchange)
    assert audit.sound, audit
    assert {d.status for d in deliveries(exchange.state)} == {"delivered"}
    return {
        "residents at tax": tax_rows(hamlet, "residents"),
        "permits at tax": tax_rows(hamlet, "permits"),
        "marks at tax": sorted((row[0], row[1], row[6], row[7]) for row in tax_rows(hamlet, "crossdock_delivery")),
        "files at school": school_files(hamlet),
        "open streets": open_rows(exchange, "town_hall/streets"),
        "open objects": sorted(exchange.store.list("open/")),
        "counts": count(exchange.state, exchange.store, by=("dataset", "consumer"), recount=True).groups,
        "ledger": sorted(entries(exchange), key=lambda entry: entry["agreement"]),
        "refusals": [r.agreement for r in refusals(exchange.state)],
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A hamlet after one pass; the others share its keys, so that the same deliveries have the same names."""
    hamlet = found(tmp_path_factory.mktemp("undisturbed"))
    assert not hamlet.sweep().failures
    return hamlet


@pytest.fixture(scope="module")
def expected(undisturbed):
    return outcome(undisturbed)


@pytest.fixture
def hamlet(undisturbed, tmp_path):
    made = found(tmp_path)
    shutil.copytree(undisturbed.home / "var" / "keys", tmp_path / "var" / "keys")
    return made


def assert_nothing_left_behind(hamlet):
    assert not list((hamlet.home / "var" / "scratch").iterdir())
    assert not [f for f in hamlet.school.rglob("*") if f.parent.name == ".incoming" and f.name != "lock"]


@pytest.mark.parametrize("step", sorted(STEPS.keys() - ELSEWHERE))
def test_killed_and_run_again(hamlet, expected, step):
    assert code(start(hamlet.home, fault=step)) == KILLED
    assert not hamlet.sweep().failures
    assert outcome(hamlet) == expected
    assert_nothing_left_behind(hamlet)


def test_killed_at_one_step_after_another(hamlet, expected):
    for step in sorted(STEPS.keys() - ELSEWHERE):
        assert code(start(hamlet.home, fault=step)) in (KILLED, FINDINGS)  # a step may be behind us for good
    assert not hamlet.sweep().failures
    assert outcome(hamlet) == expected


@pytest.mark.parametrize("step", sorted(TIDIED))
def test_an_audit_that_is_killed_loses_nothing(hamlet, expected, step):
    hamlet.sweep()
    ended = [code(start(hamlet.home, fault=step, arguments=("ledger", "sign"))) for _ in range(3)]
    assert KILLED in ended
    assert code(start(hamlet.home, arguments=("ledger", "sign"))) == 0
    assert outcome(hamlet) == expected


def test_the_command_itself_dies_and_recovers(hamlet, expected):
    killed = run(hamlet.home, "-m", "crossdock", "run", CROSSDOCK_FAULT="handover.sent")
    assert (killed.code, killed.stdout) == (KILLED, "")
    again = run(hamlet.home, "-m", "crossdock", "run", "--json")
    assert again.code == FINDINGS
    assert json.loads(again.stdout)["failures"] == []
    assert outcome(hamlet) == expected


@pytest.mark.parametrize("step", sorted(ALTERED | {"delivery.database.committed", "handover.sent"}))
def test_killed_after_the_agreement_changed(hamlet, step):
    assert not hamlet.sweep().failures
    before = tax_rows(hamlet, "permits")
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["columns"] = ["permit_no", "remark"]
    write_yaml(file, document | {"version": "2.0.0"})
    assert code(start(hamlet.home, fault=step, arguments=("run", "town_hall/permits"))) == KILLED
    assert not hamlet.sweep().failures
    numbers = [row[0] for row in before]
    assert tax_rows(hamlet, "permits") == [(number, f"remark {int(number[1:])}") for number in numbers]
    exchange = hamlet.open()
    assert pipeline.check(exchange).sound
    made = [d for d in deliveries(exchange.state) if d.agreement == "town_hall/permits/tax"]
    assert [(d.status, d.counts["inserted"] + d.counts["updated"]) for d in made] == [("delivered", 88)] * 2


SENT = ["handover.sent", "delivery.database.committed", "delivery.folder.shown"]


@pytest.mark.parametrize("step", SENT)
def test_a_delivery_that_arrived_is_booked_though_the_source_changed_before_the_rerun(hamlet, step):
    assert code(start(hamlet.home, fault=step)) == KILLED
    begun = {d.id for d in deliveries(hamlet.open().state)}
    hamlet.write_permits([*permits(P0010=[], P0020=["P0020", "R0020", "99.99", ""]), ["P9999", "R0001", "1.00", ""]])
    hamlet.sql(
        "UPDATE residents SET phone = '99999999', changed_at = '2026-06-01T00:00:00' WHERE resident_no = 'R0020'"
    )
    for _ in range(2):  # what else was under way and has not arrived is given up when a newer one is booked
        assert not hamlet.sweep().failures
    exchange = hamlet.open()
    assert pipeline.check(exchange).sound
    permits_now = {row[0]: row for row in tax_rows(hamlet, "permits")}
    assert permits_now.keys() == {f"P{n:04}" for n in range(90)} - {"P0003", "P0004", "P0010"} | {"P9999"}
    assert permits_now["P0020"][2] == "99.99"
    assert [row[2] for row in tax_rows(hamlet, "residents") if row[0] == "R0020"] == ["99****99"]
    made = [d for d in deliveries(exchange.state) if d.status != "superseded"]
    assert {d.status for d in made} == {"delivered"}
    arrived = [d for d in made if d.id in begun]
    assert arrived
    for first in arrived:  # and what changed since
        more = 1 if first.dataset == "town_hall/streets" else 2
        assert len([d for d in made if d.agreement == first.agreement]) == more
    with sqlite3.connect(hamlet.tax) as database:
        marked = {row[0] for row in database.execute("SELECT delivery_id FROM crossdock_delivery")}
    database.close()
    assert marked == {d.id for d in made if d.consumer == "tax"}


@pytest.mark.parametrize(
    "ended", [{"status": "suspended"}, {"endTimestamp": "2026-02-01T00:00:00+08:00"}], ids=["suspended", "expired"]
)
@pytest.mark.parametrize(("step", "consumer"), [*zip(SENT, ("school", "tax", "school"), strict=True)])
def test_a_delivery_that_arrived_is_booked_though_its_agreement_ended_before_the_rerun(hamlet, step, consumer, ended):
    assert code(start(hamlet.home, fault=step, arguments=("run", "town_hall/permits"))) == KILLED
    file = hamlet.agreement("permits", consumer)
    write_yaml(file, yaml.safe_load(file.read_text()) | ended)
    exchange = hamlet.open()
    assert pipeline.push(exchange, f"town_hall/permits/{consumer}").status == "refused"
    booked = count(exchange.state, exchange.store, by=("consumer",), recount=True).groups
    assert {"consumer": consumer, "shares": 88, "deliveries": 1, "interfaces": 1} in booked
    assert pipeline.check(exchange).sound


def test_a_publication_is_not_booked_by_the_version_of_an_older_agreement(hamlet):
    assert not hamlet.sweep().failures
    file = hamlet.agreement("streets", "public")
    narrowed = agreement("streets", "public", ["code"], licence="CC0-1.0") | {"version": "2.0.0"}
    write_yaml(file, narrowed)
    assert code(start(hamlet.home, fault="publish.data")) == KILLED
    hamlet.sweep()
    assert {tuple(row) for row in open_rows(hamlet.open(), "town_hall/streets")} == {("code",)}


RECALLING = sorted(
    step
    for step in STEPS.keys() - ON_OTHER_CHANNELS - ALTERED - REJECTED - {"handover.intended"}
    if step.partition(".")[0] in ("recall", "handover", "delivery")
)


@pytest.mark.parametrize("step", RECALLING)
def test_a_recall_that_was_killed_is_done_once(hamlet, step):
    assert not hamlet.sweep().failures
    consumer = "school" if ".folder." in step else "tax"
    exchange = hamlet.open()
    (made,) = (d.id for d in deliveries(exchange.state) if d.agreement == f"town_hall/permits/{consumer}")
    again = ("deliveries", "recall", made, "--reason", "Sent by mistake.", "--by", "steward")
    assert code(start(hamlet.home, fault=step, arguments=again)) == KILLED
    outcome = recalls.recall(exchange, made, reason="Another reason.", by="another")
    assert outcome.delivery
    hamlet.sweep()
    assert pipeline.check(exchange).sound
    (recalled,) = (d for d in deliveries(exchange.state) if d.mode == "recall")
    assert (recalled.id, recalled.status, recalled.counts["deleted"]) == (outcome.delivery, "delivered", 88)
    assert [(r.id, r.reason, r.recalled_by) for r in on_record(exchange.state)] == [
        (recalled.id, "Sent by mistake.", "steward")
    ]
    if consumer == "tax":
        assert tax_rows(hamlet, "permits") == []
    assert_nothing_left_behind(hamlet)


@pytest.mark.parametrize("step", [step for step in RECALLING if ".folder." not in step])
def test_a_recall_from_a_place_that_was_left_is_done_once_too(hamlet, step):
    assert not hamlet.sweep().failures
    move_table(hamlet)
    hamlet.sweep()
    exchange = hamlet.open()
    made = {d.id: d for d in deliveries(exchange.state) if d.agreement == "town_hall/permits/tax"}
    first = min(made, key=lambda each: made[each].intended_at)
    again = ("deliveries", "recall", first, "--reason", "Sent by mistake.", "--by", "steward")
    assert code(start(hamlet.home, fault=step, arguments=again)) == KILLED
    assert not hamlet.sweep().failures  # what goes to the new place is neither hindered nor repeated
    outcome = recalls.recall(hamlet.open(), first, reason="Another reason.", by="another")
    assert pipeline.check(exchange).sound
    (recalled,) = (d for d in deliveries(exchange.state) if d.mode == "recall")
    assert (recalled.id, recalled.status, recalled.counts["deleted"]) == (outcome.delivery, "delivered", 88)
    assert (tax_rows(hamlet, "permits"), len(tax_rows(hamlet, "elsewhere"))) == ([], 88)
    assert {d.id for d in deliveries(exchange.state) if d.agreement == "town_hall/permits/tax"} == {*made, recalled.id}


def move_table(hamlet):
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["delivery"]["table"] = "elsewhere"
    write_yaml(file, document)


@pytest.mark.parametrize("reachable", [True, False])
def test_a_delivery_that_arrived_where_the_agreement_delivers_no_more_is_booked_and_hinders_nothing(hamlet, reachable):
    assert code(start(hamlet.home, fault="handover.sent", arguments=("run", "town_hall/permits"))) == KILLED
    (killed,) = deliveries(hamlet.open().state)
    assert killed.status == "intended"
    hamlet.add_connection("new_database", {"conn_type": "sqlite", "host": str(hamlet.home / "new.db")})
    file = hamlet.agreement("permits", killed.consumer)
    document = yaml.safe_load(file.read_text())
    delivery = document["customProperties"][0]["value"]["delivery"]
    left = delivery["connection"]
    delivery.update({"channel": "database", "connection": "new_database", "table": "permits"})
    for name in ("path", "format"):
        delivery.pop(name, None)
    write_yaml(file, document)
    known = json.loads((hamlet.home / "var" / "connections.json").read_text())[left]
    if not reachable:
        hamlet.add_connection(left, known | {"conn_type": "none"})
    assert not hamlet.sweep().failures
    hamlet.add_connection(left, known)
    assert not hamlet.sweep().failures
    made = [d for d in deliveries(hamlet.open().state) if d.agreement == killed.agreement]
    assert [d.status for d in made] == ["delivered"] * len(made)
    assert {killed.id} < {d.id for d in made}
    assert pipeline.check(hamlet.open()).sound


WITHDRAWING = sorted(
    step
    for step in STEPS.keys() - REJECTED - {"handover.intended"}
    if step.partition(".")[0] in ("recall", "handover", "withdrawal")
)


@pytest.mark.parametrize("again", ["recalled", "swept"])
@pytest.mark.parametrize("step", WITHDRAWING)
def test_a_withdrawal_that_was_killed_is_done_once(hamlet, step, again):
    assert not hamlet.sweep().failures
    exchange = hamlet.open()
    (made,) = (d for d in deliveries(exchange.state) if d.channel == "open")
    arguments = ("deliveries", "recall", made.id, "--reason", "A mistake.", "--by", "steward")
    assert code(start(hamlet.home, fault=step, arguments=arguments)) == KILLED
    if again == "recalled":
        recalls.recall(exchange, made.id, reason="Another reason.", by="another")
    assert not hamlet.sweep().failures
    assert pipeline.check(exchange).sound
    back = [d for d in deliveries(exchange.state) if d.mode == "recall"]
    pointer = json.loads(exchange.store.read(f"open/{made.dataset}/latest.json"))
    told = list(exchange.store.list(f"open/{made.dataset}/recalled/"))
    if again == "swept" and not told:  # it has not begun to leave
        assert ([d.status for d in back], pointer["version"]) == (["intended"], made.receipt["version"])
        return
    assert [(d.status, d.counts["deleted"]) for d in back] == [("delivered", 9)]
    assert (pointer["version"], pointer["withdrawn"], pointer["reason"]) == ("", made.receipt["version"], "A mistake.")
    assert json.loads(exchange.store.read("open/catalogue.json"))["datasets"] == []
    assert not [key for key in exchange.store.list(f"open/{made.dataset}/versions/") if key.endswith("data.parquet")]
