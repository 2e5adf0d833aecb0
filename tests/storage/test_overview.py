"""The looks over all datasets and deliveries, against the plain reading of the same rows."""

from dataclasses import replace

import pytest

from crossdock.identity import RowsDigest
from crossdock.storage import overview
from crossdock.storage.acceptance import record_verdict
from crossdock.storage.records import (
    Delivery,
    Extract,
    Finding,
    Refusal,
    Snapshot,
    Verdict,
    intend_delivery,
    record_extract,
    record_refusal,
)
from crossdock.storage.state import State


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request, tmp_path):
    if request.param == "sqlite":
        opened = State.open(f"sqlite:///{tmp_path / 'state.db'}")
    else:
        server = request.getfixturevalue("postgres")
        opened = State.open(server.new_database()[1])
    yield opened
    opened.engine.dispose()


def at(day):
    return f"2026-11-{day:02}T00:00:00.000000+00:00"


def judge(state, dataset, day, outcome="accepted", failed=0):
    name = f"{dataset}-{day}"
    record_extract(state, Extract(
        id=f"x{name}", dataset=dataset, key="k", rows=10, sha256="0", digest=RowsDigest(), drift={}, watermark=None,
        incremental=False, pulled_at=at(day),
    ))  # fmt: skip
    reason = [Finding(rule="a.type", column="a", reason="It is no date", rows=failed)] if failed else []
    warned = Finding(rule="b.pattern", column="b", reason="It looks odd", rows=1, severity="warning")
    verdict = Verdict(
        id=f"v{name}", extract=f"x{name}", dataset=dataset, contract_version="1.0.0", contract_digest="0", outcome=outcome,
        rows=10, accepted=0 if outcome == "rejected" else 10 - failed, quarantined=failed, accepted_digest=RowsDigest(),
        quarantined_digest=RowsDigest(), findings=(*reason, warned), quarantine_key="q" if failed else None,
        result_key="r", validated_at=at(day),
    )  # fmt: skip
    snapshot = Snapshot(
        id=f"s{name}", dataset=dataset, verdict=verdict.id, key="k", rows=10 - failed, sha256="0", digest=RowsDigest(), accepted_at=at(day)
    )  # fmt: skip
    record_verdict(state, verdict, None if outcome == "rejected" else snapshot)


def deliver(state, day, department, consumer, status="delivered"):
    made = Delivery(
        id=f"{department}-{consumer}-{day}", agreement=f"{department}/d/{consumer}", agreement_version="1", agreement_digest="0",
        dataset=f"{department}/d", department=department, consumer=consumer, channel="folder", mode="full", snapshot="s",
        snapshot_seq=1, intended_at=at(day), status=status,
    )  # fmt: skip
    return intend_delivery(state, made)


def test_each_dataset_stands_where_its_newest_rows_say(state):
    judge(state, "a/one", 1)
    judge(state, "a/one", 2, failed=3, outcome="partial")
    judge(state, "a/one", 3, outcome="rejected", failed=10)
    judge(state, "b/two", 1)
    one, none, two = overview.standings(state, ["a/one", "a/none", "b/two"])
    assert (one.outcome, one.quarantined, one.pulled_at) == ("rejected", 10, at(3))
    assert (one.shared_verdict, one.shared_rows, one.accepted_at) == ("va/one-2", 7, at(2))
    assert replace(none, dataset="") == overview.Standing(
        dataset="", pulled_at=None, verdict=None, outcome=None, rows=None, accepted=None, quarantined=None,
        shared_rows=None, shared_verdict=None, accepted_at=None,
    )  # fmt: skip
    assert (two.outcome, two.shared_rows) == ("accepted", 10)
    assert overview.standings(state, []) == []


def test_a_datasets_verdicts_come_newest_first(state):
    for day in (1, 3, 2):
        judge(state, "a/one", day)
    judge(state, "b/two", 4)
    assert [each.validated_at for each in overview.judged(state, "a/one", limit=2)] == [at(3), at(2)]


def test_quarantine_is_what_is_still_there(state):
    judge(state, "a/one", 1, outcome="partial", failed=2)
    judge(state, "a/one", 2, outcome="partial", failed=3)  # what was pulled later takes the place of what was before
    judge(state, "a_/two", 1, outcome="partial", failed=4)
    found = {(dataset, finding.rule, finding.rows) for dataset, finding in overview.open_findings(state)}
    assert found == {("a/one", "a.type", 3), ("a_/two", "a.type", 4)}
    assert [dataset for dataset, _ in overview.open_findings(state, department="a_")] == ["a_/two"]


def test_deliveries_of_a_department_are_those_it_provides_and_those_it_receives(state):
    for day, department, consumer in ((1, "a", "b"), (2, "b", "c"), (3, "c", "a"), (4, "c", "d"), (5, "a", "a")):
        deliver(state, day, department, consumer)
    assert [d.intended_at for d in overview.newest_deliveries(state, party=None, limit=2)] == [at(5), at(4)]
    assert [d.intended_at for d in overview.newest_deliveries(state, party="a", limit=9)] == [at(5), at(3), at(1)]
    assert [d.id for d in overview.under_agreement(state, "b/d/c", limit=9)] == ["b-c-2"]


def test_unfinished_is_what_began_before_and_did_not_arrive(state):
    deliver(state, 1, "a", "b")
    deliver(state, 2, "a", "b", status="intended")
    deliver(state, 3, "a", "c", status="intended")
    assert [d.id for d in overview.unfinished(state, before=at(3), party=None, limit=9)] == ["a-b-2"]
    assert [d.id for d in overview.unfinished(state, before=at(9), party="c", limit=9)] == ["a-c-3"]


def test_refusals_of_a_department_since_an_instant(state):
    for day, dataset, consumer in ((1, "a/d", "b"), (2, "a/d", "b"), (3, "b/d", "a"), (4, "b/d", "c")):
        record_refusal(state, Refusal(
            id=f"r{day}", agreement=f"{dataset}/{consumer}", dataset=dataset, consumer=consumer, snapshot=None, reason="No.", refused_at=at(day)
        ))  # fmt: skip
    assert [r.id for r in overview.refused(state, since=at(2), party="a", limit=9)] == ["r3", "r2"]
    assert [r.id for r in overview.refused(state, since=at(1), party=None, limit=3)] == ["r4", "r3", "r2"]


def test_of_each_agreement_the_newest_refusal_counts_until_something_is_delivered(state):
    for day, consumer in ((1, "b"), (2, "b"), (3, "c"), (3, "d")):
        record_refusal(state, Refusal(
            id=f"{consumer}{day}", agreement=f"a/d/{consumer}", dataset="a/d", consumer=consumer, snapshot=None, reason="No.", refused_at=at(day)
        ))  # fmt: skip
    deliver(state, 2, "a", "c")  # before it was refused
    deliver(state, 4, "a", "d", status="intended")  # has not arrived
    assert [r.id for r in overview.refused(state, since=at(1), party=None, limit=9)] == ["c3", "d3", "b2"]
    deliver(state, 5, "e", "c")  # under another agreement
    deliver(state, 5, "a", "b")
    assert [r.id for r in overview.refused(state, since=at(1), party=None, limit=9)] == ["c3", "d3"]
