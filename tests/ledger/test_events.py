from __future__ import annotations

import hashlib
import os
import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.errors import LedgerBroken, ObjectMissing, WrongUse
from crossdock.ledger.event_files import find_events, positions, read_events
from crossdock.ledger.events import HASH, LEAF, OPERATIONS, ROW_GROUP, RUN, RUN_GROUPS, SCHEMA, EventWriter
from crossdock.ledger.packing import writing
from crossdock.storage.local import LocalStore


def hashes(count: int) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(HASH, count, [None, pa.py_buffer(os.urandom(16 * count))])


def rows_of(store, key="e.parquet"):
    return [tuple(row.values()) for batch in read_events(store, key) for row in batch.to_pylist()]


def tally(path):
    return pc.value_counts(pq.read_table(path)["operation"]).to_pylist()


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from(OPERATIONS), st.sampled_from(["", "all", "some"])), max_size=8
    )
)
def test_what_was_written_is_read_back_in_order(parts):
    with tempfile.TemporaryDirectory() as folder:
        added = []
        with EventWriter(Path(folder) / "e.parquet") as writer:
            for rows, operation, about_someone in parts:
                record = hashes(rows)
                subject = few(rows, every=about_someone == "all") if about_someone else None
                writer.add(record, subject, operation)
                subjects = subject.to_pylist() if subject is not None else [None] * rows
                pairs = zip(record.to_pylist(), subjects, strict=True)
                added += [(s, r, operation) if s else (r, None, operation) for r, s in pairs]
        read = rows_of(LocalStore(Path(folder)))
        assert read == sorted(added, key=lambda row: (row[0], row[1] or b"", OPERATIONS.index(row[2])))
        assert writer.counts == {name: sum(1 for row in added if row[2] == name) for name in OPERATIONS}
        assert writer.rows == len(added)
        where = positions(writer.path, range(len(added)), None)
        assert [read[position] for position in sorted(where, key=where.get)] == added


def test_the_tree_is_that_of_its_definition(tmp_path):
    """Leaves of LEAF events in the file's order; an event is subject, operation, whether a record is named, record."""
    rows = 2 * LEAF + 7
    record, subject = hashes(rows), few(rows, every=False)
    words = pa.array([OPERATIONS[row % 3] for row in range(rows)])
    with EventWriter(tmp_path / "e.parquet") as writer:
        writer.add(record, subject, words)
    spelled = [
        (s + bytes([OPERATIONS.index(o), 1]) + r) if s else (r + bytes([OPERATIONS.index(o), 0]) + bytes(16))
        for s, r, o in zip(subject.to_pylist(), record.to_pylist(), words.to_pylist(), strict=True)
    ]
    spelled.sort(key=lambda event: (event[:16], event[18:], event[16]))
    leaves = [hashlib.sha256(b"\0" + b"".join(spelled[at : at + LEAF])).digest() for at in range(0, len(spelled), LEAF)]
    left = hashlib.sha256(b"\1" + leaves[0] + leaves[1]).digest()
    assert writer.tree == hashlib.sha256(b"\1" + left + leaves[2]).hexdigest()


def test_equal_events_stand_as_they_were_added(tmp_path):
    with EventWriter(tmp_path / "e.parquet") as writer:
        for _ in range(100):
            writer.add(pa.array([bytes(16), bytes([1]) * 16], HASH), None, "insert")
    assert positions(writer.path, range(200), None) == dict(enumerate([*range(0, 200, 2), *range(1, 200, 2)]))


def test_rows_that_are_sent_in_another_order_are_found(tmp_path):
    events = [bytes([number]) * 16 for number in (3, 1, 2, 0)]
    with EventWriter(tmp_path / "e.parquet") as writer:
        writer.add(pa.array(events, HASH), None, "insert")
    order = np.array([2, 0, 3, 1], np.uint32)  # of which event each row is
    order.tofile(tmp_path / "places")
    found = positions(writer.path, [3, 0], tmp_path / "places")
    assert {row: position for position, row in found.items()} == {0: 2, 3: 1}  # events stand where their number says
    assert positions(writer.path, [], tmp_path / "places") == {}


def few(rows: int, *, every: bool) -> pa.Array:
    """Returns hashes of three subjects, and of nobody."""
    known = [*hashes(3).to_pylist(), None]
    return pa.array([random.choice(known[: 3 if every else 4]) for _ in range(rows)], HASH)


def test_operations_may_differ_by_row(tmp_path):
    with EventWriter(tmp_path / "e.parquet") as writer:
        writer.add(hashes(3), None, pa.array(["update", "delete", "update"]))
        writer.add(hashes(2), None, pa.array(["insert", "delete"]).dictionary_encode())
        writer.add(hashes(1), None, pa.chunked_array([["insert"]]))
    assert writer.counts == {"insert": 2, "update": 2, "delete": 2}
    assert {each["values"]: each["counts"] for each in tally(tmp_path / "e.parquet")} == writer.counts


