"""What was made for one consumer serves the next: the same bytes as without, of accepted rows only, and only what leaves."""

from __future__ import annotations

import json
import shutil

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from crossdock import foreseen, handover, pipeline
from crossdock.delivery.cuts import Cut
from crossdock.errors import LedgerBroken
from crossdock.exchange import keys_folder
from crossdock.keys import LEDGER, rotate
from crossdock.ledger.counts import count
from crossdock.ledger.events import EventWriter
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


@pytest.fixture
def foreseeing(monkeypatch):
    """Events of small snapshots are made when they are accepted, too; tells how many a push makes itself."""
    for module in (handover, foreseen):
        monkeypatch.setattr(module, "MANY", 1)
    made = []
    add = EventWriter.add
    monkeypatch.setattr(
        EventWriter, "add", lambda self, record, *more: (made.append(len(record)), add(self, record, *more))
    )
    return made


def shelved(hamlet):
    return sorted((hamlet.home / "var" / "shelf").glob("*")) if (hamlet.home / "var" / "shelf").exists() else []


@pytest.mark.parametrize("ahead", [[], [foreseen]])
def test_consumers_get_what_they_would_get_alone(tmp_path, monkeypatch, ahead):
    alone = laid_out(tmp_path / "alone")
    push_all(alone)
    assert not shelved(alone)
    for module in (handover, *ahead):
        monkeypatch.setattr(module, "MANY", 1)
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


def test_events_are_made_when_a_snapshot_is_accepted(tmp_path, foreseeing):
    hamlet = laid_out(tmp_path)
    assert 196 in foreseeing
    foreseeing.clear()
    push_all(hamlet)
    assert not foreseeing
    assert pipeline.check(hamlet.open()).sound


def test_a_wrong_agreement_keeps_no_snapshot_from_being_accepted(tmp_path, foreseeing):
    """Nor are its events made: they would be for nobody."""
    hamlet = found(tmp_path)
    for path in hamlet.contract("residents").parent.glob("agreements/*"):
        path.unlink()
    terms = {"columns": ["resident_no", "name"], "delivery": {"channel": "folder", "connection": "school_folder", "mode": "full", "path": "x"}}  # fmt: skip
    ended = agreement("residents", "school", **terms) | {"endTimestamp": "2026-01-02T00:00:00+08:00"}
    write_yaml(hamlet.agreement("residents", "school"), ended)
    write_yaml(hamlet.agreement("residents", "tax"), agreement("residents", "tax", **terms) | {"status": "requested"})
    exchange = hamlet.open()
    for dataset in ("town_hall/streets", DATASET):
        assert pipeline.validate(exchange, pipeline.pull(exchange, dataset).id).accepted
    assert 196 not in foreseeing


def test_a_full_disk_keeps_no_snapshot_from_being_accepted(tmp_path, monkeypatch):
    monkeypatch.setattr(foreseen, "MANY", 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as without_room:
        without_room.setattr(EventWriter, "add", full)
        hamlet = laid_out(tmp_path)
    assert not [path for path in shelved(hamlet) if ".parquet." in path.name]
    push_all(hamlet)
    assert pipeline.check(hamlet.open()).sound


@pytest.mark.parametrize(
    ("frequency", "mode", "made"),
    [("on_change", "full", 196), ("once", "full", 0), ("@yearly", "full", 0), ("on_change", "changes", 0)],
)
def test_only_what_is_due_in_full_is_foreseen(tmp_path, foreseeing, frequency, mode, made):
    hamlet = laid_out(tmp_path)
    for path in hamlet.contract("residents").parent.glob("agreements/*"):
        if path.name != "plain.oaas.yaml":
            path.unlink()
    document = yaml.safe_load(hamlet.agreement("residents", "plain").read_text())
    terms = document["customProperties"][0]["value"]
    terms["frequency"], terms["delivery"]["mode"] = frequency, mode
    write_yaml(hamlet.agreement("residents", "plain"), document)
    assert pipeline.push(hamlet.open(), f"{DATASET}/plain").status == "delivered"
    foreseeing.clear()
    hamlet.sql("UPDATE residents SET name = 'Other', changed_at = '2026-06-01T00:00:00' WHERE resident_no = 'R0001'")
    exchange = hamlet.open()
    assert pipeline.validate(exchange, pipeline.pull(exchange, DATASET).id).accepted
    assert sum(foreseeing) == made


def test_events_of_other_rows_do_not_leave(tmp_path, foreseeing, monkeypatch):
    hamlet = laid_out(tmp_path)
    assert foreseeing
    (of_all,) = {
        path.name.partition(".")[0]
        for path in shelved(hamlet)
        if ".json." in path.name and b'"insert":196' in path.read_bytes()
    }
    monkeypatch.setattr(Cut, "events", lambda *_: of_all)
    with pytest.raises(LedgerBroken, match="share events"):
        pipeline.push(hamlet.open(), f"{DATASET}/some")
    assert not list((hamlet.school / "some").glob("*"))


def test_events_foreseen_under_an_older_ledger_key_are_made_anew(tmp_path, foreseeing):
    hamlet = laid_out(tmp_path)
    rotate(keys_folder(hamlet.home), LEDGER)
    foreseeing.clear()
    exchange = hamlet.open()
    assert pipeline.push(exchange, f"{DATASET}/plain").status == "delivered"
    assert foreseeing == [196]
    assert {each.consumer for each in who(exchange.state, exchange.store, exchange.keys, "R0001")} == {"plain"}
    assert pipeline.check(exchange).sound


def test_so_are_the_events_of_a_first_delivery_of_changes(tmp_path, foreseeing, monkeypatch):
    entries_of = []
    for ahead in (True, False):
        monkeypatch.setattr(foreseen, "MANY", 1 if ahead else 1_000)
        foreseeing.clear()
        hamlet = laid_out(tmp_path / str(ahead), keys=tmp_path / "True" / "var" / "keys" if entries_of else None)
        document = yaml.safe_load(hamlet.agreement("residents", "some").read_text())
        document["customProperties"][0]["value"]["delivery"]["mode"] = "changes"
        write_yaml(hamlet.agreement("residents", "some"), document)
        exchange = hamlet.open()
        foreseeing.clear()
        assert pipeline.push(exchange, f"{DATASET}/some").status == "delivered"
        assert bool(foreseeing) != ahead
        assert pipeline.check(exchange).sound
        entries_of += entries(exchange)
    assert entries_of[0] == entries_of[1]
