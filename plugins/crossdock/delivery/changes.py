"""What changed for one consumer: the rows of a new delivery against what it holds from the last one.

A consumer's holdings are a parquet file of our own with one row per record: `record` (its keyed hash), `row` (the hash
of what the consumer sees of it), `subject` (where there is one beside the record) and `key` (the consumer's own key
values, by which a record that has gone can be deleted there). The consumer's form is compared, so a change of mask,
pseudonym or filter is found as well as a change at the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from crossdock.delivery.files import ROW_GROUP, ParquetSink
from crossdock.delivery.terms import Terms
from crossdock.errors import Permanent

HASH = pa.binary(16)


class Change(IntEnum):
    """What a record of the new snapshot is to the consumer."""

    INSERT = 0
    UPDATE = 1
    UNCHANGED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a consumer holds after its last completed delivery."""

    delivery: str
    rows: pads.Dataset

    @classmethod
    def open(cls, delivery: str, path: str | Path, filesystem: pafs.FileSystem | None = None) -> Self:
        """Opens the `received` file that a delivery left behind."""
        return cls(delivery=delivery, rows=pads.dataset(str(path), format="parquet", filesystem=filesystem))

    @property
    def layout(self) -> str:
        """The layout (`Terms.layout`) in which the consumer holds them."""
        metadata: dict[bytes, bytes] = self.rows.schema.metadata or {}
        return metadata.get(b"layout", b"").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How a consumer's holdings get from one delivery to the next."""

    of_rows: np.ndarray  # one Change per new row, in order, as int8
    gone: Path  # parquet of record, subject: those the consumer no longer may or can have
    deletes: Path  # parquet of the consumer's key columns: rows it must delete before it takes the new ones
    deleted: int  # records gone; deletes may hold more rows, where a record's key has another form now


def holdings_schema(terms: Terms) -> pa.Schema:
    """Returns the schema of a holdings file."""
    key = pa.struct([terms.schema.field(name) for name in terms.key_columns])
    fields = [pa.field("record", HASH), pa.field("row", HASH), pa.field("subject", HASH), pa.field("key", key)]
    return pa.schema(fields, metadata={b"layout": terms.layout.encode()})


