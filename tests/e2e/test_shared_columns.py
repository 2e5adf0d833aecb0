"""What was made for one consumer serves the next: the same bytes as without, of accepted rows only, and only what leaves."""

from __future__ import annotations

import json
import shutil

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from crossdock import handover, pipeline
from crossdock.errors import LedgerBroken
from crossdock.exchange import keys_folder
from crossdock.keys import LEDGER, rotate
from crossdock.ledger.counts import count
from crossdock.ledger.subjects import who
from crossdock.storage.records import latest_snapshot
from hamlet import _department, agreement, entries, found, school_files, write_yaml

DATASET = "town_hall/residents"
AGREED = {
    "plain": {"columns": ["resident_no", "name", "street"]},
    "other": {"columns": ["street", "name", "phone"], "protect": {"phone": {"mask": {"keepLast": 2}}}},
    "hidden": {"columns": ["resident_no", "name", "phone"], "protect": {"resident_no": "pseudonymise", "phone": {"mask": {"keepLast": 2}}}},
    "hidden_too": {"columns": ["resident_no", "name", "phone"], "protect": {"resident_no": "pseudonymise", "phone": {"mask": {"keepFirst": 2}}}},
    "some": {"columns": ["resident_no", "name"], "rows": "street = 'S1'"},
    "as_csv": {"columns": ["resident_no", "name", "street"], "format": "csv"},
}  # fmt: skip


def laid_out(home, keys=None):
    """A hamlet whose residents are agreed upon with many; one consumer's folder is below another's name."""
    made = found(home)
    if keys:
        shutil.copytree(keys, home / "var" / "keys")
    for name, terms in AGREED.items():
        write_yaml(home / "contracts" / name / "department.yaml", _department(name))
        more = dict(terms)
        delivery = {"channel": "folder", "connection": "school_folder", "mode": "full", "path": name}
        delivery["format"] = more.pop("format", "parquet")
        write_yaml(
            made.agreement("residents", name),
            agreement("residents", name, more.pop("columns"), delivery=delivery, **more),
        )
    exchange = made.open()
    for dataset in ("town_hall/streets", DATASET):
        pipeline.validate(exchange, pipeline.pull(exchange, dataset).id)
    return made


def push_all(hamlet):
    exchange = hamlet.open()
    for name in AGREED:
        assert pipeline.push(exchange, f"{DATASET}/{name}").status == "delivered"


@pytest.fixture
def sharing(monkeypatch):
    monkeypatch.setattr(handover, "MANY", 1)


def shelved(hamlet):
    return sorted((hamlet.home / "var" / "shelf").glob("*")) if (hamlet.home / "var" / "shelf").exists() else []


def test_consumers_get_what_they_would_get_alone(tmp_path, monkeypatch):
    alone = laid_out(tmp_path / "alone")
    push_all(alone)
    assert not shelved(alone)
    monkeypatch.setattr(handover, "MANY", 1)
    together = laid_out(tmp_path / "together", keys=alone.home / "var" / "keys")
    push_all(together)
    assert shelved(together)
    assert school_files(together) == school_files(alone)
    exchange = together.open()
    assert entries(exchange) == entries(alone.open())
    assert pipeline.check(exchange).sound
    counted = count(exchange.state, exchange.store, by=("consumer",), recount=True)
    assert counted == count(exchange.state, exchange.store, by=("consumer",))
    assert {found.consumer for found in who(exchange.state, exchange.store, exchange.keys, "R0001")} == set(AGREED)


@pytest.mark.usefixtures("sharing")
def test_only_what_leaves_for_anybody_is_kept(tmp_path):
    hamlet = laid_out(tmp_path)
    push_all(hamlet)
    columns = [path for path in shelved(hamlet) if len(path.name.split(".")) == 2 and path.read_bytes()[:4] == b"PAR1"]
    found = [pq.read_table(path) for path in columns]
    assert {name for table in found for name in table.column_names} == {"resident_no", "name", "street", "phone"}
    values = {value for table in found for column in table.columns for value in column.to_pylist()}
    assert not [value for value in values if len(value) == 32]  # pseudonyms are each consumer's own
    assert not [value for value in values if value.isdecimal()]  # no telephone number but masked


@pytest.mark.usefixtures("sharing")
def test_a_snapshot_that_was_changed_does_not_leave_nor_stay(tmp_path):
    hamlet = laid_out(tmp_path)
    exchange = hamlet.open()
    file = exchange.home / "var" / "store" / latest_snapshot(exchange.state, DATASET).key
    accepted = file.read_bytes()
    table = pq.read_table(file)

    def change():
        other = pc.replace_substring(table["name"], "王", "李")
        pq.write_table(table.set_column(table.column_names.index("name"), "name", other), file)

    change()
    with pytest.raises(LedgerBroken, match="accepted"):
        pipeline.push(exchange, f"{DATASET}/plain")
    assert not shelved(hamlet)
    file.write_bytes(accepted)
    assert pipeline.push(exchange, f"{DATASET}/some").status == "delivered"
    assert pipeline.push(exchange, f"{DATASET}/hidden").status == "delivered"
    change()  # what is on the shelf is of accepted rows; the rest would not be
    with pytest.raises(LedgerBroken, match="accepted"):
        pipeline.push(exchange, f"{DATASET}/plain")
    file.write_bytes(accepted)
    assert pipeline.push(exchange, f"{DATASET}/plain").status == "delivered"


@pytest.mark.usefixtures("sharing")
def test_a_shelf_that_lost_something_costs_time_only(tmp_path):
    hamlet = laid_out(tmp_path)
    exchange = hamlet.open()
    assert pipeline.push(exchange, f"{DATASET}/plain").status == "delivered"
    for number, path in enumerate(shelved(hamlet)):
        if number % 2:
            path.unlink()
        else:
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert pipeline.push(exchange, f"{DATASET}/other").status == "delivered"
    assert pipeline.push(exchange, f"{DATASET}/hidden").status == "delivered"
    (manifest,) = (hamlet.school / "other").glob("*/manifest.json")
    assert json.loads(manifest.read_bytes())["counts"]["accepted"] == 196
    assert pipeline.check(exchange).sound


@pytest.mark.usefixtures("sharing")
def test_events_under_another_version_of_the_ledger_key_are_made_anew(tmp_path):
    hamlet = laid_out(tmp_path)
    for consumer in ("plain", "other", "hidden"):
        exchange = hamlet.open()
        assert pipeline.push(exchange, f"{DATASET}/{consumer}").status == "delivered"
        rotate(keys_folder(hamlet.home), LEDGER)
    exchange = hamlet.open()
    assert {found.consumer for found in who(exchange.state, exchange.store, exchange.keys, "R0001")} == {
        "plain",
        "other",
        "hidden",
    }
    assert pipeline.check(exchange).sound
