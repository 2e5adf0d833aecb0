"""When sources change, only the changes travel; and what a source takes back comes into force again."""

from __future__ import annotations

import json

import pytest

from crossdock import handover, intake, pipeline
from crossdock.delivery.aligned import Aligned
from crossdock.ledger.counts import count
from crossdock.ledger.subjects import who
from crossdock.storage.records import latest_snapshot
from hamlet import found, open_rows, permits, tax_rows

CHANGED = ["P0020", "R0020", "99.99", ""]


@pytest.fixture(params=["every row read", "by fingerprints"])
def hamlet(tmp_path, request, monkeypatch):
    if request.param == "by fingerprints":
        for module in (handover, intake):
            monkeypatch.setattr(module, "MANY", 1)
    made = found(tmp_path)
    assert not made.sweep().failures
    return made


def counts_of(done):
    """What each agreement's outcome counts, without zeros."""
    return {o.agreement: {k: n for k, n in o.counts.items() if n} for o in done.outcomes if o.counts}


def shares(hamlet):
    exchange = hamlet.open()
    found = count(exchange.state, exchange.store, by=("dataset", "consumer"), recount=True)
    return {f"{g['dataset']}/{g['consumer']}": g["shares"] for g in found.groups}


def newest_file(hamlet, path):
    """What the school reads: the delivery whose manifest has the highest sequence."""
    manifests = [(json.loads(m.read_text()), m.parent) for m in (hamlet.school / path).glob("*/manifest.json")]
    newest, folder = max(manifests, key=lambda pair: pair[0]["snapshot"]["sequence"])
    return (folder / newest["files"][0]["name"]).read_bytes()


def test_rows_of_a_full_dataset_that_changed_came_or_went(hamlet):
    before, counted = tax_rows(hamlet, "permits"), shares(hamlet)
    hamlet.write_permits([*permits(P0010=[], P0020=CHANGED), ["P9999", "R0001", "1.00", ""]])
    done = hamlet.sweep()
    assert not done.failures
    everything = {"accepted": 88, "inserted": 88}
    assert counts_of(done) == {
        "town_hall/permits/tax": {"accepted": 88, "inserted": 1, "updated": 1, "deleted": 1, "unchanged": 86},
        "town_hall/permits/school": everything,
    }
    after = {row[0]: row for row in tax_rows(hamlet, "permits")}
    kept = {row[0]: row for row in before if row[0] not in ("P0010", "P0020")}
    assert after == kept | {"P0020": ("P0020", "R0020", "99.99"), "P9999": ("P9999", "R0001", "1.00")}
    school = newest_file(hamlet, "permits").decode()
    assert "P9999" in school
    assert "P0010" not in school
    counted["town_hall/permits/tax"] += 2  # a deletion is no share
    counted["town_hall/permits/school"] += 88
    assert shares(hamlet) == counted
    assert pipeline.check(hamlet.open()).sound


def test_rows_of_a_watermark_dataset_that_changed_or_came(hamlet):
    before = {row[0]: row for row in tax_rows(hamlet, "residents")}
    hamlet.sql(
        "UPDATE residents SET phone = '99999999', changed_at = '2026-06-01T00:00:00' WHERE resident_no = 'R0020'"
    )
    hamlet.sql("INSERT INTO residents VALUES ('R0900', '新', '12345678', 'S1', NULL, 'n', '2026-06-01T00:00:00')")
    hamlet.sql("INSERT INTO residents VALUES ('R0901', NULL, '12345678', 'S1', NULL, 'n', '2026-06-01T00:00:00')")
    done = hamlet.sweep()
    (verdict,) = (v for v in done.verdicts if v.dataset == "town_hall/residents")
    assert (verdict.rows, verdict.accepted, verdict.quarantined) == (3, 2, 1)  # only what is newer was pulled
    assert latest_snapshot(hamlet.open().state, "town_hall/residents").rows == 197
    assert counts_of(done)["town_hall/residents/tax"] == {
        "accepted": 197, "filtered": 22, "inserted": 1, "updated": 1, "unchanged": 173,
    }  # fmt: skip
    after = {row[0]: row for row in tax_rows(hamlet, "residents")}
    assert after == before | {
        "R0020": (*before["R0020"][:2], "99****99", before["R0020"][3]),
        "R0900": ("R0900", "新", "12****78", "S1"),
    }
    exchange = hamlet.open()
    received = who(exchange.state, exchange.store, exchange.keys, "R0900")
    assert {(r.consumer, r.operation) for r in received} == {("tax", "insert"), ("school", "insert")}


