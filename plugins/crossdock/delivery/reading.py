"""Reads a snapshot for one agreement: batch after batch, which rows go, as what they leave, and the digests of all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from crossdock.delivery.aligned import Aligned, Seen
from crossdock.delivery.changes import HASH, holdings
from crossdock.delivery.files import in_pieces, with_dictionaries
from crossdock.delivery.terms import Terms
from crossdock.identity import RowsDigest
from crossdock.ordered import in_order
from crossdock.rowhash import row_hashes

_Told = TypeVar("_Told")


@dataclass(slots=True)
class Kept(Generic[_Told]):
    """One batch of rows that the filter lets through: as it leaves, its row hashes, and what else was asked for."""

    outgoing: pa.RecordBatch
    hashes: np.ndarray
    told: _Told


@dataclass(slots=True)
class _Looked(Generic[_Told]):
    """What was seen in one batch: digests of its rows and of those that the filter stops, records held back, which rows go."""

    accepted: RowsDigest
    filtered: RowsDigest
    stopped: pa.Array
    goes: npt.NDArray[np.bool_]
    found: Kept[_Told] | None


class Reading:
    """A snapshot under one agreement; what was read of it is counted here."""

    def __init__(self, terms: Terms, snapshot: pads.Dataset, held_back: Collection[bytes]) -> None:
        self.terms, self.snapshot = terms, with_dictionaries(snapshot, but=terms.filtered_by)
        self.held_back = pa.array(sorted(held_back), HASH)
        self.stopped: list[pa.Array] = []  # the records held back that would have gone
        self.accepted = RowsDigest()
        self.filtered = RowsDigest()

    def outgoing(self) -> Iterator[pa.RecordBatch]:
        """Yields all rows that the filter lets through, as they leave, in the snapshot's order."""
        for rows in self.rows(self.snapshot.schema.names):
            yield self.terms.outgoing(rows)

    def rows(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yields some columns of the rows that the filter lets through, as the snapshot has them."""
        for marked in self._marked(names):
            batch, keep, _ = self._let_through(marked)
            rows = those(batch, np.asarray(keep))
            if rows.num_rows:
                yield rows

    def changed(self, aligned: Aligned | None) -> Iterator[tuple[Kept[pa.RecordBatch] | None, pa.RecordBatch]]:
        """Yields rows that may have changed, and all that the consumer holds of the same part of the snapshot."""
        tell = partial(holdings, self.terms)
        if aligned is None:
            yield from ((kept, kept.told) for kept in self.kept(self.terms.outgoing, tell))
            return
        self.accepted = aligned.unchanged

        def look(marked: pa.RecordBatch) -> Seen[_Looked[pa.RecordBatch]]:
            looked = self._look(self.terms.outgoing, tell, marked)
            return Seen(looked.goes, looked.found.told if looked.found else None, looked)

        columns = self._columns(self.snapshot.schema.names)
        for seen, holds in aligned.seen(columns, look, self.terms.ledger_key):
            yield self._counted(seen.told) if seen else None, holds

    def kept(
        self,
        leave: Callable[[pa.RecordBatch], pa.RecordBatch],
        tell: Callable[[pa.RecordBatch, pa.RecordBatch], _Told],
    ) -> Iterator[Kept[_Told]]:
        """Streams the snapshot once, digests every row, and yields those the filter lets through; `tell` works beside."""
        marked = self._marked(self.snapshot.schema.names)
        for looked in in_order(partial(self._look, leave, tell), marked, beside=1):
            found = self._counted(looked)
            if found is not None:
                yield found

    def _look(
        self,
        leave: Callable[[pa.RecordBatch], pa.RecordBatch],
        tell: Callable[[pa.RecordBatch, pa.RecordBatch], _Told],
        marked: pa.RecordBatch,
    ) -> _Looked[_Told]:
        batch, keep, stopped = self._let_through(marked)
        hashes, goes = row_hashes(batch), np.asarray(keep)
        rows, found = those(batch, goes), None
        if rows.num_rows:
            outgoing = leave(rows)
            found = Kept(outgoing, hashes[goes], tell(rows, outgoing))
        return _Looked(RowsDigest.of(hashes), RowsDigest.of(hashes[~goes]), stopped, goes, found)

    def _counted(self, looked: _Looked[_Told]) -> Kept[_Told] | None:
        self.accepted += looked.accepted
        self.filtered += looked.filtered
        self.stopped.append(looked.stopped)
        return looked.found

    def _marked(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Streams columns of the snapshot, and a last one that is true for the rows which the filter lets through."""
        yield from in_pieces(self.snapshot, self._columns(names))

    def _columns(self, names: Sequence[str]) -> dict[str, pc.Expression]:
        mark = "keep" + "_" * max(map(len, names), default=0)  # longer than any column's name
        return {name: pc.field(name) for name in names} | {mark: self.terms.keep}

    def _let_through(self, marked: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.BooleanArray, pa.Array]:
        """Parts rows from the mark of those that go, and returns the records that the filter lets through and we hold back."""
        rows, keep = marked.select(marked.schema.names[:-1]), marked.column(marked.num_columns - 1).fill_null(False)
        if not len(self.held_back):
            return rows, keep, self.held_back
        records = self.terms.records(rows)
        stopped = pc.and_(keep, pc.is_in(records, value_set=self.held_back))
        return rows, pc.and_not(keep, stopped), records.filter(stopped)


def those(rows: pa.RecordBatch, chosen: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    """Returns the rows for which `chosen` is true."""
    return rows if chosen.all() else rows.filter(pa.array(chosen))
