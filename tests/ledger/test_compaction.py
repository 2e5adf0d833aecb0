"""Compacted or not, the ledger says the same: counts, lookups, proofs, subjects; and every damage is found and named."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.errors import LedgerBroken, ObjectMissing
from crossdock.identity import file_sha256
from crossdock.ledger import compaction, segments
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import read_entries
from crossdock.ledger.checking import check_proof
from crossdock.ledger.compaction import compact
from crossdock.ledger.counts import count
from crossdock.ledger.distinct import with_subjects
from crossdock.ledger.heads import sign_heads
from crossdock.ledger.proofs import prove_delivery, prove_record
from crossdock.ledger.segments import ENTRY
from crossdock.ledger.subjects import who
from crossdock.ledger.verify import verify

BY = ("dataset", "consumer", "day")


def tidy(world, times: int = 1):
    """Compacts, and once more for what only the next call deletes."""
    for n in range(times):
        folder = world.root / f"scratch-{world.made}-{n}"
        folder.mkdir(exist_ok=True)
        done = compact(world.state, world.store, folder)
        assert [path for path in folder.rglob("*") if path.is_file()] == []
    return done


def check(world):
    return verify(world.state, world.store, world.keys.public())


def fill(world):
    """Deliveries on two days: none, one and many events; of people, and of records about people."""
    world.deliver("a", "b", updated=["c"], deleted=["d"])
    world.deliver(consumer="health")
    world.deliver(*(f"n{n}" for n in range(3_000)), day=0)
    world.deliver("f", "g", "h", dataset="transport/flights", subjects=["a", "q", "a"], day=1)
    world.deliver("a", consumer="public", day=1)
    sign_heads(world.state, world.store, world.keys)
    return world


@pytest.fixture
def filled(world):
    return fill(world)


def told(world, people=("a", "b", "n7", "q", "z")):
    """All that the ledger says."""
    recounted = count(world.state, world.store, by=BY, recount=True)
    return {
        "counts": with_subjects(recounted, world.state, world.store, world.keys).to_dict(),
        "who": {name: [r.to_dict() for r in who(world.state, world.store, world.keys, name)] for name in people},
        "breaks": check(world),
        "proofs": [proven(world, entry) for entry in read_entries(world.state)],
    }


def proven(world, entry):
    found = prove_delivery(world.state, world.store, entry.body.delivery)
    key = {1: "c", 3: "n2999", 4: "h", 5: "a"}.get(entry.seq)
    if key is None:
        return found
    found = prove_record(found, Archive.open(world.state, world.store), world.keys, [key])
    assert check_proof(json.dumps(found).encode(), world.keys.public()).record
    return found


def objects(world, prefix):
    return list(world.store.list(prefix))


@pytest.mark.parametrize("where", ["world", "world_on_postgres", "world_on_s3"])
def test_compacted_it_says_what_it_said_before(where, request):
    world = fill(request.getfixturevalue(where))
    before = told(world)
    assert before["breaks"] == []
    done = tidy(world)
    assert (done.written, done.deleted) == (1, 0)
    assert told(world) == before
    assert len(objects(world, "ledger/events/")) == 5  # whoever reads now may still need them
    done = tidy(world)
    assert (done.written, done.deleted) == (0, 5)
    assert objects(world, "ledger/events/") == []
    assert len(objects(world, "ledger/segments/")) == 1
    assert told(world) == before


def test_a_few_segments_hold_what_many_deliveries_made(world):
    for n in range(40):
        world.deliver(f"a{n}", "always", updated=[f"b{n}"])
        tidy(world)
    tidy(world)
    assert len(objects(world, "ledger/segments/")) <= 6
    assert objects(world, "ledger/events/") == []
    assert check(world) == []
    assert len(who(world.state, world.store, world.keys, "always")) == 40
    assert count(world.state, world.store, by=(), recount=True).shares == 120


def test_a_large_delivery_keeps_its_file(filled, monkeypatch):
    before = told(filled)
    for module in ("archive", "compaction"):
        monkeypatch.setattr(f"crossdock.ledger.{module}.RUN", 1_000)
    monkeypatch.setattr("crossdock.ledger.segment_evidence._TOGETHER", 1_000)
    tidy(filled, 2)
    assert len(objects(filled, "ledger/events/")) == 1
    assert told(filled) == before
    filled.store.delete(objects(filled, "ledger/events/")[0])
    assert [(found.seq, "missing" in found.what) for found in check(filled)] == [(3, True)]


def test_a_segment_is_no_larger_than_a_lookup_can_bear(world, monkeypatch):
    monkeypatch.setattr(compaction, "_LARGEST", 10)
    for n in range(6):
        world.deliver(*(f"{n}-{m}" for m in range(4)))
    tidy(world, 2)
    assert [segment.rows for segment in segments.segments(world.store, after=0)] == [8, 8, 8]
    assert check(world) == []


def test_segments_that_two_made_at_once_are_read_once(filled):
    """Both are true; each entry is answered for by one of them, and what is not read is deleted."""
    tidy(filled)
    (first,) = segments.segments(filled.store, after=0)
    filled.deliver("a", "r", day=2)
    filled.deliver("s", day=2)
    sign_heads(filled.state, filled.store, filled.keys)
    before = told(filled)
    folder = filled.root / "other"
    folder.mkdir()
    entries = list(read_entries(filled.state))
    compaction._write(filled.store, folder, [], entries[5:])
    compaction._write(filled.store, folder, [first], entries[5:6])
    assert [(s.first, s.start, s.last) for s in segments.segments(filled.store, after=0)] == [(1, 1, 6), (6, 7, 7)]
    assert told(filled) == before
    tidy(filled, 2)
    assert len(objects(filled, "ledger/segments/")) == 2
    assert objects(filled, "ledger/events/") == []
    assert told(filled) == before


def test_a_missing_event_file_is_named(filled):
    key = objects(filled, "ledger/events/")[0]
    filled.store.delete(key)
    with pytest.raises(ObjectMissing, match=key):
        tidy(filled)
    assert objects(filled, "ledger/segments/") == []


def test_two_runs_of_the_same_work_leave_one_segment(filled):
    tidy(filled)
    (key,) = objects(filled, "ledger/segments/")
    data = filled.store.read(key)
    filled.store.delete(key)
    tidy(filled)
    assert objects(filled, "ledger/segments/") == [key]
    assert filled.store.read(key) == data


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 1_000_000), bit=st.integers(0, 7))
def test_a_flipped_bit_in_a_segment_is_found_and_named(filled, at, bit):
    tidy(filled, 2)
    (key,) = objects(filled, "ledger/segments/")
    path = filled.store.root / key
    data = path.read_bytes()
    changed = bytearray(data)
    changed[at % len(data)] ^= 1 << bit
    path.write_bytes(bytes(changed))
    breaks = check(filled)
    path.write_bytes(data)
    assert [(found.seq, found.where) for found in breaks] == [(1, key)]


def rewrite(world, change, *, metadata=None):
    """Writes a segment's events anew, under the name that fits, as somebody would who may write to the store."""
    (key,) = objects(world, "ledger/segments/")
    table = change(pq.read_table(world.store.root / key))
    path = world.root / "rewritten.parquet"
    with compaction.writing(path, table.schema.with_metadata(metadata or table.schema.metadata)) as writer:
        writer.write_table(table, row_group_size=1_000)
    world.store.delete(key)
    renamed = f"{key[:-24]}{file_sha256(path)[:16]}.parquet"
    world.store.put_file(renamed, path)
    return renamed


