"""What every channel promises, on real consumers' systems: whole, once, in order, on the right base, and killable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import crossdock.delivery.channels
from crossdock.delivery.channels.channel import arrived, clear, deliver
from crossdock.errors import ConsumerRefused
from delivery.carry import FIRST, SECOND, killed_at, make
from delivery.consumers import COLUMNS, KINDS, consumer
from delivery.samples import held, person, shipment
from killing import steps

MODES = ["full", "changes"]


@pytest.fixture(params=KINDS)
def system(request, tmp_path):
    return consumer(request.param, tmp_path, request)


def expected(rows):
    return {r["resident_id"]: tuple(r[c] for c in COLUMNS) for r in rows}


def test_every_channel_is_tested():
    modules = {p.stem for p in Path(crossdock.delivery.channels.__path__[0]).glob("*.py")} - {"__init__", "channel"}
    assert modules == set(KINDS_OF)


@pytest.mark.parametrize("mode", MODES)
def test_deliveries_follow_one_another(system, tmp_path, mode):
    agreed = system.agreed(mode)
    first = make(tmp_path, agreed, 1)
    receipt = deliver(first, system.connection)
    assert system.rows() == expected(FIRST)
    assert receipt.digest == first.digest
    assert receipt == arrived(agreed, "d1", system.connection) == deliver(first, system.connection)
    assert arrived(agreed, "d2", system.connection) is None
    second = make(tmp_path, agreed, 2)
    deliver(second, system.connection)
    assert system.rows() == expected(SECOND)
    assert deliver(first, system.connection) == receipt
    assert system.rows() == expected(SECOND)


@pytest.mark.parametrize("mode", MODES)
def test_many_workers_deliver_one_delivery_once(system, tmp_path, mode):
    agreed = system.agreed(mode)
    shipments = [shipment(tmp_path / str(i), agreed, FIRST) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(lambda s: deliver(s, system.connection), shipments))
    assert len({(r.delivery_id, r.digest, r.location) for r in receipts}) == 1
    assert system.rows() == expected(FIRST)


def test_two_deliveries_at_once_leave_the_newer(system, tmp_path):
    """Whichever is first: the newer is there in the end, and the older was before it or was refused."""
    agreed = system.agreed()
    pair = [make(tmp_path, agreed, 1), make(tmp_path, agreed, 2)]

    def attempt(one):
        try:
            return deliver(one, system.connection).delivery_id
        except ConsumerRefused as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        older, newer = pool.map(attempt, pair)
    assert newer == "d2"
    assert older == "d1" or "newer delivery" in older
    assert system.rows() == expected(SECOND)


def test_an_older_snapshot_never_wins(system, tmp_path):
    agreed = system.agreed()
    deliver(make(tmp_path, agreed, 2), system.connection)
    with pytest.raises(ConsumerRefused, match="already holds a newer delivery, d2"):
        deliver(make(tmp_path, agreed, 1), system.connection)
    assert system.rows() == expected(SECOND)


def test_changes_go_only_on_their_base(system, tmp_path):
    """d2 arrived but its receipt was lost with its worker; d3, worked out against d1, must not go on top of it."""
    agreed = system.agreed("changes")
    first = make(tmp_path, agreed, 1)
    deliver(first, system.connection)
    deliver(make(tmp_path, agreed, 2), system.connection)
    third = shipment(tmp_path / "3", agreed, FIRST[:1], sequence=3, previous=held(first.prepared, "d1"))
    with pytest.raises(ConsumerRefused, match="build on delivery d1, but the consumer holds d2"):
        deliver(third, system.connection)
    assert arrived(agreed, "d2", system.connection)
    assert system.rows() == expected(SECOND)


def test_another_layout_replaces(system, tmp_path):
    agreed = system.agreed("changes")
    first = make(tmp_path, agreed, 1)
    deliver(first, system.connection)
    after = replace(agreed, delivery=replace(agreed.delivery, options=system.options | {"note": "again"}))
    deliver(shipment(tmp_path / "2", after, SECOND, sequence=2, previous=held(first.prepared, "d1")), system.connection)
    assert system.rows() == expected(SECOND)


def test_a_delivery_is_never_overwritten_by_another_of_its_id(system, tmp_path):
    agreed = system.agreed()
    deliver(shipment(tmp_path / "1", agreed, FIRST), system.connection)
    with pytest.raises(ConsumerRefused, match="other content"):
        deliver(shipment(tmp_path / "2", agreed, SECOND), system.connection)
    assert system.rows() == expected(FIRST)


def test_nothing_is_a_delivery_too(system, tmp_path):
    agreed = system.agreed("changes")
    first = shipment(tmp_path / "1", agreed, [])
    deliver(first, system.connection)
    deliver(shipment(tmp_path / "2", agreed, FIRST, sequence=2, previous=held(first.prepared, "d1")), system.connection)
    assert system.rows() == expected(FIRST)


def test_awkward_text_arrives_as_it_is(system, tmp_path):
    texts = ['it\'s "q"', "a,b\nc", "姓名 张三", "NULL", "\\N", "; DROP TABLE population; --", "$1 ? %s", "🙂"]
    people = [person(n, name=text) for n, text in enumerate(texts)]
    deliver(shipment(tmp_path / "1", system.agreed(), people), system.connection)
    assert system.rows() == expected(people)


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("kind", ["bucket", "sftp"])
def test_every_format_arrives_by_every_channel_of_files(kind, form, tmp_path, request):
    """The folder has its formats as kinds of their own; a web service takes JSON lines only."""
    system = consumer(kind, tmp_path, request)
    system.options["format"] = form
    agreed = system.agreed("changes")
    for number, rows in ((1, FIRST), (2, SECOND)):
        deliver(make(tmp_path, agreed, number), system.connection)
        assert system.rows() == expected(rows)
    names = [name for _, files in system.deliveries() for name in files]
    assert sorted(names) == sorted(f"{name}.{form}" for name in ("rows", "rows", "deletes"))


KINDS_OF = {
    "database": ("sqlite", "postgres", "mariadb", "mysql", "dialect"),
    "folder": ("folder-csv",),
    "bucket": ("bucket",),
    "sftp": ("sftp",),
    "webhook": ("webhook",),
}
CASES = [
    (kind, channel, place)
    for step in steps()
    for stage, _, of in [step.partition(".")]
    for channel, _, place in [of.partition(".")]
    if stage == "delivery" and step != "delivery.database.altered"  # test_layout
    for kind in KINDS_OF[channel]
]


@pytest.mark.parametrize(("kind", "channel", "step"), CASES)
def test_killed_at_any_step_and_repeated(kind, channel, step, tmp_path, request):
    """Before the repeat the consumer sees the old state or the new; after it the new; and the first receipt holds."""
    system = consumer(kind, tmp_path, request)
    agreed = system.agreed("changes")
    deliver(make(tmp_path / "here", agreed, 1), system.connection)
    assert killed_at(f"delivery.{channel}.{step}", system, agreed=agreed, folder=tmp_path / "there")
    there = step in ("committed", "shown", "manifested")
    assert system.rows() == expected(SECOND if there else FIRST)
    before = arrived(agreed, "d2", system.connection)
    assert (before is not None) is there
    receipt = deliver(make(tmp_path / "again", agreed, 2), system.connection)
    assert system.rows() == expected(SECOND)
    assert before in (None, receipt)


@pytest.mark.parametrize(
    ("kind", "channel", "step"), [case for case in CASES if case[0] in ("folder", "bucket", "sftp")]
)
def test_what_a_killed_attempt_left_is_cleared_unless_it_arrived(kind, channel, step, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    agreed = system.agreed("changes")
    deliver(make(tmp_path / "here", agreed, 1), system.connection)
    before = set(system.keys())
    assert killed_at(f"delivery.{channel}.{step}", system, agreed=agreed, folder=tmp_path / "there")
    left = set(system.keys())
    assert left > before
    clear(agreed, "d2", system.connection)
    there = arrived(agreed, "d2", system.connection) is not None
    assert set(system.keys()) == (left if there else before)
    clear(agreed, "d1", system.connection)
    deliver(make(tmp_path / "again", agreed, 2), system.connection)
    assert system.rows() == expected(SECOND)


def test_where_nothing_is_left_there_is_nothing_to_clear(system, tmp_path):
    agreed = system.agreed()
    clear(agreed, "d1", system.connection)
    deliver(make(tmp_path, agreed, 1), system.connection)
    clear(agreed, "d1", system.connection)
    assert system.rows() == expected(FIRST)


def test_errors_hold_no_value(tmp_path, request):
    """A NUL is no text for PostgreSQL, and its message would quote the row."""
    system = consumer("postgres", tmp_path, request)
    with pytest.raises(ConsumerRefused, match="SQLSTATE") as caught:
        deliver(shipment(tmp_path / "1", system.agreed(), [person(1, name="CANARY\x00CANARY")]), system.connection)
    assert "CANARY" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__suppress_context__
