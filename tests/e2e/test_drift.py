"""Sources that change: new columns, and extracts unlike those before them."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from crossdock import pipeline, stewardship
from crossdock.history import histories
from crossdock.storage.records import extract_by_id, latest_snapshot, verdict_by_id, verdicts
from hamlet import found, permits, school_files, tax_rows

PERMITS, RESIDENTS, STREETS = "town_hall/permits", "town_hall/residents", "town_hall/streets"
SECRET = "canary-5531"


@pytest.fixture
def hamlet(tmp_path):
    return found(tmp_path)


def drift(hamlet, dataset, **given):
    path = hamlet.contract(dataset.rpartition("/")[2])
    document = yaml.safe_load(path.read_text("utf-8"))
    document["customProperties"][0]["value"]["drift"] = given
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")


def judged(exchange, dataset):
    return pipeline.validate(exchange, pipeline.pull(exchange, dataset).id)


def stored(exchange, key):
    filesystem, root = exchange.store.filesystem()
    return pq.read_table(f"{root}/{key}", filesystem=filesystem)


def with_new_column(hamlet):
    rows = [["permit_no", "holder", "fee", "remark", "colour"], *([*row, SECRET] for row in permits())]
    (hamlet.sources / "permits.csv").write_text("\n".join(map(",".join, rows)) + "\n", "utf-8")


def findings(verdict):
    return {(f.rule, f.column): f for f in verdict.findings}


@pytest.mark.parametrize("policy", [None, "discard"])
def test_new_columns_are_left_and_told(hamlet, policy):
    if policy:
        drift(hamlet, PERMITS, columns=policy)
    with_new_column(hamlet)
    verdict = judged(hamlet.open(), PERMITS)
    assert verdict.outcome == "partial"
    found = findings(verdict)["schema.extra_column", "colour"]
    assert (found.severity, "not taken" in found.reason) == ("warning", True)
    assert "colour" not in stored(hamlet.open(), extract_by_id(hamlet.open().state, verdict.extract).key).column_names


def test_frozen_columns_reject_the_extract_and_the_last_snapshot_stays(hamlet):
    drift(hamlet, PERMITS, columns="freeze")
    exchange = hamlet.open()
    before = judged(exchange, PERMITS)
    with_new_column(hamlet)
    verdict = judged(exchange, PERMITS)
    assert (verdict.outcome, verdict.accepted) == ("rejected", 0)
    assert findings(verdict)["schema.extra_column", "colour"].severity == "error"
    assert latest_snapshot(exchange.state, PERMITS).verdict == before.id


def test_kept_columns_stay_in_landing_and_in_quarantine(hamlet):
    drift(hamlet, PERMITS, columns="evolve")
    hamlet.sweep()
    with_new_column(hamlet)
    done = hamlet.sweep()
    assert not done.failures
    exchange = hamlet.open()
    verdict = verdicts(exchange.state, dataset=PERMITS)[0]
    assert (verdict.outcome, verdict.rows) == ("partial", 90)
    assert "landing only" in findings(verdict)["schema.extra_column", "colour"].reason
    extract = extract_by_id(exchange.state, verdict.extract)
    assert set(stored(exchange, extract.key)["colour"].to_pylist()) == {SECRET}
    assert stored(exchange, verdict.quarantine_key).num_rows == 2
    assert "colour" not in stored(exchange, latest_snapshot(exchange.state, PERMITS).key).column_names
    assert all(SECRET not in str(row) for row in tax_rows(hamlet, "permits"))
    assert all(SECRET.encode() not in content for content in school_files(hamlet).values())
    assert pipeline.check(exchange).sound


def test_rows_with_kept_columns_are_judged_again(hamlet):
    drift(hamlet, PERMITS, columns="evolve")
    with_new_column(hamlet)
    exchange = hamlet.open()
    judged(exchange, PERMITS)
    path = hamlet.contract("permits")
    document = yaml.safe_load(path.read_text("utf-8"))
    del document["schema"][0]["properties"][2]["logicalTypeOptions"]  # a fee below nothing is allowed now
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
    assert stewardship.replay(hamlet.open(), PERMITS).mended == 1


@pytest.mark.parametrize("kind", ["database", "jsonl", "parquet"])
def test_every_kind_of_source_keeps_new_columns(hamlet, kind):
    exchange = hamlet.open()
    judged(exchange, STREETS)
    if kind == "database":
        drift(hamlet, RESIDENTS, columns="evolve")
        with sqlite3.connect(hamlet.sources / "town.db") as database:
            database.execute(f"ALTER TABLE residents ADD COLUMN colour TEXT DEFAULT '{SECRET}'")
        database.close()
        dataset = RESIDENTS
    else:
        dataset = STREETS
        path = hamlet.contract(dataset.rpartition("/")[2])
        document = yaml.safe_load(path.read_text("utf-8"))
        given = document["customProperties"][0]["value"]
        given["drift"] = {"columns": "evolve"}
        given["source"] |= {"path": f"streets.{kind}", "format": kind}
        path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
        rows = [{"code": f"S{n}", "name": f"Street {n}", "colour": SECRET} for n in range(9)]
        if kind == "jsonl":
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (hamlet.sources / "streets.jsonl").write_text(text, "utf-8")
        else:
            pq.write_table(pa.Table.from_pylist(rows), hamlet.sources / "streets.parquet")
    exchange = hamlet.open()
    verdict = judged(exchange, dataset)
    assert verdict.accepted > 0
    assert ("schema.extra_column", "colour") in findings(verdict)
    assert set(stored(exchange, extract_by_id(exchange.state, verdict.extract).key)["colour"].to_pylist()) == {SECRET}


def test_files_of_one_pattern_may_differ_in_new_columns(hamlet):
    drift(hamlet, PERMITS, columns="evolve")
    path = hamlet.contract("permits")
    path.write_text(path.read_text("utf-8").replace("path: permits.csv", "path: permits*.csv"), "utf-8")
    with_new_column(hamlet)
    (hamlet.sources / "permits2.csv").write_text("permit_no,holder,fee,remark,shape\nX1,R1,1.00,,round\n", "utf-8")
    exchange = hamlet.open()
    verdict = judged(exchange, PERMITS)
    landed = stored(exchange, extract_by_id(exchange.state, verdict.extract).key)
    assert landed["colour"].to_pylist()[-2:] == [SECRET, None]
    assert {column for rule, column in findings(verdict) if rule == "schema.extra_column"} == {"colour", "shape"}


def fares(hamlet, exchange, pulls=4):
    """Pulls permits that differ a little, so that there is a history."""
    for n in range(pulls):
        changed = permits(P0005=["P0005", "R0005", f"{n}.00", ""])
        hamlet.write_permits(changed[: len(changed) - n % 2])
        exchange = hamlet.open()
        assert judged(exchange, PERMITS).outcome == "partial"
    return exchange


def test_half_a_register_is_rejected_and_a_person_may_release_it(hamlet):
    drift(hamlet, PERMITS, rows={"error": 30, "warning": 10})
    exchange = fares(hamlet, hamlet.open())
    before = latest_snapshot(exchange.state, PERMITS)
    hamlet.write_permits(permits()[:45])
    extract = pipeline.pull(exchange, PERMITS)
    verdict = pipeline.validate(exchange, extract.id)
    assert verdict.outcome == "rejected"
    assert "more than 30 % away" in findings(verdict)["drift.rows", ""].reason
    assert latest_snapshot(exchange.state, PERMITS) == before
    assert pipeline.validate(exchange, extract.id) == verdict  # what it is compared with is fixed with the verdict
    stewardship.release(exchange, verdict.id, rules=["drift.rows"], reason="The register was split.", by="a steward")
    stewardship.replay(exchange, PERMITS)
    assert latest_snapshot(exchange.state, PERMITS).rows == 43
    assert verdict_by_id(exchange.state, latest_snapshot(exchange.state, PERMITS).verdict).outcome == "partial"


def test_a_rejected_extract_is_no_measure_for_the_next(hamlet):
    drift(hamlet, PERMITS, rows={"error": 30})
    exchange = fares(hamlet, hamlet.open(), pulls=3)
    for keep in (45, 44, 43, 42):
        hamlet.write_permits(permits()[:keep])
        assert judged(exchange, PERMITS).outcome == "rejected"


def test_a_source_that_had_nothing_new_for_long_may_bring_something(hamlet):
    drift(hamlet, RESIDENTS, rows={"error": 30})
    exchange = hamlet.open()
    judged(exchange, STREETS)

    def changed(rows, day):
        hamlet.sql("UPDATE residents SET changed_at = ? WHERE rowid > ?", f"2026-06-0{day}T00:00:00", 200 - rows)
        return judged(exchange, RESIDENTS).outcome

    assert changed(0, 1) == "partial"  # pulled in full
    assert [changed(rows, 1 + day) for day, rows in enumerate([1, 0, 0, 0, 20, 0, 21, 0])] == ["accepted"] * 8
    assert changed(40, 9) == "rejected"


def test_how_a_dataset_fared_is_told_with_the_age_of_what_is_in_force(hamlet):
    drift(hamlet, PERMITS, rows={"error": 30})
    exchange = fares(hamlet, hamlet.open(), pulls=3)
    hamlet.write_permits(permits()[:40])
    judged(exchange, PERMITS)
    clock = exchange.clock
    later = replace(exchange, clock=lambda: clock() + timedelta(days=3))
    (history,) = histories(later, PERMITS)
    assert [verdict.outcome for verdict in history.verdicts] == ["rejected", "partial", "partial", "partial"]
    assert history.snapshot.rows == 88
    assert 3 * 86_400 <= history.age_seconds < 3 * 86_400 + 600
    assert [c.dataset for c in histories(later, "town_hall")] == [PERMITS, RESIDENTS, STREETS]