def test_a_row_that_leaves_the_filter_leaves_the_consumer(hamlet):
    hamlet.sql("UPDATE residents SET street = 'S8', changed_at = '2026-06-01T00:00:00' WHERE resident_no = 'R0020'")
    done = hamlet.sweep()
    assert counts_of(done)["town_hall/residents/tax"] == {
        "accepted": 196, "filtered": 23, "deleted": 1, "unchanged": 173,
    }  # fmt: skip
    assert "R0020" not in {row[0] for row in tax_rows(hamlet, "residents")}
    assert pipeline.check(hamlet.open()).sound


def test_an_agreement_that_changes_is_served_anew(hamlet):
    file = hamlet.agreement("residents", "tax")
    file.write_text(file.read_text().replace("keepFirst: 2", "keepFirst: 3"))
    done = hamlet.sweep()
    assert counts_of(done) == {"town_hall/residents/tax": {"accepted": 196, "filtered": 22, "updated": 174}}
    assert {row[2] for row in tax_rows(hamlet, "residents") if row[0] == "R0123"} == {"000***23"}


def test_going_back_to_old_content_brings_it_into_force_again(hamlet):
    first = tax_rows(hamlet, "permits"), newest_file(hamlet, "permits"), open_rows(hamlet.open(), "town_hall/streets")
    old = (hamlet.sources / "streets.csv").read_bytes()
    (hamlet.sources / "streets.csv").write_bytes(old + b"S9,New Street\n")
    hamlet.write_permits(permits(P0010=[], P0020=CHANGED))
    hamlet.sweep()
    second = tax_rows(hamlet, "permits"), newest_file(hamlet, "permits"), open_rows(hamlet.open(), "town_hall/streets")
    assert all(a != b for a, b in zip(first, second, strict=True))
    (hamlet.sources / "streets.csv").write_bytes(old)
    hamlet.write_permits(permits())
    done = hamlet.sweep()
    assert not done.failures
    third = tax_rows(hamlet, "permits"), newest_file(hamlet, "permits"), open_rows(hamlet.open(), "town_hall/streets")
    assert third == first
    assert counts_of(done)["town_hall/permits/tax"] == {"accepted": 88, "inserted": 1, "updated": 1, "unchanged": 86}
    assert pipeline.check(hamlet.open()).sound
    assert {o.status for o in hamlet.sweep().outcomes} == {"unchanged", "refused"}


@pytest.mark.parametrize("dataset", ["permits", "residents"])  # one in full, one after its watermark
def test_what_validate_keeps_is_what_push_finds_changes_by(tmp_path, monkeypatch, dataset):
    for module in (handover, intake):
        monkeypatch.setattr(module, "MANY", 1)
    seen, find = [], Aligned.find.__func__

    def spy(cls, before, terms, snapshot, path):
        seen.append((snapshot.count_rows(), find(cls, before, terms, snapshot, path)))
        return seen[-1][1]

    monkeypatch.setattr(Aligned, "find", classmethod(spy))
    hamlet = found(tmp_path)
    hamlet.sweep()
    hamlet.write_permits(permits(P0020=CHANGED))
    hamlet.sql(
        "UPDATE residents SET phone = '99999999', changed_at = '2026-06-01T00:00:00' WHERE resident_no = 'R0020'"
    )
    seen.clear()
    done = hamlet.sweep()
    assert counts_of(done)[f"town_hall/{dataset}/tax"]["updated"] == 1
    rows = {"permits": 88, "residents": 196}[dataset]
    (aligned,) = [each for count, each in seen if count == rows]
    assert aligned is not None
    assert pipeline.check(hamlet.open()).sound
