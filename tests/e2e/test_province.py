"""The demo's province after `make demo`: what was caught, what arrived where, what is counted; and that it stays so."""

from __future__ import annotations

import csv
import json
import sqlite3

import duckdb
import pandas as pd  # noqa: TID253 - nothing parses tests as DAGs
import polars as pl
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from crossdock import pipeline, sweep
from crossdock.delivery.manifest import verify_manifest
from crossdock.demo.server import serve
from crossdock.exchange import open_exchange
from crossdock.ledger.counts import count
from crossdock.ledger.subjects import who
from crossdock.storage import tables
from crossdock.storage.delivered import last_delivered
from crossdock.storage.records import deliveries, extract_by_id, latest_snapshot, verdicts
from provinces import ENTERPRISES, PEOPLE, folder_bytes

CONTRACTS = {
    "civil_affairs/divisions", "market_regulation/enterprises", "meteorology/weather", "public_security/population",
    "statistics/shares",
    "transport/airlines", "transport/airports", "transport/flights", "transport/planes",
}  # fmt: skip
REFUSED = {"public_security/population/high_court", "market_regulation/enterprises/statistics"}
REAL_FAULTS = {  # known defects of the real data, as the contracts' `limitations` name them
    "civil_affairs/divisions": 1, "meteorology/weather": 1, "transport/airports": 3, "transport/flights": 4,
    "transport/airlines": 0, "transport/planes": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def exchange(demo_home):
    return open_exchange(demo_home)


def verdict_of(exchange, dataset):
    (verdict,) = verdicts(exchange.state, dataset=dataset)
    return verdict


def quarantined(exchange, dataset):
    """What was set aside: arrival number -> broken rules."""
    verdict = verdict_of(exchange, dataset)
    rows = exchange.dataset(verdict.quarantine_key).to_table(columns=["_arrival", "_failures"]).to_pylist()
    return {row["_arrival"]: sorted(failure["rule"] for failure in row["_failures"]) for row in rows}


@pytest.mark.parametrize("name", ["population", "enterprises"])
def test_every_seeded_fault_is_caught_and_nothing_else(demo_home, exchange, name):
    (dataset,) = (d for d in CONTRACTS if d.endswith(name))
    planted = pq.read_table(demo_home / "var" / "demo" / "faults" / f"{name}.parquet").to_pylist()
    assert len(planted) > 20
    assert quarantined(exchange, dataset) == {row["arrival"]: sorted(row["rules"]) for row in planted}


@pytest.mark.parametrize("dataset", sorted(CONTRACTS))
def test_pulled_is_accepted_and_quarantined(demo_home, exchange, dataset):
    verdict = verdict_of(exchange, dataset)
    extract, snapshot = extract_by_id(exchange.state, verdict.extract), latest_snapshot(exchange.state, dataset)
    laid_out = json.loads((demo_home / "var" / "demo" / "made.json").read_text())["rows"]
    laid_out |= {"statistics/shares": 0}  # no day is over yet
    assert laid_out[dataset] == extract.rows == verdict.rows == verdict.accepted + verdict.quarantined
    assert extract.digest == verdict.accepted_digest + verdict.quarantined_digest
    assert snapshot.rows == verdict.accepted == exchange.dataset(snapshot.key).count_rows()
    if dataset in REAL_FAULTS:
        assert verdict.quarantined == REAL_FAULTS[dataset]


def test_every_dataset_and_agreement_was_served(exchange):
    assert set(exchange.catalogue.contracts) == CONTRACTS
    assert not exchange.catalogue.problems
    made = deliveries(exchange.state)
    assert {d.agreement for d in made} == set(exchange.catalogue.agreements) - REFUSED
    assert {d.status for d in made} == {"delivered"}
    with exchange.state.connect() as connection:
        refused = connection.execute(sa.select(tables.refusal.c.agreement, tables.refusal.c.reason)).all()
    assert {name for name, _ in refused} == REFUSED
    assert all("expired" in reason or "draft" in reason for _, reason in refused)


def held_by_consumers(home):
    """Rows at each consumer, counted in its own database and folders, by (dataset, consumer)."""
    consumers = home / "var" / "demo" / "consumers"
    rows = {}
    for file in consumers.glob("*/*.db"):
        with sqlite3.connect(file) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in names:
                if table != "crossdock_delivery":
                    (found,) = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()
                    (dataset,) = database.execute(
                        "SELECT dataset FROM crossdock_delivery WHERE target = ?", (f'"{table}"',)
                    ).fetchone()
                    rows[dataset, file.parent.name] = found
        database.close()
    for manifest in consumers.glob("*/*/*/manifest.json"):
        stated = json.loads(manifest.read_text("utf-8"))
        (file,) = (f for f in manifest.parent.iterdir() if f != manifest)
        rows[stated["dataset"]["id"], stated["consumer"]] = _rows(file)
    return rows


def _rows(file):
    if file.suffix == ".parquet":
        return pq.read_metadata(file).num_rows
    with file.open(encoding="utf-8", newline="") as text:
        return sum(1 for _ in csv.reader(text)) - 1 if file.suffix == ".csv" else sum(1 for _ in text)


def test_counts_are_the_rows_that_consumers_hold(demo_home, exchange):
    counted = count(exchange.state, exchange.store, by=("dataset", "consumer"))
    shares = {(g["dataset"], g["consumer"]): g["shares"] for g in counted.groups}
    held = held_by_consumers(demo_home)
    public = {(d, "public"): len(read_open(demo_home, d)) for d in ("transport/airlines", "transport/flights")}
    assert held == {pair: n for pair, n in shares.items() if pair[1] != "public"}
    assert public.items() <= shares.items()
    assert counted == count(exchange.state, exchange.store, by=("dataset", "consumer"), recount=True)


def test_the_audit_is_sound(exchange):
    found = pipeline.check(exchange)
    assert found.sound
    assert found.counted > 336_772


def read_open(home, dataset):
    folder = home / "var" / "store" / "open" / dataset
    return pq.read_table(folder / json.loads((folder / "latest.json").read_text())["data"])


@pytest.mark.parametrize("dataset", sorted(CONTRACTS - {"public_security/population"}))
def test_open_data_has_exactly_the_public_columns_for_every_reader(demo_home, exchange, dataset):
    folder = demo_home / "var" / "store" / "open" / dataset
    pointer = json.loads((folder / "latest.json").read_text())
    file = str(folder / pointer["data"])
    columns = list(exchange.catalogue.agreements[f"{dataset}/public"].columns)
    frames = pd.read_parquet(file), duckdb.read_parquet(file), pl.read_parquet(file)
    assert [list(frame.columns) for frame in frames] == [columns] * 3
    assert {len(frame) for frame in frames} == {pointer["rows"]} == {latest_snapshot(exchange.state, dataset).rows}
    assert verify_manifest((folder / pointer["manifest"]).read_bytes(), exchange.keys.public())


def test_what_is_personal_is_not_open(demo_home):
    assert not (demo_home / "var" / "store" / "open" / "public_security").exists()


def test_who_received_a_persons_record(demo_home, exchange):
    with sqlite3.connect(demo_home / "var" / "demo" / "consumers" / "tax" / "tax.db") as database:
        (known,) = database.execute("SELECT resident_id FROM population LIMIT 1").fetchone()
        at_tax = {row[0] for row in database.execute("SELECT resident_id FROM population")}
    database.close()
    snapshot = latest_snapshot(exchange.state, "public_security/population")
    people = exchange.dataset(snapshot.key).to_table(columns=["resident_id", "status", "region_code"]).to_pylist()
    unknown = next(p["resident_id"] for p in people if p["status"] == "CANCELLED")
    assert unknown not in at_tax

    def consumers(subject):
        return {r.consumer for r in who(exchange.state, exchange.store, exchange.keys, subject)}

    assert "tax" in consumers(known)
    assert "tax" not in consumers(unknown)
    assert "statistics" in consumers(unknown)
    assert "high_court" not in consumers(known)  # refused


def test_nobody_received_a_record_that_was_quarantined(exchange):
    verdict = verdict_of(exchange, "public_security/population")
    rows = exchange.dataset(verdict.quarantine_key).to_table().to_pylist()
    wrong = next(r["resident_id"] for r in rows if any(f["rule"] == "resident_id_check_digit" for f in r["_failures"]))
    assert who(exchange.state, exchange.store, exchange.keys, wrong) == []


def test_pseudonyms_and_masks_at_the_consumers(demo_home, exchange):
    consumers = demo_home / "var" / "demo" / "consumers"
    register = latest_snapshot(exchange.state, "public_security/population")
    ids = set(exchange.dataset(register.key).to_table(columns=["resident_id"])["resident_id"].to_pylist())
    statistics = pads.dataset(sorted((consumers / "statistics" / "population").glob("*/rows.parquet"))).to_table()
    with sqlite3.connect(consumers / "human_resources" / "human_resources.db") as database:
        theirs = {row[0] for row in database.execute("SELECT resident_id FROM insured_residents")}
    database.close()
    assert statistics["email"].null_count == len(statistics) == register.rows
    assert not ids & set(statistics["resident_id"].to_pylist())
    assert not ids & theirs
    assert not theirs & set(statistics["resident_id"].to_pylist())  # nobody can link the two
    with sqlite3.connect(consumers / "tax" / "tax.db") as database:
        phones = [row[0] for row in database.execute("SELECT phone FROM population WHERE phone IS NOT NULL")]
    database.close()
    assert all(phone[3:7] == "****" for phone in phones)


def state_of(exchange):
    names = ("verdict", "snapshot", "delivery", "refusal", "ledger_entry")
    with exchange.state.connect() as connection:
        return {
            name: sorted(map(tuple, connection.execute(tables.metadata.tables[name].select())), key=str)
            for name in names
        }


def test_a_second_pass_changes_nothing(demo_copy):
    exchange = open_exchange(demo_copy)
    consumers, store = demo_copy / "var" / "demo" / "consumers", demo_copy / "var" / "store"
    before = state_of(exchange), folder_bytes(consumers), set(folder_bytes(store))
    with serve(demo_copy):
        done = sweep.run(open_exchange(demo_copy))
    assert not done.failures
    assert {o.status for o in done.outcomes} == {"unchanged", "refused"}
    after = state_of(exchange), folder_bytes(consumers), set(folder_bytes(store))
    assert after[1] == before[1]
    for name in ("snapshot", "delivery", "refusal", "ledger_entry"):
        assert after[0][name] == before[0][name]
    # The register is pulled by watermark: nothing newer is an extract of no rows, with a verdict of its own.
    (empty,) = (v for v in after[0]["verdict"] if v not in before[0]["verdict"])
    assert "public_security/population" in empty
    assert {key.split("/")[0] for key in after[2] - before[2]} == {"landing", "results"}


def test_the_summary_tells_it_all(demo_home, exchange):
    told = (demo_home / "stdout.txt").read_text()
    shares = count(exchange.state, exchange.store, by=()).shares
    for text in (*CONTRACTS, *REFUSED, f"{PEOPLE:,}", f"{ENTERPRISES:,}", f"{shares:,} shares", "counts --by"):
        assert text in told


def test_every_delivery_proves_itself(exchange):
    for delivery in deliveries(exchange.state):
        assert verify_manifest(exchange.store.read(delivery.manifest_key), exchange.keys.public())
        assert last_delivered(exchange.state, delivery.agreement) == delivery
