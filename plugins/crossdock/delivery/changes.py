"""What changed for one consumer: the rows of a new delivery against what it holds from the last one.

A consumer's holdings are a parquet file of our own with one row per record: `record` (its keyed hash), `row` (the hash
of what the consumer sees of it), `source` (that of the snapshot's row, see `aligned`), `subject` (where there is one
beside the record) and `key` (the consumer's own key values, by which a record that has gone can be deleted there). The consumer's form is compared, so a change of mask,
pseudonym or filter is found as well as a change at the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.fs as pafs

from crossdock.delivery.files import ParquetSink, in_pieces, row_groups, rows_in
from crossdock.delivery.own_order import OwnOrder, Part
from crossdock.delivery.terms import Terms
from crossdock.errors import Permanent
from crossdock.rowhash import row_hashes

HASH = pa.binary(16)
_Words = npt.NDArray[np.uint64]


class Change(IntEnum):
    """What a record of the new snapshot is to the consumer; numbers as `finding.look_up` has them."""

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
        return self._told(b"layout")

    @property
    def form(self) -> str:
        """The form (`Terms.form`) in which they were made of the snapshot's rows."""
        return self._told(b"form")

    def _told(self, name: bytes) -> str:
        metadata: dict[bytes, bytes] = self.rows.schema.metadata or {}
        return metadata.get(name, b"").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What a consumer held and is to hold no more, in the order of its holdings; of pseudonyms, deletes in their own."""

    records: Path  # parquet of record, subject
    deletes: Path  # parquet of the consumer's key columns: rows it must delete before it takes the new ones
    deleted: int  # records gone; deletes may hold more rows, where a record's key has another form now


def holdings_schema(terms: Terms, form: str | None = None) -> pa.Schema:
    """Returns the schema of a holdings file; the form is the terms', if it is no other."""
    key = pa.struct([terms.schema.field(name) for name in terms.key_columns])
    hashes = [pa.field(name, HASH) for name in ("record", "row", "source", "subject")]
    told = {b"layout": terms.layout.encode(), b"form": (terms.form if form is None else form).encode()}
    return pa.schema([*hashes, pa.field("key", key)], metadata=told)


def holdings_sink(path: Path, terms: Terms) -> ParquetSink:
    """Returns what writes a holdings file: hashes are random, only keys can be compressed."""
    return ParquetSink(path, holdings_schema(terms), compressed=[f"key.{name}" for name in terms.key_columns])


