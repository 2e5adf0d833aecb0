from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import LedgerBroken, ObjectMissing, WrongUse
from crossdock.ledger.events import HASH, OPERATIONS, ROW_GROUP, SCHEMA, EventWriter, count_events, read_events
from crossdock.storage.local import LocalStore


def hashes(count: int) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(HASH, count, [None, pa.py_buffer(os.urandom(16 * count))])


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from(OPERATIONS), st.booleans()), max_size=8))
def test_what_was_written_is_read_back(parts):
    with tempfile.TemporaryDirectory() as folder:
        expected = []
        with EventWriter(Path(folder) / "events.parquet") as writer:
            for rows, operation, about_someone in parts:
                record, subject = hashes(rows), hashes(rows) if about_someone else None
                writer.add(record, subject, operation)
                subjects = subject.to_pylist() if subject is not None else [None] * rows
                expected += zip(record.to_pylist(), subjects, [operation] * rows, strict=True)
        store = LocalStore(Path(folder))
        read = [tuple(row.values()) for batch in read_events(store, "events.parquet") for row in batch.to_pylist()]
        assert read == expected
        counted = {name: sum(1 for row in expected if row[2] == name) for name in OPERATIONS}
        assert count_events(store, "events.parquet") == counted == writer.counts
        assert writer.rows == len(expected)


def test_operations_may_differ_by_row(tmp_path):
    with EventWriter(tmp_path / "e.parquet") as writer:
        writer.add(hashes(3), None, pa.array(["update", "delete", "update"]))
        writer.add(hashes(2), None, pa.array(["insert", "delete"]).dictionary_encode())
        writer.add(hashes(1), None, pa.chunked_array([["insert"]]))
    assert writer.counts == {"insert": 2, "update": 2, "delete": 2}
    assert count_events(LocalStore(tmp_path), "e.parquet") == writer.counts


def test_many_events_cost_about_seventeen_bytes_each_and_have_a_bloom_filter(tmp_path):
    rows = 2 * ROW_GROUP + 1_000
    with EventWriter(tmp_path / "e.parquet") as writer:
        for start in range(0, rows, 50_000):
            writer.add(hashes(min(50_000, rows - start)), None, "insert")
    assert (tmp_path / "e.parquet").stat().st_size / rows < 17.6
    metadata = pq.read_metadata(tmp_path / "e.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [ROW_GROUP, ROW_GROUP, 1_000]
    assert metadata.row_group(0).column(0).bloom_filter_offset
    assert metadata.row_group(0).column(1).bloom_filter_offset is None


def test_a_delivery_without_events_leaves_a_readable_file(tmp_path):
    with EventWriter(tmp_path / "e.parquet") as writer:
        pass
    assert writer.rows == 0
    assert pq.read_schema(tmp_path / "e.parquet").equals(SCHEMA)
    assert sum(count_events(LocalStore(tmp_path), "e.parquet").values()) == 0


def test_an_error_leaves_no_file(tmp_path):
    writer = EventWriter(tmp_path / "e.parquet")
    writer.add(hashes(ROW_GROUP), None, "insert")
    assert writer.path.exists()
    writer.__exit__(RuntimeError, RuntimeError(), None)
    assert list(tmp_path.iterdir()) == []


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
        count_events(store, "gone.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    for key in ("text.parquet", "other.parquet"):
        with pytest.raises(LedgerBroken, match=key):
            list(read_events(store, key))