def swapped(table, name, one, other):
    values = table[name].to_pylist()
    values[one], values[other] = values[other], values[one]
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


def more(table, added):
    booked = pa.array(table[ENTRY].to_numpy() + added, pa.int32())
    return table.set_column(2, table.schema.field(ENTRY), booked)


@pytest.mark.parametrize(
    ("change", "seqs", "what"),
    [
        (lambda t: t.slice(1), 1, "The segment holds"),
        (lambda t: pa.concat_tables([t, t.slice(t.num_rows - 1)]), 1, "The segment holds"),
        (lambda t: t.take(list(range(t.num_rows))[::-1]), 5, "not in their order"),
        (lambda t: swapped(t, "record", *about_someone(t)), 1, "The Merkle tree"),
        (
            lambda t: t.set_column(2, t.schema.field(ENTRY), pa.array([21] * t.num_rows, pa.int32())),
            5,
            "that has none",
        ),
        (lambda t: more(t, 1), 6, "The segment holds"),  # other operations
        (lambda t: more(t, 3), 6, "The segment holds"),  # of other entries
        (lambda t: t.drop(["record"]), 1, "cannot be read"),
        (lambda t: t.set_column(0, "subject", pa.nulls(t.num_rows, pa.binary(4))), 1, "cannot be read"),
    ],
)
def test_a_segment_that_was_written_anew_is_found(filled, change, seqs, what):
    tidy(filled, 2)
    key = rewrite(filled, change)
    found = check(filled)
    assert {each.where for each in found} == {key}
    assert len({each.seq for each in found}) <= seqs
    assert any(what in each.what for each in found), found


