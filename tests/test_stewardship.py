"""Quarantine as a workplace: what is mended or released reaches consumers once, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import yaml

from crossdock import pipeline, stewardship, sweep
from crossdock.errors import Permanent, Transient, WrongUse
from crossdock.ledger.counts import count
from crossdock.storage.quarantine import entries, waivers
from crossdock.storage.records import latest_snapshot, verdict_by_id
from hamlet import found, permits, tax_rows

PERMITS, RESIDENTS = "town_hall/permits", "town_hall/residents"


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path)
    assert not made.sweep().failures
    return made


def edit(hamlet, dataset, change):
    path = hamlet.contract(dataset)
    document = yaml.safe_load(path.read_text("utf-8"))
    change({column["name"]: column for column in document["schema"][0]["properties"]})
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")


def held(exchange, dataset):
    """The one open entry of a dataset."""
    (entry,) = entries(exchange.state, dataset=dataset, status="open")
    return entry


def shares(exchange, consumer):
    groups = count(exchange.state, exchange.store, by=("consumer",), recount=True).groups
    return {group["consumer"]: group["shares"] for group in groups}[consumer]


def keys(hamlet, table):
    return {row[0] for row in tax_rows(hamlet, table)}


def test_nothing_is_judged_again_when_nothing_has_changed(hamlet):
    exchange = hamlet.open()
    for dataset, rows in ((PERMITS, 2), (RESIDENTS, 4)):
        assert stewardship.replay(exchange, dataset) == stewardship.Replay(dataset=dataset, rows=rows)
        assert held(exchange, dataset).rows == rows


def test_a_replay_of_a_full_extract_shares_exactly_the_mended_rows(hamlet):
    before = shares(hamlet.open(), "tax")
    edit(hamlet, "permits", lambda columns: columns["fee"]["logicalTypeOptions"].update(minimum=-5))
    exchange = hamlet.open()
    old = held(exchange, PERMITS)
    done = stewardship.replay(exchange, PERMITS)
    assert (done.rows, done.mended, done.verdict.quarantined) == (2, 1, 1)
    sweep.serve(exchange, PERMITS)
    assert keys(hamlet, "permits") == {f"P{n:04}" for n in range(90)} - {"P0003"}
    assert shares(exchange, "tax") == before + 1
    (closed,) = [entry for entry in entries(exchange.state, dataset=PERMITS) if entry.id == old.id]
    assert (closed.status, closed.closed_by) == ("replayed", done.verdict.id)
    assert held(exchange, PERMITS).id == done.verdict.id
    assert stewardship.replay(exchange, PERMITS).verdict is None
    assert pipeline.check(exchange).sound


def test_a_mended_transform_is_reason_to_judge_again(hamlet):
    code = (
        "import pyarrow as pa\n\n\ndef tidy(batch: pa.RecordBatch, *, columns) -> pa.RecordBatch:\n    return batch\n"
    )
    (hamlet.home / "transforms" / "tidy.py").write_text(code)
    path = hamlet.contract("permits")
    document = yaml.safe_load(path.read_text("utf-8"))
    document["customProperties"][0]["value"]["transforms"] = [{"use": "tidy", "columns": ["fee"]}]
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    assert stewardship.replay(hamlet.open(), PERMITS).mended == 0
    mended = code.replace("    return batch", "    texts = pa.array([None if t == 'a lot' else t for t in batch['fee'].to_pylist()])\n"
                          "    return batch.set_column(batch.schema.get_field_index('fee'), 'fee', texts)")  # fmt: skip
    (hamlet.home / "transforms" / "tidy.py").write_text(mended)
    assert stewardship.replay(hamlet.open(), PERMITS).mended == 1


def test_a_replay_of_increments_joins_what_has_come_since(hamlet):
    # R0007 has no name, R0011 a wrong phone, R0050 no such street, R0051 no such day; then more comes by increments.
    hamlet.sql(
        "UPDATE residents SET phone = 'still none', changed_at = '2026-06-01T00:00:00' WHERE resident_no = 'R0011'"
    )
    hamlet.sql("UPDATE residents SET name = 'mended', changed_at = '2026-06-02T00:00:00' WHERE resident_no = 'R0007'")
    assert not hamlet.sweep().failures
    exchange = hamlet.open()
    assert [entry.rows for entry in entries(exchange.state, dataset=RESIDENTS, status="open")] == [1, 4]
    before = shares(exchange, "tax")
    edit(hamlet, "residents", lambda columns: columns["phone"].pop("logicalTypeOptions"))
    edit(hamlet, "residents", lambda columns: columns["name"].pop("required"))
    exchange = hamlet.open()
    done = stewardship.replay(exchange, RESIDENTS)
    # R0011 came twice: the later row is judged. R0007 passes now, but its newer row is in force already.
    assert (done.rows, done.verdict.rows, done.verdict.accepted, done.verdict.quarantined) == (5, 4, 2, 2)
    sweep.serve(exchange, RESIDENTS)
    found = {row[0]: row for row in tax_rows(hamlet, "residents")}
    assert found["R0007"][1] == "mended"
    assert found["R0011"][2] == "st******ne"
    assert shares(exchange, "tax") == before + 1
    assert [entry.rows for entry in entries(exchange.state, dataset=RESIDENTS, status="open")] == [2]
    assert pipeline.pull(exchange, RESIDENTS).rows == 0
    assert pipeline.check(exchange).sound


def test_tolerances_are_for_what_is_pulled(hamlet):
    """Bad rows by themselves are all bad: what a pull may have of them says nothing of a replay."""
    path = hamlet.contract("residents")
    document = yaml.safe_load(path.read_text("utf-8"))
    document["customProperties"][0]["value"]["tolerance"] = {"percent": 3}
    document["schema"][0]["quality"] = [{"metric": "rowCount", "mustBeGreaterThan": 150}]
    document["schema"][0]["properties"][2].pop("logicalTypeOptions")
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    done = stewardship.replay(hamlet.open(), RESIDENTS)
    assert (done.verdict.outcome, done.mended) == ("partial", 1)


def test_a_reference_that_came_late_is_reason_to_judge_again(hamlet):
    with (hamlet.sources / "streets.csv").open("a") as file:
        file.write("S77,New street\n")
    sweep.run(hamlet.open(), "town_hall/streets")
    assert stewardship.replay(hamlet.open(), RESIDENTS).mended == 1
    sweep.serve(hamlet.open(), RESIDENTS)
    assert "R0050" in keys(hamlet, "residents")


def test_a_full_pull_takes_the_place_of_what_was_open(hamlet):
    first = held(hamlet.open(), PERMITS)
    hamlet.write_permits(permits(P0003=["P0003", "R0003", "3.50", ""]))
    sweep.run(hamlet.open(), PERMITS)
    exchange = hamlet.open()
    by_id = {entry.id: entry for entry in entries(exchange.state, dataset=PERMITS)}
    assert (by_id[first.id].status, held(exchange, PERMITS).rows) == ("superseded", 1)
    with pytest.raises(WrongUse, match="superseded"):
        stewardship.release(exchange, first.id, reason="It is fine.", by="ada")


def test_a_source_that_goes_back_opens_the_old_entry_again(hamlet):
    first = held(hamlet.open(), PERMITS)
    hamlet.write_permits(permits(P0003=["P0003", "R0003", "3.50", ""]))
    sweep.run(hamlet.open(), PERMITS)
    hamlet.write_permits(permits())
    sweep.run(hamlet.open(), PERMITS)
    assert held(hamlet.open(), PERMITS) == first


def test_a_release_holds_for_the_row_as_long_as_it_arrives_unchanged(hamlet):
    exchange = hamlet.open()
    before = shares(exchange, "tax")
    waiver = stewardship.release(exchange, held(exchange, PERMITS).id, reason="A refund.", by="ada")
    assert (waiver.rows, list(waiver.rules), waiver.released_by) == (1, ["fee.between"], "ada")
    done = stewardship.replay(exchange, PERMITS)
    assert done.mended == 1
    waived = [f for f in done.verdict.findings if f.severity == "waived"]
    assert [(f.rule, f.rows) for f in waived] == [("fee.between", 1)]
    sweep.serve(exchange, PERMITS)
    assert shares(exchange, "tax") == before + 1
    hamlet.write_permits(permits(P0010=[]))  # another extract, with the same row in it
    sweep.run(hamlet.open(), PERMITS)
    assert "P0004" in keys(hamlet, "permits")
    hamlet.write_permits(permits(P0004=["P0004", "R0004", "-2.00", "remark 4"]))  # another row
    sweep.run(hamlet.open(), PERMITS)
    assert "P0004" not in keys(hamlet, "permits")
    assert pipeline.check(hamlet.open()).sound


def test_a_row_of_an_increment_is_released(hamlet):
    exchange = hamlet.open()
    entry = held(exchange, RESIDENTS)
    waiver = stewardship.release(exchange, entry.id, rules=["phone.pattern"], reason="It is abroad.", by="ada")
    done = stewardship.replay(exchange, RESIDENTS)
    assert (waiver.rows, done.mended) == (1, 1)
    sweep.serve(exchange, RESIDENTS)
    assert "R0011" in keys(hamlet, "residents")
    assert held(exchange, RESIDENTS).rows == 3


def test_what_a_snapshot_stands_on_cannot_be_waived(hamlet):
    exchange = hamlet.open()
    for dataset, rule in ((PERMITS, "fee.type"), (RESIDENTS, "name.not_null")):
        with pytest.raises(WrongUse, match="can't be waived"):
            stewardship.release(exchange, held(exchange, dataset).id, rules=[rule], reason="Please.", by="ada")
    with pytest.raises(WrongUse, match=r"Did you mean 'fee\.type'"):
        stewardship.release(exchange, held(exchange, PERMITS).id, rules=["fee.typ"], reason="Please.", by="ada")
    for wrong in ({"reason": " ", "by": "ada"}, {"reason": "Please.", "by": ""}):
        with pytest.raises(WrongUse, match="needs a"):
            stewardship.release(exchange, held(exchange, PERMITS).id, **wrong)
    with pytest.raises(WrongUse, match="No rows are in quarantine"):
        stewardship.release(exchange, "none", reason="Please.", by="ada")
    assert waivers(exchange.state, PERMITS) == waivers(exchange.state, RESIDENTS) == []


def test_a_rejected_extract_is_released_as_a_whole(hamlet):
    path = hamlet.contract("permits")
    document = yaml.safe_load(path.read_text("utf-8"))
    document["customProperties"][0]["value"]["tolerance"] = {"rows": 1}
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    hamlet.write_permits(permits(P0010=[]))
    sweep.run(hamlet.open(), PERMITS)
    exchange = hamlet.open()
    entry = held(exchange, PERMITS)
    assert verdict_by_id(exchange.state, entry.id).outcome == "rejected"
    stewardship.release(exchange, entry.id, rules=["tolerance"], reason="A bad day.", by="ada")
    done = stewardship.replay(exchange, PERMITS)
    assert (done.verdict.outcome, done.verdict.quarantined) == ("partial", 2)
    sweep.serve(exchange, PERMITS)
    assert "P0010" not in keys(hamlet, "permits")


def test_a_replay_that_a_pull_has_overtaken_brings_nothing_back(hamlet, monkeypatch):
    """A row that left the source since must not come back from the quarantine."""
    edit(hamlet, "residents", lambda columns: columns["phone"].pop("logicalTypeOptions"))
    exchange = hamlet.open()
    judge = pipeline.validate

    def after_a_pull(inner, extract):
        monkeypatch.setattr(pipeline, "validate", judge)
        full = replace(pipeline.pull(inner, RESIDENTS), id="full", incremental=False, watermark=None)
        full = replace(full, pulled_at=(inner.clock() + timedelta(seconds=1)).isoformat())
        stewardship.record_extract(inner.state, full)
        judge(inner, "full")
        return judge(inner, extract)

    monkeypatch.setattr(pipeline, "validate", after_a_pull)
    with pytest.raises(Permanent, match="pulled again meanwhile"):
        stewardship.replay(exchange, RESIDENTS)


def test_an_increment_joins_the_snapshot_it_was_judged_with(hamlet, monkeypatch):
    exchange = hamlet.open()
    hamlet.sql("UPDATE residents SET name = 'new', changed_at = '2026-06-01T00:00:00' WHERE resident_no = 'R0001'")
    extract = pipeline.pull(exchange, RESIDENTS)
    store = pipeline.intake.store_judgement

    def after_another(inner, case, judgement):
        monkeypatch.setattr(pipeline.intake, "store_judgement", store)
        hamlet.sql(
            "UPDATE residents SET name = 'other', changed_at = '2026-06-03T00:00:00' WHERE resident_no = 'R0002'"
        )
        pipeline.validate(inner, pipeline.pull(inner, RESIDENTS).id)
        return store(inner, case, judgement)

    monkeypatch.setattr(pipeline.intake, "store_judgement", after_another)
    with pytest.raises(Transient, match="changed meanwhile"):
        pipeline.validate(exchange, extract.id)
    assert pipeline.validate(exchange, extract.id).accepted == 1
    rows = exchange.dataset(latest_snapshot(exchange.state, RESIDENTS).key).to_table()
    assert {"new", "other"} <= set(rows["name"].to_pylist())


def test_samples_show_shapes_and_no_values(hamlet):
    exchange = hamlet.open()
    verdict = verdict_by_id(exchange.state, held(exchange, RESIDENTS).id)
    shown = {sample.arrival: sample for sample in stewardship.sample(exchange, verdict, most=6)}
    assert shown[11].shapes == {"phone": "aa aaaaa"}
    assert shown[7].shapes == {"name": None}
    assert shown[50].shapes == {"street": "A99"}
    assert shown[51].shapes == {"born": "9999-99-99"}
    assert shown[51].rules == ("born.type",)


def test_findings_for_the_source(hamlet, tmp_path):
    exchange = hamlet.open()
    target = tmp_path / "findings.csv"
    stewardship.write_findings(exchange, verdict_by_id(exchange.state, held(exchange, RESIDENTS).id), target)
    rows = pacsv.read_csv(target).to_pylist()
    assert [(row["arrival"], row["resident_no"], row["rule"]) for row in rows] == [
        (7, "R0007", "name.not_null"), (11, "R0011", "phone.pattern"), (50, "R0050", "street.reference"),
        (51, "R0051", "born.type"),
    ]  # fmt: skip
    assert target.stat().st_mode & 0o777 == 0o600


def test_the_quarantine_is_parquet_by_dataset_and_day(hamlet):
    root = hamlet.home / "var" / "store" / "quarantine"
    day = hamlet.open().clock().date().isoformat()
    assert {str(file.parent.relative_to(root)) for file in root.rglob("*.parquet")} == {
        f"{RESIDENTS}/{day}", f"{PERMITS}/{day}",
    }  # fmt: skip
    assert sum(pq.read_metadata(file).num_rows for file in root.rglob("*.parquet")) == 6
