"""The order in which rows of pseudonyms leave: one that they decide themselves, over a whole delivery.

Rows are sorted by a pseudonym; where it is missing, or is that of several rows, by a hash of all that leaves of them.
Rows alike in all of it stay as they came, which nobody can see. So what leaves depends on nothing but which rows do, and
tells nothing of where they stood in the snapshot: neither by their order, nor where row groups end, nor by dictionaries.

Memory is bounded: what is too much to be at hand waits in scratch, as runs of sorted rows. Pseudonyms and hashes are
random: equal parts of their range have about as many rows each. One part after the other is put together from all runs;
only rows of one pseudonym are never parted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from crossdock.columnar import in_one_piece, text_buffers
from crossdock.delivery.files import ROW_GROUP
from crossdock.delivery.terms import plain
from crossdock.ordered import in_order
from crossdock.rowhash import row_hashes

Part = tuple[pa.RecordBatch, tuple[pa.Array | None, ...]]  # rows as they leave, and what belongs to each, or nothing
_AT_HAND = 1 << 26  # bytes of rows that are sorted at a time
_USUAL = ROW_GROUP - ROW_GROUP // 32  # rows of a part of the range; chance makes none larger than a row group


class OwnOrder:
    """Rows in their own order; they can be gone through several times, and by several threads."""

    def __init__(self, parts: Iterable[Part], by: str, scratch: Path, *, most: int, at_hand: int = _AT_HAND) -> None:
        """Takes all rows.

        Args:
            parts: the rows; all have the same columns, and the same things beside them.
            by: the column that leaves as a pseudonym, if it is among theirs.
            scratch: a folder of our own, made when there is too much; it is needed as long as rows are gone through.
            most: how many rows there are at most.
            at_hand: how many bytes of rows are sorted at a time.
        """
        ranges = max(1, -(-most // _USUAL))
        self._starts = np.array([(place << 64) // ranges for place in range(1, ranges)], np.uint64)
        self._runs: list[pa.RecordBatch | Path] = []
        waiting: list[pa.RecordBatch] = []
        size = 0
        for leaving, beside in parts:
            self._schema, self._has = leaving.schema, [each is not None for each in beside]
            there = [each for each in beside if each is not None]
            rows = _nameless([*leaving.columns, *there, *_numbers(leaving, by)])
            if waiting and size + rows.nbytes > at_hand:
                self._runs.append(self._put(_sorted(waiting), scratch / f"{len(self._runs)}.arrows"))
                waiting, size = [], 0
            waiting.append(rows)
            size += rows.nbytes
        if waiting:
            self._runs.append(_sorted(waiting))

    def __iter__(self) -> Iterator[Part]:
        of_runs = zip(*map(self._ranges, self._runs), strict=True)
        some = (runs for runs in of_runs if any(rows.num_rows for rows in runs))
        yield from in_order(self._put_together, some, beside=1)

    def _ranges(self, run: pa.RecordBatch | Path) -> Iterator[pa.RecordBatch]:
        """Yields the rows of one range after the other."""
        if isinstance(run, Path):
            with pa.OSFile(str(run)) as file:
                yield from pa.ipc.open_stream(file)
            return
        ends = [*np.searchsorted(np.asarray(run.columns[-2]), self._starts).tolist(), run.num_rows]
        for start, end in pairwise([0, *ends]):
            yield run.slice(start, end - start)

    def _put(self, run: pa.RecordBatch, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, run.schema) as writer:
            for rows in self._ranges(run):
                writer.write_batch(rows)
        return path

    def _put_together(self, runs: Sequence[pa.RecordBatch]) -> Part:
        """Returns the rows of one range, of which each run has some; dictionaries begin with what the first row has."""
        columns = [
            pa.concat_arrays([*map(plain, parts)]) for parts in zip(*(rows.columns for rows in runs), strict=True)
        ]
        if len(runs) > 1:
            order = _order(*columns[-2:])
            columns = [column.take(order) for column in columns]
        leaving = [
            column.dictionary_encode() if pa.types.is_dictionary(field.type) else column
            for column, field in zip(columns, self._schema, strict=False)
        ]
        beside = iter(columns[len(leaving) :])
        return (
            pa.RecordBatch.from_arrays(leaving, schema=self._schema),
            tuple(next(beside) if has else None for has in self._has),
        )


def numbered(rows: Iterable[pa.RecordBatch]) -> Iterator[Part]:
    """Yields rows with the place of each among all of them, as uint32."""
    start = 0
    for batch in rows:
        yield batch, (pa.array(np.arange(start, start + batch.num_rows, dtype=np.uint32)),)
        start += batch.num_rows


def _nameless(columns: Sequence[pa.Array]) -> pa.RecordBatch:
    """Returns columns by their places: what belongs to rows has no name of its own."""
    return pa.RecordBatch.from_arrays(columns, names=[str(place) for place in range(len(columns))])


def _numbers(leaving: pa.RecordBatch, by: str) -> tuple[pa.Array, pa.Array]:
    """Returns what decides where rows stand, the second where the first is alike; nothing else of them does."""
    from crossdock.compiled import read_hex

    first, second = np.ascontiguousarray(row_hashes(leaving).T)
    texts = leaving.column(by).cast(pa.large_string()) if by in leaving.schema.names else None
    if texts is not None and texts.null_count < len(texts):
        read_hex(*text_buffers(texts.view(pa.large_binary())), first)
    return pa.array(first), pa.array(second)


def _sorted(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Returns rows that have their numbers as the last two columns, sorted by them."""
    columns = pa.Table.from_batches(parts).unify_dictionaries().columns
    order = _order(*map(in_one_piece, columns[-2:]))
    return _nameless([in_one_piece(column).take(order) for column in columns])


def _order(first: pa.Array, second: pa.Array) -> pa.Array:
    from crossdock.sorting import order_of

    rest = np.asarray(second)
    return pa.array(order_of(np.asarray(first), lambda some: (rest[some],)))
