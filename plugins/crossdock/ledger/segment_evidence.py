"""Segments, examined: every entry's events in them, and that a lookup can rely on their order. Shares no code with what wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.ledger.evidence import (
    EVENT,
    WORDS,
    booked,
    leaf_hashes,
    named,
    sixteens,
    stored,
    told,
    tree_over,
)
from crossdock.ledger.examiners import examiners
from crossdock.storage.store import Store

if TYPE_CHECKING:
    from crossdock.ledger.filter_evidence import Bits, Filters
    from crossdock.ledger.gathering import Columns

_FOLDER = "ledger/segments/"
_NAME = re.compile(rf"{_FOLDER}(\d+)-(\d+)-(\d+)-([0-9a-f]{{16}})\.parquet")
_WHAT = "entry_operation"  # an entry's number, counted from the segment's first, times 3, and the operation's number
_TOGETHER = 1_048_576  # a delivery of more events has a file of its own
_AT_ONCE = 2  # segments, of up to 300 MB in memory each
_GROUP = 32_768  # events that are about as much work as an entry with a file of its own
Objection = tuple[int, str, str, str]  # the entry concerned and its delivery, what is wrong, and in which object


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an entry says of its events."""

    delivery: str
    rows: int
    tally: Mapping[str, int]
    tree: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Expected:
        """Reads it from an entry's body."""
        return cls(
            delivery=body["delivery"], rows=int(body["events"]["rows"]), tally=booked(body), tree=body["events_tree"]
        )