def holdings(terms: Terms, snapshot: pa.RecordBatch, outgoing: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the holdings rows of one batch; rows are hashed with a key: nobody can make a change that is taken for none.

    Args:
        terms: the agreement's.
        snapshot: the kept rows, as the snapshot has them.
        outgoing: the same rows as they leave.
    """
    schema = holdings_schema(terms)
    keys = [outgoing.column(name) for name in terms.key_columns]
    if any(key.null_count for key in keys):
        raise no_key(terms)
    subjects = terms.subjects(snapshot)
    columns = [
        terms.records(snapshot),
        _row_hashes(outgoing, terms),
        _row_hashes(snapshot, terms),
        pa.nulls(len(snapshot), HASH) if subjects is None else subjects,
        pa.StructArray.from_arrays(keys, fields=list(schema.field("key").type)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def as_held(before: pa.RecordBatch, terms: Terms) -> pa.RecordBatch:
    """Returns holdings rows that stay as they were, in whatever form: what they were made of does not count any more."""
    place = before.schema.get_field_index("source")
    nothing = pa.array([bytes(16)] * before.num_rows, HASH)
    return before.set_column(place, before.schema.field(place), nothing).cast(holdings_schema(terms))


def _row_hashes(rows: pa.RecordBatch, terms: Terms) -> pa.FixedSizeBinaryArray:
    hashes = row_hashes(rows, key=terms.ledger_key)
    return pa.FixedSizeBinaryArray.from_buffers(HASH, len(hashes), [None, pa.py_buffer(hashes)])


class Comparison:
    """Holds new holdings, as they are made, against what a consumer holds: in memory, some 45 bytes a record."""

    def __init__(self, before: Received | None, terms: Terms, *, rows: int) -> None:
        """Reads what the consumer holds.

        Args:
            before: None when the consumer holds nothing yet.
            terms: the agreement's; another layout than before means that all is sent again, so no row is unchanged.
            rows: how many will be marked at most.
        """
        self._before, self._terms = before, terms
        held = before.rows.count_rows() if before else 0
        places = held + rows
        self._slots = np.full(1 << (places + places // 2).bit_length(), -1, np.int32)
        self._names, self._used = np.empty((places, 2), np.uint64), 0
        self._found, self._rows = np.zeros(0, np.bool_), _NONE
        self._moved: tuple[list[npt.NDArray[np.int64]], list[pa.Array]] = ([], [])
        if before:
            names, known = self._read(before.rows, held)
            self._look_up(names, known)
            self._found = np.zeros(held, np.bool_)
            self._rows = known if self._same_layout else _NONE

    @property
    def _same_layout(self) -> bool:
        return self._before is not None and self._before.layout == self._terms.layout

    @property
    def _keys_may_move(self) -> bool:
        """A key that leaves as it is belongs to its record; a protected one has another form under another key or mask."""
        return self._same_layout and any(name in self._terms.protections for name in self._terms.key_columns)

    def mark(self, holdings: pa.RecordBatch) -> npt.NDArray[np.int8]:
        """Returns one Change per row of new holdings.

        Raises:
            Permanent: two rows have one key.
        """
        marks, places = self._look_up(words(holdings.column("record")), words(holdings.column("row")))
        updated = marks == Change.UPDATE
        if self._keys_may_move and updated.any():
            self._moved[0].append(places[updated])
            self._moved[1].append(holdings.column("key").filter(pa.array(updated)))
        return marks

    def gone(self, scratch: Path) -> Gone:
        """Writes what was never marked, once all is; and the keys that have to go with it."""
        schema = pa.schema([pa.field("record", HASH), pa.field("subject", HASH)])
        keys = pa.schema([self._terms.schema.field(name) for name in self._terms.key_columns])

        def found(records: ParquetSink) -> Iterator[Part]:
            for start, batch in self._pieces([*schema.names, "key"]):
                gone = ~self._found[start : start + batch.num_rows]
                records.add(batch.filter(pa.array(gone)).select(schema.names).cast(schema))
                if self._same_layout:  # else all is replaced
                    old = batch.column("key").filter(pa.array(gone | self._other_keys(batch.column("key"), start)))
                    columns = [pc.struct_field(old, i).cast(field.type) for i, field in enumerate(keys)]
                    yield pa.RecordBatch.from_arrays(columns, schema=keys), ()

        with (
            ParquetSink(scratch / "gone.parquet", schema) as records,
            ParquetSink(scratch / "deletes.parquet", keys) as deletes,
        ):
            parts, by = found(records), self._terms.order_by
            for part, _ in OwnOrder(parts, by, scratch / "order_of_deletes", most=len(self._found)) if by else parts:
                deletes.add(part)
        return Gone(records=records.path, deletes=deletes.path, deleted=records.rows)

    def _pieces(self, names: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yields what the consumer held, with the place where it begins, of row groups in which anything is gone or moved."""
        start, moved = 0, self._moved[0]
        for group in row_groups(self._before.rows) if self._before else ():
            end = start + rows_in(group)
            if self._found[start:end].all() and not any(((at >= start) & (at < end)).any() for at in moved):
                start = end
                continue
            for batch in group.to_batches(columns=names):
                yield start, batch
                start += batch.num_rows

    def _look_up(self, names: _Words, rows: _Words) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
        from crossdock.finding import look_up

        marks, places = np.empty(len(names), np.int8), np.empty(len(names), np.int64)
        table, known = (self._slots, self._names, self._used), (self._rows, self._found)
        self._used = look_up(table, known, (names, rows), (marks, places))
        if self._used < 0:
            raise no_key(self._terms)
        return marks, places

    @staticmethod
    def _read(held: pads.Dataset, count: int) -> tuple[_Words, _Words]:
        names, rows, start = np.empty((count, 2), np.uint64), np.empty((count, 2), np.uint64), 0
        for batch in in_pieces(held, ["record", "row"]):
            end = start + batch.num_rows
            names[start:end], rows[start:end] = words(batch.column("record")), words(batch.column("row"))
            start = end
        return _settled(names), _settled(rows)

    def _other_keys(self, old: pa.StructArray, start: int) -> npt.NDArray[np.bool_]:
        """Tells which of the keys held, from a place on, have another form in the new holdings."""
        other = np.zeros(len(old), np.bool_)
        for places, keys in zip(*self._moved, strict=True):
            here = (places >= start) & (places < start + len(old))
            at = places[here] - start
            before, now = old.take(pa.array(at)), keys.filter(pa.array(here))
            for i in range(old.type.num_fields):
                other[at] |= np.asarray(pc.not_equal(pc.struct_field(before, i), pc.struct_field(now, i)))
        return other


def _settled(words: _Words) -> _Words:
    """What is only read is of one kind to compiled loops, wherever it comes from."""
    words.flags.writeable = False
    return words


_NONE = _settled(np.empty((0, 2), np.uint64))


def words(hashes: pa.Array) -> _Words:
    """Returns 128-bit hashes as two words each, (rows, 2)."""
    octets = _settled(np.frombuffer(hashes.buffers()[1], np.uint64))
    return octets[2 * hashes.offset : 2 * (hashes.offset + len(hashes))].reshape(-1, 2)


def no_key(terms: Terms) -> Permanent:
    """Returns the error of a snapshot in which a record's key is missing, or stands twice."""
    return Permanent(
        f"The primary key ({', '.join(terms.record_columns)}) is empty or repeated in the snapshot.",
        fix="Let the contract demand the key (required, unique) and validate the dataset again, or deliver in mode full.",
    )
