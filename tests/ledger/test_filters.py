"""Filters spare a lookup what it need not open, hide nobody, and verify makes each anew."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.errors import LedgerBroken
from crossdock.ledger.compaction import compact
from crossdock.ledger.event_files import open_events
from crossdock.ledger.events import HASH, SCHEMA, EventWriter
from crossdock.ledger.filters import FILTERS, Filtered, add_filters, drop_filters, filters, may_hold, name_of
from crossdock.ledger.retired import retire
from crossdock.ledger.subjects import who
from crossdock.ledger.verify import verify
from crossdock.storage.local import LocalStore

KEY = "ledger/events/e.parquet"


def filtered(folder, hashes, apart=()):
    """Writes an event file and its filter, and returns the store and the filter's key."""
    store = LocalStore(Path(folder) / "store")
    (store.root / "ledger/events").mkdir(parents=True)
    with EventWriter(store.root / KEY) as writer:
        writer.add(pa.array(hashes, HASH), None, "insert")
    add_filters(store, Path(folder), [Filtered(KEY, SCHEMA, len(hashes), list(apart))])
    return store, filters(store).get(name_of(KEY))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.binary(min_size=16, max_size=16) | st.integers(0, 5).map(lambda n: bytes(15) + bytes([n])), min_size=1),
    st.lists(st.integers(1, 10**9), max_size=3),
)
def test_whoever_is_in_the_file_is_never_filtered_out(hashes, apart):
    with tempfile.TemporaryDirectory() as folder:
        store, key = filtered(folder, hashes, apart)
        wanted = list(dict.fromkeys(hashes))
        assert may_hold(store, key, len(hashes), wanted) == (wanted, apart)
        assert store.read(key)[len(hashes) :].decode() == str(apart)


def test_most_of_those_who_are_not_in_the_file_are_filtered_out(tmp_path):
    store, key = filtered(tmp_path, [os.urandom(16) for _ in range(50_000)])
    strangers = [os.urandom(16) for _ in range(4_000)]
    found, _ = may_hold(store, key, 50_000, strangers)
    assert 0.09 < len(found) / len(strangers) < 0.15  # 1 - e^(-1/8)


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff" * 9, b"\xff" * 3 + b"{ }", b"\xff" * 3 + b'["1"]'])
def test_what_is_no_filter_is_said_to_be_none(tmp_path, content):
    store, key = filtered(tmp_path, [os.urandom(16) for _ in range(3)])
    (store.root / key).write_bytes(content)
    with pytest.raises(LedgerBroken, match=key):
        may_hold(store, key, 3, [os.urandom(16)])


def test_a_filter_that_was_just_deleted_filters_nothing(tmp_path):
    store, key = filtered(tmp_path, [os.urandom(16)])
    store.delete(KEY)
    drop_filters(store)
    assert filters(store) == {}
    assert may_hold(store, key, 1, [os.urandom(16)]) is None


def tidy(world, times=2):
    folder = world.root / "scratch"
    folder.mkdir(exist_ok=True)
    for _ in range(times):
        compact(world.state, world.store, folder)
    assert list(folder.iterdir()) == []


def check(world):
    return verify(world.state, world.store, world.keys.public())


def names(world, folder):
    return {name_of(key) for key in world.store.list(folder)}


@pytest.fixture
def filled(world, monkeypatch):
    """Compacted: a segment, and a delivery that is large enough for a file of its own."""
    for module in ("archive", "compaction"):
        monkeypatch.setattr(f"crossdock.ledger.{module}.RUN", 100)
    monkeypatch.setattr("crossdock.ledger.segment_evidence._TOGETHER", 100)
    world.deliver("a", "b")
    world.deliver(*(f"n{n}" for n in range(300)), "a", consumer="health")
    world.deliver("c", consumer="public")
    tidy(world)
    return world


def told(world, people=("a", "b", "c", "n7", "n299", "z")):
    return [[(r.consumer, r.records) for r in who(world.state, world.store, world.keys, name)] for name in people]


def opened(monkeypatch):
    """Returns the keys of the event files that are opened from now on."""
    keys = []

    def remembered(store, key, schema):
        keys.append(key)
        return open_events(store, key, schema)

    for module in ("archive", "segments"):
        monkeypatch.setattr(f"crossdock.ledger.{module}.open_events", remembered)
    return keys