def holdings(terms: Terms, snapshot: pa.RecordBatch, outgoing: pa.RecordBatch, rows: np.ndarray) -> pa.RecordBatch:
    """Returns the holdings rows of one batch.

    Args:
        terms: the agreement's.
        snapshot: the kept rows, as the snapshot has them.
        outgoing: the same rows as they leave.
        rows: `row_hashes` of `outgoing`, keyed: nobody can make a change that is taken for none.
    """
    schema = holdings_schema(terms)
    keys = [outgoing.column(name) for name in terms.key_columns]
    if any(key.null_count for key in keys):
        raise _no_key(terms)
    subjects = terms.subjects(snapshot)
    columns = [
        terms.records(snapshot),
        pa.FixedSizeBinaryArray.from_buffers(HASH, len(rows), [None, pa.py_buffer(rows.astype(">u8").tobytes())]),
        pa.nulls(len(rows), HASH) if subjects is None else subjects,
        pa.StructArray.from_arrays(keys, fields=list(schema.field("key").type)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def compare(now: Path, before: Received | None, terms: Terms, scratch: Path) -> Changes:
    """Compares new holdings with those before.

    Args:
        now: the new holdings file.
        before: None when the consumer holds nothing yet.
        terms: the agreement's; another layout than before means that all rows are sent again, so none is unchanged.
        scratch: where result files and DuckDB's overflow go.

    Raises:
        Permanent: two rows have one key.
    """
    changes = Changes(
        of_rows=np.zeros(pq.read_metadata(now).num_rows, np.int8),
        gone=scratch / "gone.parquet",
        deletes=scratch / "deletes.parquet",
        deleted=0,
    )
    with _database(now, before, terms, scratch) as database:
        if database.execute("SELECT count(*) - count(DISTINCT record) FROM now").fetchall() != [(0,)]:
            raise _no_key(terms)
        same_layout = before is not None and before.layout == terms.layout
        if before:  # else all rows are new: 0 is INSERT
            _mark_rows(database, changes.of_rows, same_layout=same_layout)
        deleted = _write_gone(database if before else None, changes.gone)
        _write_deletes(database if same_layout else None, changes.deletes, terms)
    return Changes(of_rows=changes.of_rows, gone=changes.gone, deletes=changes.deletes, deleted=deleted)


@contextmanager
def _database(now: Path, before: Received | None, terms: Terms, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    empty = pads.dataset(holdings_schema(terms).empty_table())
    settings: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(scratch / "duckdb"),
        "memory_limit": "700MB",
        "threads": 2,
    }
    with duckdb.connect(config=settings) as database:
        # Arrow datasets, not views over paths: a path may hold quotes, and a store's file system is pyarrow's.
        database.register("now_file", pads.dataset(now, format="parquet"))
        database.register("before", before.rows if before else empty)
        # A table is faster to join; a first delivery is only counted.
        kind = "TABLE" if before else "VIEW"
        database.execute(f"CREATE TEMP {kind} now AS SELECT record, row, key FROM now_file")  # noqa: S608
        yield database


def _mark_rows(database: duckdb.DuckDBPyConnection, marks: np.ndarray, *, same_layout: bool) -> None:
    unchanged = "b.row = n.row" if same_layout else "false"
    reader: pa.RecordBatchReader = database.sql(
        f"""SELECT n.rowid AS arrival, CASE WHEN b.record IS NULL THEN {Change.INSERT:d}
            WHEN {unchanged} THEN {Change.UNCHANGED:d} ELSE {Change.UPDATE:d} END AS change
            FROM now n LEFT JOIN before b ON n.record = b.record"""  # noqa: S608 - our own words only
    ).to_arrow_reader(ROW_GROUP)
    for batch in reader:
        marks[batch.column("arrival").to_numpy()] = batch.column("change").to_numpy()


def _write_gone(database: duckdb.DuckDBPyConnection | None, path: Path) -> int:
    """Without a database, nothing was there before."""
    reader: Iterable[pa.RecordBatch] = ()
    if database:
        reader = database.sql(
            "SELECT b.record, b.subject FROM before b ANTI JOIN now n ON b.record = n.record ORDER BY b.record"
        ).to_arrow_reader(ROW_GROUP)
    schema = pa.schema([pa.field("record", HASH), pa.field("subject", HASH)])
    with ParquetSink(path, schema) as sink:
        for batch in reader:
            sink.add(batch.cast(schema))
    return sink.rows


def _write_deletes(database: duckdb.DuckDBPyConnection | None, path: Path, terms: Terms) -> None:
    """Ordered by the keyed hash, so that a repeated delivery has the same bytes; without a database, all is replaced."""
    schema = pa.schema([terms.schema.field(name) for name in terms.key_columns])
    with ParquetSink(path, schema) as sink:
        if database is None:
            return
        reader: pa.RecordBatchReader = database.sql(
            """SELECT b.key FROM before b LEFT JOIN now n ON b.record = n.record
               WHERE n.record IS NULL OR b.key IS DISTINCT FROM n.key ORDER BY b.record"""
        ).to_arrow_reader(ROW_GROUP)
        for batch in reader:
            keys = [pc.struct_field(batch.column("key"), i).cast(field.type) for i, field in enumerate(schema)]
            sink.add(pa.RecordBatch.from_arrays(keys, schema=schema))


def _no_key(terms: Terms) -> Permanent:
    return Permanent(
        f"The primary key ({', '.join(terms.record_columns)}) is empty or repeated in the snapshot.",
        fix="Let the contract demand the key (required, unique) and validate the dataset again, or deliver in mode full.",
    )
