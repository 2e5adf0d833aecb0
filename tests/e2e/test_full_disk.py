"""A disk that is really full, ours or the consumer's: nothing half visible, and the same push delivers once when there is room."""

from __future__ import annotations

import re

import pytest

from crossdock import pipeline, sweep
from crossdock.discretion import Discretion
from crossdock.errors import ConsumerUnavailable, CrossdockError, Transient
from crossdock.ledger.counts import count
from crossdock.storage.records import deliveries
from hamlet import found, permits, school_files, tax_rows

TABLE, FOLDER = "town_hall/permits/tax", "town_hall/permits/school"
CHANGED, CAME = ["P0020", "R0020", "99.99", ""], ["P9999", "R0001", "1.00", ""]
SHARES = {TABLE: 2, FOLDER: 88}  # by the second push: changes, and all rows
FULL = r"disk\b.* is full|No space left on device"
CASES = [
    ("scratch", TABLE),
    ("scratch", FOLDER),
    ("store", TABLE),
    ("store", FOLDER),
    ("state", TABLE),
    ("tax", TABLE),
    ("school", FOLDER),
]


@pytest.fixture
def hamlet(tmp_path):
    return found(tmp_path / "home")


@pytest.fixture
def disk(place, hamlet, volume, monkeypatch, tmp_path):
    """A small disk on which the hamlet has its first deliveries, and whatever `place` names."""
    folders = {"tax": hamlet.tax.parent, "school": hamlet.school, "scratch": hamlet.home / "var" / "scratch"}
    made = volume(folders.get(place, tmp_path / "disk"), "4m")
    if place == "store":
        monkeypatch.setenv("CROSSDOCK_STORE", str(made.folder / "store"))
    if place == "state":
        monkeypatch.setenv("CROSSDOCK_STATE", f"sqlite:///{made.folder / 'state.db'}")
    assert not hamlet.sweep().failures
    hamlet.write_permits([*permits(P0010=[], P0020=CHANGED), CAME])
    exchange = hamlet.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    return made


def seen(hamlet):
    """What the consumers see."""
    return tax_rows(hamlet, "permits"), {k: v for k, v in school_files(hamlet).items() if k != "ballast"}


def shared(exchange, agreement):
    """How often the agreement's consumer was given a permit, as counted and as recounted from the events."""
    dataset, _, consumer = agreement.rpartition("/")
    counted = []
    for recount in (False, True):
        groups = count(exchange.state, exchange.store, by=("dataset", "consumer"), recount=recount).groups
        counted += [g["shares"] for g in groups if (g["dataset"], g["consumer"]) == (dataset, consumer)]
    return counted


@pytest.mark.parametrize(("place", "agreement"), CASES)
def test_a_push_onto_a_disk_with_ever_more_room(place, agreement, disk, hamlet):
    """Page by page there is a little more room, so that the disk is full at whatever the push writes there."""
    before, counted = seen(hamlet), shared(hamlet.open(), agreement)
    disk.fill()
    failures: list[CrossdockError] = []  # with whatever they hold: of a failed attempt not a page is left
    meanwhile = []
    while True:
        try:
            with Discretion():
                status = pipeline.push(hamlet.open(), agreement).status
            break
        except CrossdockError as error:
            failures.append(error)
        meanwhile.append(seen(hamlet))
        disk.free()
    after = seen(hamlet)
    demand_second(agreement, before, after)
    # When only booking it fails, the consumer has the whole of it before we can say so.
    arrived = after in meanwhile
    assert status == ("unchanged" if arrived else "delivered")
    assert not arrived or place == "state"
    assert meanwhile
    assert all(each in (before, after) for each in meanwhile)
    for failure in failures:
        assert isinstance(failure, ConsumerUnavailable if place in ("tax", "school") else Transient), repr(failure)
        assert re.search(FULL, str(failure)), repr(failure)
    exchange = hamlet.open()
    assert pipeline.push(exchange, agreement).status == "unchanged"
    assert seen(hamlet) == after
    assert shared(exchange, agreement) == [n + SHARES[agreement] for n in counted]
    assert [d.status for d in deliveries(exchange.state) if d.agreement == agreement] == ["delivered"] * 2
    assert pipeline.check(exchange).sound
    assert [left.name for left in (hamlet.school / "permits" / ".incoming").iterdir()] == ["lock"]
    assert not list((hamlet.home / "var" / "scratch").glob("tmp*"))
    assert {file.name for file in hamlet.tax.parent.iterdir()} <= {"tax.db", "ballast"}


def demand_second(agreement, before, after):
    """Demands that the second push is there, and nothing else is."""
    (rows, files), (old_rows, old_files) = after, before
    if agreement == TABLE:
        kept = {row[0]: row for row in old_rows if row[0] not in ("P0010", "P0020")}
        came = {"P0020": ("P0020", "R0020", "99.99"), "P9999": ("P9999", "R0001", "1.00")}
        assert ({row[0]: row for row in rows}, files) == (kept | came, old_files)
    else:
        (new,) = files.keys() - old_files.keys()
        assert (rows, {k: v for k, v in files.items() if k != new}) == before
        keys = {line.partition(b",")[0].strip(b'"') for line in files[new].splitlines()[1:]}
        assert len(keys) == SHARES[FOLDER]
        assert b"P9999" in keys
        assert b"P0010" not in keys


@pytest.mark.parametrize("place", ["tax", "school"])
def test_one_consumers_full_disk_is_not_anothers(place, disk, hamlet):
    disk.fill()
    done = sweep.run(hamlet.open())
    full, other = (TABLE, FOLDER) if place == "tax" else (FOLDER, TABLE)
    assert {step.subject for step in done.failures} == {full}
    assert {o.agreement: o.status for o in done.outcomes}[other] == "delivered"
