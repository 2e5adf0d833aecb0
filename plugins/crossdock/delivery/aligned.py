"""Which rows of a snapshot are as they were when a consumer last received them, seen by their fingerprints alone.

Snapshots mostly hold the same rows in the same order as the ones before. What a consumer holds tells for each record the
fingerprint of the row that it was made of; laid beside the new snapshot's fingerprints, whatever finds its like was and is
the same to the consumer, as long as the same would be made of it (`Terms.form`). Only the other rows are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from crossdock.delivery.changes import HASH, Received, no_key, words
from crossdock.delivery.files import ROW_GROUP, batches, in_pieces, row_groups, rows_in
from crossdock.delivery.terms import Terms
from crossdock.errors import LedgerBroken
from crossdock.fingerprints import Fingerprints, fingerprints, read_fingerprints
from crossdock.identity import RowsDigest
from crossdock.ordered import in_order
from crossdock.rowhash import row_hashes

_MOST_READ, _MOST_GONE = (
    0.6,
    0.25,
)  # shares of a snapshot, and of what is held (in memory), up to which this is worth it
_AT_HAND = 1_500_000  # records, of some 100 bytes each
_Places = npt.NDArray[np.int64]
_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class Seen(Generic[_Told]):
    """Rows of one row group that were read: which of them go, what the consumer holds of those (None: nothing), and the rest."""

    goes: npt.NDArray[np.bool_]
    holdings: pa.RecordBatch | None
    told: _Told


class Aligned:
    """A snapshot beside what a consumer holds."""

    def __init__(self, before: _Before, snapshot: pads.Dataset, prints: Fingerprints, places: _Places) -> None:
        self._before, self._snapshot, self._prints, self._places = before, snapshot, prints, places
        self._same = places >= 0
        rest = np.ones(before.count, np.bool_)
        rest[places[self._same]] = False
        self._rest = rest

    @classmethod
    def find(cls, before: Received, terms: Terms, snapshot: pads.Dataset, path: Path) -> Self | None:
        """Lays a snapshot beside what a consumer holds; None where that can't be done, or too much would be left to read.

        Args:
            before: what the consumer holds.
            terms: of the agreement.
            snapshot: the accepted rows.
            path: of the snapshot's fingerprints.
        """
        from crossdock.finding import align

        sizes = [rows_in(group) for group in row_groups(snapshot)]
        prints = read_fingerprints(path, sum(sizes))
        if (
            prints is None
            or (before.layout, before.form) != (terms.layout, terms.form)
            or max(sizes, default=0) > ROW_GROUP
        ):
            return None
        known = _Before(before)
        held, start = np.empty((known.count, 2), np.uint64), 0
        for batch in known.pieces(["source"]):
            held[start : start + batch.num_rows] = words(batch.column("source"))
            start += batch.num_rows
        places = np.empty(len(prints), np.int64)
        same = align(prints, held, places)
        if len(prints) - same > _MOST_READ * len(prints) or len(held) - same > _MOST_GONE * len(held):
            return None
        return cls(known, snapshot, prints, places)

    @property
    def others(self) -> int:
        """How many rows of the snapshot have to be read."""
        return int(np.count_nonzero(~self._same))

    @property
    def unchanged(self) -> RowsDigest:
        """Of the rows that are as they were."""
        return RowsDigest.of_some(self._prints[:, :2], self._same)

    @property
    def rest(self) -> Received:
        """What the consumer holds of all other rows."""
        found, start = [], 0
        for batch in self._before.pieces():
            found.append(batch.filter(pa.array(self._rest[start : start + batch.num_rows])))
            start += batch.num_rows
        table = pa.Table.from_batches(found, self._before.received.rows.schema)
        return replace(self._before.received, rows=pads.dataset(table))

    def seen(
        self, columns: Mapping[str, pc.Expression], look: Callable[[pa.RecordBatch], Seen[_Told]], key: bytes
    ) -> Iterator[tuple[Seen[_Told] | None, pa.RecordBatch]]:
        """Reads what has to be read, a row group at a time, and yields it with what the consumer holds after it.

        Args:
            columns: to be read, as `Dataset.scanner` takes them; the last one is the mark of rows that go.
            look: looks at rows that were read; called in threads.
            key: of the fingerprints.

        Raises:
            LedgerBroken: a row is not the one that the fingerprint is of.
        """
        held = _Held(self._before)

        def read(item: tuple[int, pads.Fragment]) -> tuple[int, int, Seen[_Told] | None]:
            start, group = item
            end = start + rows_in(group)
            other = ~self._same[start:end]
            if not other.any():
                return start, end, None
            table = group.scanner(schema=self._snapshot.schema, columns=columns, batch_size=ROW_GROUP).to_table()
            marked = table.filter(pa.array(other)).combine_chunks().to_batches()[0]
            rows = marked.select(marked.schema.names[:-1])
            if not np.array_equal(fingerprints(rows, row_hashes(rows), key), self._prints[start:end][other]):
                raise LedgerBroken(
                    "Rows of the snapshot are not those that were accepted.",
                    fix="Nothing has left. Put back the file that the state names.",
                )
            return start, end, look(marked)

        for start, end, seen in in_order(read, self._groups(), beside=1):
            yield seen, self._after(held, start, end, seen)

    @staticmethod
    def demand_new(records: Sequence[pa.Array], path: Path, terms: Terms) -> None:
        """Sees that records which are new to a consumer stand once in a file of what it holds then.

        Raises:
            Permanent: one is among the rows that are as they were.
        """
        new = pa.concat_arrays([pa.array([], HASH), *records])
        if not len(new):
            return
        found = 0
        for batch in batches(path, ["record"]):
            found += pc.sum(pc.is_in(batch.column("record"), value_set=new)).as_py() or 0
        if found != len(new):
            raise no_key(terms)

    def _groups(self) -> Iterator[tuple[int, pads.Fragment]]:
        start = 0
        for group in row_groups(self._snapshot):
            yield start, group
            start += rows_in(group)

    def _after(self, held: _Held, start: int, end: int, seen: Seen[_Told] | None) -> pa.RecordBatch:
        """Puts what the consumer holds of one row group together, in the snapshot's order."""
        places, same = self._places[start:end], self._same[start:end]
        still = places[same]
        before = held.between(int(still[0]), int(still[-1]) + 1) if len(still) else held.between(0, 0)
        if seen is None or seen.holdings is None:
            return before if len(before) == len(still) else before.take(pa.array(still - still[0]))
        order, stays = np.empty(end - start, np.int64), same.copy()
        stays[~same] = seen.goes
        order[same] = still - (still[0] if len(still) else 0)
        order[stays & ~same] = len(before) + np.arange(len(seen.holdings))
        both = pa.Table.from_batches([before, seen.holdings.cast(before.schema)]).combine_chunks().to_batches()
        return both[0].take(pa.array(order[stays]))


class _Before:
    """What the consumer holds: read once where it is not too much to be kept at hand."""

    def __init__(self, received: Received) -> None:
        self.received, self.count = received, received.rows.count_rows()
        self._at_hand = list(in_pieces(received.rows)) if self.count <= _AT_HAND else None

    def pieces(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yields all columns, or some."""
        if self._at_hand is None:
            return in_pieces(self.received.rows, columns)
        return iter(self._at_hand)


class _Held:
    """Reads holdings from one place to another, further and further on."""

    def __init__(self, before: _Before) -> None:
        self._pieces, self._schema = before.pieces(), before.received.rows.schema
        self._start, self._read = 0, pa.Table.from_batches([], self._schema)

    def between(self, start: int, end: int) -> pa.RecordBatch:
        while self._start + self._read.num_rows < end:
            self._read = pa.concat_tables([self._read, pa.Table.from_batches([next(self._pieces)], self._schema)])
        if end > self._start:
            self._read, self._start = self._read.slice(max(start - self._start, 0)), max(start, self._start)
        found = self._read.slice(0, end - start).combine_chunks().to_batches() if end > start else []
        return found[0] if found else pa.RecordBatch.from_pylist([], self._schema)
