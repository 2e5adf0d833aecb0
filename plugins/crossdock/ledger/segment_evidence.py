"""Segments, examined: every entry's events in them, and that a lookup can rely on their order. Shares no code with what wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.ledger.evidence import (
    EVENT,
    Spelled,
    booked,
    leaf_hashes,
    spelled,
    stored,
    tally_of,
    told,
    tree_over,
)
from crossdock.storage.store import Store

_FOLDER = "ledger/segments/"
_NAME = re.compile(rf"{_FOLDER}(\d+)-(\d+)-(\d+)-([0-9a-f]{{16}})\.parquet")
_TOGETHER = 1_048_576  # a delivery of more events has a file of its own
_AT_ONCE = 2  # segments, of up to 300 MB in memory each
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
    """The entries whose events are in segments; each segment found is examined, be it read from or not."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = list(store.list(_FOLDER))
        names = [(key, _NAME.fullmatch(key)) for key in self._keys]
        self._ranges = {key: (int(name[1]), int(name[2]), name[4]) for key, name in names if name}
        self._expected: dict[int, Expected] = {}

    def takes(self, seq: int, body: Mapping[str, Any]) -> bool:
        """Notes an entry; True when its events are in a segment, so that they need no file of their own."""
        if not any(first <= seq <= last for first, last, _ in self._ranges.values()):
            return False
        found = self._expected[seq] = Expected.of(body)
        return found.rows <= _TOGETHER

    def objections(self, *, retired: int) -> Iterator[Objection]:
        """Yields all that is wrong with the segments, once every entry was noted; not of entries up to `retired`.

        Raises:
            Transient: the store did not answer.
        """
        with ThreadPoolExecutor(_AT_ONCE) as readers:
            for found in readers.map(lambda key: list(self._objections_to(key, retired)), self._keys):
                yield from found

    def _objections_to(self, key: str, retired: int) -> Iterator[Objection]:
        if key not in self._ranges:
            yield 0, "", "It is no segment's name.", key
            return
        first, last, sha256 = self._ranges[key]
        if last <= retired:
            return  # on its way out
        filesystem, root = self._store.filesystem()
        stands = stored(filesystem, f"{root}/{key}", key)
        if stands is None or not stands.sha256.startswith(sha256):
            yield first, self._delivery(first), "The segment is missing, or its bytes are not those of its name.", key
            return
        try:
            with stands.open() as file:
                found = list(self._examined(file, first, last))
        except (pa.ArrowException, OSError, KeyError, IndexError, ValueError, TypeError):
            stored(filesystem, f"{root}/{key}", key)  # raises when it is the store that does not answer now
            found = [(first, "The segment cannot be read as share events.")]
        for seq, what in found:
            yield seq, self._delivery(seq), what, key

    def _delivery(self, seq: int) -> str:
        return self._expected[seq].delivery if seq in self._expected else ""

    def _examined(self, file: pq.ParquetFile, first: int, last: int) -> Iterator[tuple[int, str]]:
        here = {seq: self._expected[seq] for seq in range(first, last + 1) if seq in self._expected}
        apart = [seq for seq, expected in here.items() if expected.rows > _TOGETHER]
        if json.loads((file.schema_arrow.metadata or {})[b"crossdock.apart"]) != apart:
            yield first, "The segment does not name the entries that it leaves out."
        read = _read(file, last - first + 2)  # one more, for events of an entry that is none of these
        if not read.in_order:
            yield first, "The segment's events are not in their order: a lookup would miss some."
        unknown = set(np.flatnonzero(np.diff(read.ends)).tolist()) - {seq - first for seq in here if seq not in apart}
        if unknown:
            yield first + min(unknown), "The segment holds events of an entry that has none in it."
        for seq, expected in here.items():
            if expected.rows > _TOGETHER:
                continue
            own = read.events[read.ends[seq - first] : read.ends[seq - first + 1]]
            tally = tally_of(own)
            if tally != expected.tally:
                yield seq, f"The segment holds {told(tally)}; the entry says {told(expected.tally)}."
            elif tree_over(leaf_hashes(own)) != expected.tree:
                yield seq, "The Merkle tree over the entry's events in the segment is not the one that was booked."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A segment's events as leaves have them, brought together by entry, each in the order of the file."""

    events: Spelled
    ends: npt.NDArray[np.int64]  # where the events of each entry begin, and the last one's end
    in_order: bool  # by subject, and each row group says truly with which it begins and ends


def _read(file: pq.ParquetFile, entries: int) -> _Read:
    """Reads a segment of so many entries, a row group at a time: first whose events they are, then the events.

    Raises:
        IndexError, TypeError, ValueError: an entry is no number of one.
    """
    from crossdock.ledger.gathering import gather

    groups = range(file.metadata.num_row_groups)
    of_each = np.zeros(entries, np.int64)
    for group in groups:
        read = file.read_row_group(group, ["entry"], use_threads=False)
        of_each += np.bincount(_places(read, entries), minlength=entries)
    ends = np.concatenate([[0], np.cumsum(of_each)])
    found, free, in_order = np.empty(ends[-1], EVENT), ends[:-1].copy(), True
    last = bytes(16)
    for group in groups:
        (batch,) = file.read_row_group(group, use_threads=False).combine_chunks().to_batches() or [_EMPTY]
        events = spelled(batch)
        if len(events):
            in_order = in_order and _is_sorted(last, events["subject"], file.metadata.row_group(group))
            last = events["subject"][-1].tobytes()
        here = _places(batch, entries)
        # The loop checks no bounds, and a file too large to be kept may have been replaced since it was counted.
        if (free + np.bincount(here, minlength=entries) > ends[1:]).any():
            raise IndexError
        gather(_pieces(events), here, free, _pieces(found))
    return _Read(events=found, ends=ends, in_order=in_order)


def _places(events: pa.Table | pa.RecordBatch, entries: int) -> npt.NDArray[np.int32]:
    """Returns the places of the entries, those that are too high as the last one."""
    column = events["entry"]
    if column.type != pa.int32() or column.null_count:
        raise TypeError
    places: npt.NDArray[np.int32] = np.minimum(column.to_numpy(), np.int32(entries - 1))
    return places


def _pieces(events: Spelled) -> npt.NDArray[np.uint16]:
    return events.view(np.uint16).reshape(len(events), EVENT.itemsize // 2)


_SIXTEEN = pa.binary(16)
_EMPTY = pa.record_batch(
    [
        pa.array([], _SIXTEEN),
        pa.array([], _SIXTEEN),
        pa.array([], pa.string()).dictionary_encode(),
        pa.array([], pa.int32()),
    ],
    ["subject", "record", "operation", "entry"],
)


def _is_sorted(last: bytes, subjects: np.ndarray, group: pq.RowGroupMetaData) -> bool:
    """True when a row group's subjects ascend from the last one before, and it says truly with which it begins and ends."""
    halves = np.ascontiguousarray(subjects).view(">u8").reshape(-1, 2)
    high, low = halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)
    ascending = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] >= low[:-1]))
    ends, first = group.column(0).statistics, subjects[0].tobytes()
    true = ends is not None and (ends.min, ends.max) == (first, subjects[-1].tobytes())
    return bool(ascending.all()) and last <= first and true