def test_many_events_cost_about_sixteen_bytes_each_and_each_run_is_sorted(tmp_path):
    rows = RUN + 2 * ROW_GROUP + 1_000
    with EventWriter(tmp_path / "e.parquet") as writer:
        for start in range(0, rows, 50_000):
            writer.add(hashes(min(50_000, rows - start)), None, "insert")
    assert (tmp_path / "e.parquet").stat().st_size / rows < 16.6
    subjects = pq.read_table(tmp_path / "e.parquet")["subject"].to_pylist()
    assert subjects != sorted(subjects)
    assert subjects == sorted(subjects[:RUN]) + sorted(subjects[RUN:])
    metadata = pq.read_metadata(tmp_path / "e.parquet")
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [ROW_GROUP] * (RUN // ROW_GROUP + 2) + [1_000]
    assert groups[0].column(0).statistics.min == subjects[0]


def test_a_lookup_reads_only_the_row_groups_that_can_hold_it(tmp_path):
    """So few that their number does not grow with the file; what it finds is what a full look finds."""
    known = hashes(3)
    with EventWriter(tmp_path / "e.parquet") as writer:
        for _ in range(6):
            writer.add(hashes(300_000), None, "insert")
        writer.add(hashes(6), pa.concat_arrays([known, known]), pa.array(["insert", "update", "delete"] * 2))
    with Watched(pq.ParquetFile(tmp_path / "e.parquet")) as file:
        wanted = [*known[:2].to_pylist(), os.urandom(16)]
        found = find_events(file, "e", wanted, "operation", run=RUN_GROUPS)
        assert sorted(found.to_pylist()) == ["insert", "insert", "update", "update"]
        assert find_events(file, "e", wanted * 2, "subject", run=RUN_GROUPS).to_pylist().count(wanted[1]) == 2
        assert 1 <= len(file.read) <= 2 * len(wanted) * 2
        assert len(find_events(file, "e", [os.urandom(16)], "subject", run=RUN_GROUPS)) == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=200), st.sets(st.integers(0, 60), max_size=5), st.integers(1, 9)
)
def test_a_lookup_finds_what_a_full_look_finds(numbers, wanted, group):
    """Whatever is next to what in which row group, and however often one person is there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "e.parquet"
        subjects = pa.array(sorted(bytes([7] * 15 + [n]) for n in numbers), HASH)
        operations = [OPERATIONS[place % 3] for place in range(len(numbers))]
        words = pa.DictionaryArray.from_arrays(pa.array([n % 3 for n in range(len(numbers))], pa.int8()), OPERATIONS)
        with writing(path, SCHEMA) as writer:
            table = pa.table([subjects, pa.nulls(len(numbers), HASH), words], schema=SCHEMA)
            writer.write_table(table, row_group_size=group)
        sought = [bytes([7] * 15 + [n]) for n in wanted]
        with pq.ParquetFile(path) as file:
            found = find_events(file, "e", sought, "operation", run=1_000)
        expected = [o for s, o in zip(subjects.to_pylist(), operations, strict=True) if s in sought]
        assert sorted(found.to_pylist()) == sorted(expected)


class Watched:
    """A parquet file that remembers which row groups were read."""

    def __init__(self, file):
        self.file, self.metadata, self.schema_arrow, self.read = file, file.metadata, file.schema_arrow, set()

    def read_row_group(self, group, **options):
        self.read.add(group)
        return self.file.read_row_group(group, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def test_a_delivery_without_events_leaves_a_readable_file(tmp_path):
    with EventWriter(tmp_path / "e.parquet") as writer:
        pass
    assert writer.rows == 0
    assert pq.read_schema(tmp_path / "e.parquet").equals(SCHEMA)
    assert rows_of(LocalStore(tmp_path)) == []


def test_an_error_leaves_no_file(tmp_path):
    writer = EventWriter(tmp_path / "e.parquet")
    writer.add(hashes(RUN), None, "insert")
    assert writer.path.exists()
    writer.__exit__(RuntimeError, RuntimeError(), None)
    assert not writer.path.exists()


@pytest.mark.parametrize(
    ("record", "subject", "operation"),
    [
        (hashes(2), hashes(1), "insert"),
        (hashes(2), None, pa.array(["insert"])),
        (hashes(1), None, "upsert"),
        (hashes(1), None, pa.array([None], pa.string())),
        (pa.array([b"short"]), None, "insert"),
        (pa.nulls(1, HASH), None, "insert"),
        (hashes(1), pa.array(["text"]), "insert"),
    ],
)
def test_events_that_do_not_fit_are_refused(tmp_path, record, subject, operation):
    with pytest.raises(WrongUse), EventWriter(tmp_path / "e.parquet") as writer:
        writer.add(record, subject, operation)


def test_missing_and_foreign_files_are_told_apart(tmp_path):
    store = LocalStore(tmp_path)
    with pytest.raises(ObjectMissing, match=r"gone\.parquet"):
        list(read_events(store, "gone.parquet"))
    (tmp_path / "text.parquet").write_text("no parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    for key in ("text.parquet", "other.parquet"):
        with pytest.raises(LedgerBroken, match=key):
            list(read_events(store, key))