class Covered:
    """The entries whose events are in segments; each segment found is examined, be it read from or not.

    Use it as a context manager: from its beginning, segments are read while the caller walks the chain.
    """

    def __init__(self, store: Store, filters: Filters, *, retired: int) -> None:
        self._store, self._filters = store, filters
        self._retired = retired  # what segments hold of entries up to this one is on its way out
        self._keys = list(store.list(_FOLDER))
        names = [(key, _NAME.fullmatch(key)) for key in self._keys]
        self._ranges = {key: (int(name[1]), int(name[2]), name[4]) for key, name in names if name}
        self._rows = {key: int(name[3]) for key, name in names if name}
        self._expected: dict[int, Expected] = {}
        self._ended = ExitStack()
        self._read: dict[str, Future[_Held | str]] = {}

    def __enter__(self) -> Self:
        kept = [key for key, (_, last, _) in self._ranges.items() if last > self._retired]
        groups = sum(self._rows[key] for key in kept) // _GROUP
        readers = self._ended.enter_context(examiners(self._store, groups, most=_AT_ONCE))
        self._read = {key: readers.submit(_held_by, self._store, self._filters, key, self._ranges[key]) for key in kept}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.__exit__(kind, error, trace)

    def takes(self, seq: int, body: Mapping[str, Any]) -> bool:
        """Notes an entry; True when its events are in a segment, so that they need no file of their own."""
        if not any(first <= seq <= last for first, last, _ in self._ranges.values()):
            return False
        found = self._expected[seq] = Expected.of(body)
        return found.rows <= _TOGETHER

    def objections(self) -> Iterator[Objection]:
        """Yields all that is wrong with the segments, once every entry was noted.

        Raises:
            Transient: the store did not answer.
        """
        for key in self._keys:
            if key not in self._ranges:
                yield 0, "", "It is no segment's name.", key
            elif key in self._read:
                first, held = self._ranges[key][0], self._read.pop(key).result()
                for seq, what, where in [(first, held, key)] if isinstance(held, str) else self._wrong(held, key):
                    yield seq, self._expected[seq].delivery if seq in self._expected else "", what, where

    def _wrong(self, held: _Held, key: str) -> Iterator[tuple[int, str, str]]:
        first, last, _ = self._ranges[key]
        found = list(self._compared(held, first, last))
        if not found and held.tally.sum() != self._rows[key]:
            found = [(first, "The segment's name tells another number of events.")]
        yield from ((seq, what, key) for seq, what in found)
        yield from ((first, what, where) for what, where in held.wrong)

    def _compared(self, held: _Held, first: int, last: int) -> Iterator[tuple[int, str]]:
        here = {seq: self._expected[seq] for seq in range(first, last + 1) if seq in self._expected}
        apart = [seq for seq, expected in here.items() if expected.rows > _TOGETHER]
        if [seq for seq in held.apart if seq > self._retired] != apart:
            yield first, "The segment does not name the entries that it leaves out."
        if not held.in_order:
            yield first, "The segment's events are not in their order: a lookup would miss some."
        holds = {seq for seq in (np.flatnonzero(held.tally.any(axis=1)) + first).tolist() if seq > self._retired}
        unknown = holds - (here.keys() - apart)
        if unknown:
            yield min(unknown), "The segment holds events of an entry that has none in it."
        for seq, expected in here.items():
            if expected.rows > _TOGETHER:
                continue
            tally = named(held.tally[seq - first])
            if tally != expected.tally:
                yield seq, f"The segment holds {told(tally)}; the entry says {told(expected.tally)}."
            elif held.trees[seq - first] != expected.tree:
                yield seq, "The Merkle tree over the entry's events in the segment is not the one that was booked."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What a segment holds of each entry, counted from its first; one more for events of none of its entries."""

    apart: Sequence[int]  # the entries that it says it leaves out
    tally: npt.NDArray[np.int64]  # (entries, WORDS): events of each operation
    trees: list[str]  # of each entry, the root of the Merkle tree over its events in the order of the file
    in_order: bool  # by subject, and each row group says truly with which it begins and ends
    wrong: Sequence[tuple[str, str]]  # what is wrong with its filters, and which


def _held_by(store: Store, filters: Filters, key: str, named: tuple[int, int, str]) -> _Held | str:
    """Returns what a segment holds, or what is wrong with it as a whole; its name tells entries and SHA-256."""
    first, last, sha256 = named
    filesystem, root = store.filesystem()
    stands = stored(filesystem, f"{root}/{key}", key)
    if stands is None or not stands.sha256.startswith(sha256):
        return "The segment is missing, or its bytes are not those of its name."
    try:
        with stands.open() as file:
            # One more entry, for events of one that is none of these.
            return _held(file, last - first + 2, filters.of(key, file.metadata.num_rows))
    except (pa.ArrowException, OSError, KeyError, IndexError, ValueError, TypeError):
        stored(filesystem, f"{root}/{key}", key)  # raises when it is the store that does not answer now
        return "The segment cannot be read as share events."


def _held(file: pq.ParquetFile, entries: int, bits: Bits | None) -> _Held:
    """Reads a segment of so many entries, a row group at a time: first whose events they are, then the events.

    Raises:
        IndexError, TypeError, ValueError: an entry is no number of one.
    """
    from crossdock.ledger.gathering import gather

    groups = range(file.metadata.num_row_groups)
    of_each = np.zeros(entries, np.int64)
    for group in groups:
        read = file.read_row_group(group, [_WHAT], use_threads=False)
        of_each += np.bincount(_places(read, entries)[0], minlength=entries)
    ends = np.concatenate([[0], np.cumsum(of_each)])
    events, free, in_order = np.empty(ends[-1], EVENT), ends[:-1].copy(), True
    tally, last = np.zeros((entries, len(WORDS)), np.int64), bytes(16)
    for group in groups:
        (batch,) = file.read_row_group(group, use_threads=False).combine_chunks().to_batches() or [_EMPTY]
        subjects = sixteens(batch["subject"])
        if len(batch):
            in_order = in_order and _is_sorted(last, subjects, file.metadata.row_group(group))
            last = subjects[-1].tobytes()
        if bits:
            bits.add(subjects)
        here, operations = _places(batch, entries)
        # The loop checks no bounds, and a file too large to be kept may have been replaced since it was counted.
        if (free + np.bincount(here, minlength=entries) > ends[1:]).any():
            raise IndexError
        gather(_columns(batch, subjects, operations), here, free, tally, _octets(events, EVENT.itemsize))
    trees = [tree_over(leaf_hashes(events[start:end])) for start, end in pairwise(ends.tolist())]
    apart = json.loads((file.schema_arrow.metadata or {})[b"crossdock.apart"])
    if not all(type(seq) is int for seq in apart):
        raise TypeError
    wrong = list(bits.objections(apart)) if bits else []
    return _Held(apart=apart, tally=tally, trees=trees, in_order=in_order, wrong=wrong)


def warm_up() -> None:
    """Loads the compiled loop, or compiles it where that was never done: examines a segment of two events."""
    row = {"subject": bytes(16), "record": None, _WHAT: 0}
    events = pa.Table.from_pylist([row, row | {"record": bytes(16)}], _EMPTY.schema)
    made = pa.BufferOutputStream()
    pq.write_table(events.replace_schema_metadata({"crossdock.apart": "[]"}), made, row_group_size=1)
    with pq.ParquetFile(pa.BufferReader(made.getvalue())) as file:
        _held(file, 1, None)


def _columns(events: pa.RecordBatch, subjects: np.ndarray, operations: npt.NDArray[np.uint8]) -> Columns:
    """Returns a row group's events as the loop takes them."""
    record = events["record"]
    names = record.null_count < len(record)
    records = sixteens(record.fill_null(bytes(16))) if names else subjects[:0]
    named = (
        record.is_valid().to_numpy(zero_copy_only=False).view(np.uint8) if names else np.zeros(len(record), np.uint8)
    )
    return _octets(subjects, 16), operations, named, _octets(records, 16)


def _places(events: pa.Table | pa.RecordBatch, entries: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Returns the places of the entries, those that are too high as the last one; and operations by their number."""
    column = events[_WHAT]
    if column.type != pa.int32() or column.null_count:
        raise TypeError
    both = column.to_numpy()
    places: npt.NDArray[np.int32] = both // np.int32(len(WORDS))
    operations = (both - places * np.int32(len(WORDS))).astype(np.uint8)
    return np.minimum(places, np.int32(entries - 1)), operations


def _octets(values: np.ndarray, width: int) -> npt.NDArray[np.uint8]:
    return values.view(np.uint8).reshape(len(values), width)


_SIXTEEN = pa.binary(16)
_EMPTY = pa.record_batch(
    [pa.array([], _SIXTEEN), pa.array([], _SIXTEEN), pa.array([], pa.int32())], ["subject", "record", _WHAT]
)


def _is_sorted(last: bytes, subjects: np.ndarray, group: pq.RowGroupMetaData) -> bool:
    """True when a row group's subjects ascend from the last one before, and it says truly with which it begins and ends."""
    halves = np.ascontiguousarray(subjects).view(">u8").reshape(-1, 2)
    high, low = halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)
    ascending = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] >= low[:-1]))
    ends, first = group.column(0).statistics, subjects[0].tobytes()
    true = ends is not None and (ends.min, ends.max) == (first, subjects[-1].tobytes())
    return bool(ascending.all()) and last <= first and true