def test_segments_and_large_files_have_filters_and_nothing_else_has(filled):
    assert set(filters(filled.store)) == names(filled, "ledger/segments/") | names(filled, "ledger/events/")
    assert len(filters(filled.store)) == 2
    assert check(filled) == []


def test_a_lookup_opens_what_may_hold_somebody_and_nothing_else(filled, monkeypatch):
    keys = opened(monkeypatch)
    strangers = [f"stranger {n}" for n in range(100)]
    expected = told(filled)
    assert expected[:3] == [[("tax", 1), ("health", 1)], [("tax", 1)], [("public", 1)]]
    assert expected[3:] == [[("health", 1)], [("health", 1)], []]
    keys.clear()
    assert told(filled, strangers) == [[] for _ in strangers]
    assert len(keys) < 130  # each is looked for by four hashes, of which one in nine passes
    for key in filters(filled.store).values():
        filled.store.delete(key)
    keys.clear()
    assert told(filled) == expected
    assert len(keys) == 12
    assert check(filled) == []
    tidy(filled, 1)  # who lacks one gets one
    assert len(filters(filled.store)) == 2
    assert told(filled) == expected


@pytest.mark.parametrize(("folder", "seq"), [("ledger/segments/", 1), ("ledger/events/", 2)])
def test_a_bit_that_is_not_set_is_found_and_named(filled, folder, seq):
    (name,) = names(filled, folder)
    key = filters(filled.store)[name]
    data = bytearray(filled.store.read(key))
    place = next(place for place, octet in enumerate(data) if octet)
    data[place] = 0
    (filled.store.root / key).write_bytes(bytes(data))
    assert [(found.seq, found.where, "filter" in found.what) for found in check(filled)] == [(seq, key, True)]


def test_a_filter_that_hides_large_deliveries_is_found(filled):
    (segment,) = names(filled, "ledger/segments/")
    key = filters(filled.store)[segment]
    path = filled.store.root / key
    assert path.read_bytes().endswith(b"[2]")
    path.write_bytes(path.read_bytes()[:-3] + b"[]")
    assert [found.where for found in check(filled)] == [key]


def test_a_second_filter_of_a_file_is_examined_too(filled):
    (segment,) = names(filled, "ledger/segments/")
    other = f"{FILTERS}{segment}-ffffffffffffffff"
    filled.store.put_new(other, bytes(3) + b"[]")
    assert [found.where for found in check(filled)] == [other]


def test_a_segment_of_nothing_but_what_it_leaves_out_hides_nothing(world, monkeypatch):
    for module in ("archive", "compaction"):
        monkeypatch.setattr(f"crossdock.ledger.{module}.RUN", 1)
    monkeypatch.setattr("crossdock.ledger.segment_evidence._TOGETHER", 1)
    world.deliver("a", "b")
    tidy(world)
    assert len(who(world.state, world.store, world.keys, "a")) == 1
    assert check(world) == []


def test_filters_go_with_their_files(filled):
    before = set(filters(filled.store))
    filled.deliver("d", "e", day=1)
    tidy(filled)
    after = set(filters(filled.store))
    assert len(after) == 2
    assert len(after & before) == 1  # that of the large delivery
    assert [len(found) for found in told(filled, ("a", "d"))] == [2, 1]
    retire(filled.state, filled.store, filled.keys, before="2027-01-01")
    assert filters(filled.store) == {}
    assert check(filled) == []


def test_in_a_bucket_it_is_the_same(world_on_s3, monkeypatch):
    world = world_on_s3
    world.deliver("a", "b")
    world.deliver("a", consumer="health")
    tidy(world)
    keys = opened(monkeypatch)
    assert told(world, ("a", "b", "z")) == [[("tax", 1), ("health", 1)], [("tax", 1)], []]
    assert len(keys) <= 3
    assert len(filters(world.store)) == 1
    assert check(world) == []


names_of_people = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names_of_people, st.booleans()), max_size=6))
def test_with_and_without_filters_the_same_is_found(worlds, made):
    world = worlds()
    for people, now in made:
        world.deliver(*people)
        if now:
            tidy(world, 1)
    found = told(world, "abcdefgh")
    assert [len(each) for each in found] == [sum(name in people for people, _ in made) for name in "abcdefgh"]
    assert check(world) == []