@pytest.mark.parametrize("entry", [-1, 5, 1_000_000])
def test_events_of_an_entry_that_is_none_are_not_counted_as_those_of_another(filled, entry):
    tidy(filled, 2)
    key = rewrite(filled, lambda t: t.set_column(2, t.schema.field(ENTRY), pa.array([3 * entry] * len(t), pa.int32())))
    with pytest.raises(LedgerBroken, match=key):
        count(filled.state, filled.store, by=BY, recount=True)


def about_someone(table):
    """Where two events of records about people are."""
    return [place for place, record in enumerate(table["record"].to_pylist()) if record][:2]


def test_a_segment_whose_name_tells_another_number_of_events_is_found(filled):
    tidy(filled, 2)
    (key,) = objects(filled, "ledger/segments/")
    renamed = key.replace("-000000003008-", "-000000003009-")
    filled.store.put_new(renamed, filled.store.read(key))
    filled.store.delete(key)
    assert renamed in {found.where for found in check(filled)}


def test_a_segment_that_hides_entries_is_found(filled):
    tidy(filled, 2)
    key = rewrite(filled, lambda table: table, metadata={b"crossdock.apart": b"[3]"})
    assert [(found.seq, found.where) for found in check(filled)] == [(1, key)]


def test_written_anew_as_it_was_it_is_the_same(filled):
    before = told(filled)
    tidy(filled, 2)
    rewrite(filled, lambda table: table)
    assert told(filled) == before


def test_a_missing_segment_is_missing_events(filled):
    tidy(filled, 2)
    filled.store.delete(objects(filled, "ledger/segments/")[0])
    assert [found.seq for found in check(filled)] == [1, 2, 3, 4, 5]


def test_something_else_among_the_segments_is_named(filled):
    filled.store.put_new("ledger/segments/notes.txt", b"?")
    assert [found.where for found in check(filled)] == ["ledger/segments/notes.txt"]
    with pytest.raises(LedgerBroken, match="none"):
        tidy(filled)


names = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, st.integers(0, 2), st.booleans(), st.booleans()), max_size=8))
def test_whenever_it_is_compacted_it_says_the_same(worlds, made):
    plain, compacted = worlds(), worlds()
    compacted.keys = plain.keys
    for inserted, day, about, now in made:
        options = {"day": day, "subjects": [*reversed(inserted)] if about else None}
        for world in (plain, compacted):
            world.deliver(*inserted, **options)
        if now:
            tidy(compacted)
    said = [
        (
            [(r.dataset, r.operation, r.records) for name in "abcd" for r in who(w.state, w.store, w.keys, name)],
            count(w.state, w.store, by=BY, recount=True),
            with_subjects(count(w.state, w.store, by=BY), w.state, w.store, w.keys),
            [found.what for found in verify(w.state, w.store, plain.keys.public())],
        )
        for w in (plain, compacted)
    ]
    assert said[0] == said[1]


def test_nobody_is_found_among_deliveries_without_records(world):
    world.deliver()
    world.deliver()
    tidy(world, 2)
    assert who(world.state, world.store, world.keys, "a") == []
    assert count(world.state, world.store, by=(), recount=True).deliveries == 2
    assert check(world) == []
