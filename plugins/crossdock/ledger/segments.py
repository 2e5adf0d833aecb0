"""Segments: one file for the share events of many deliveries, sorted by whom they are about, so that a lookup is short.

A delivery's event file holds its events in a defined order, so that a segment keeps every proof valid: whoever picks
one entry's events out of a segment gets them in the order of the tree that was booked. Deliveries of more than RUN
events stay in files of their own, and are named in the segment as `apart`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.errors import LedgerBroken
from crossdock.ledger.event_files import open_events
from crossdock.ledger.events import OPERATIONS, SCHEMA
from crossdock.storage.store import Store

SEGMENTS = "ledger/segments/"
# The third column tells both: an entry's number, counted from the segment's first, times 3, and the operation's place in
# OPERATIONS. A recount so reads one column, and a lookup two.
ENTRY = "entry_operation"
SEGMENT = SCHEMA.set(2, pa.field(ENTRY, pa.int32(), nullable=False))
_OPERATIONS = pa.array(OPERATIONS)
_APART = b"crossdock.apart"
_NAME = re.compile(r"(\d{12})-(\d{12})-(\d{12})-[0-9a-f]{16}\.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment: it covers the entries from `first` to `last`, of which it answers for those from `start`."""

    first: int
    last: int
    rows: int
    key: str
    start: int

    def open(self, store: Store) -> pq.ParquetFile:
        """Opens it; raises as `open_events` does."""
        return open_events(store, self.key, SEGMENT.with_metadata(None))


def segments(store: Store, *, after: int) -> list[Segment]:
    """Returns the segments that are to be read, in the order of their entries; each entry is answered for by one.

    Args:
        store: holds them.
        after: only entries after this one are sought: of two segments that tell as much of them, the shorter is read.
    """

    def order(segment: Segment) -> tuple[int, int, int, str]:
        return max(segment.first, after + 1), -segment.last, -segment.first, segment.key

    found: list[Segment] = []
    for each in sorted(_present(store), key=order):
        covered = found[-1].last if found else after
        if each.last > covered:
            found.append(replace(each, start=max(each.first, covered + 1)))
    return found


def replaced(store: Store, *, after: int) -> list[str]:
    """Returns the keys of segments that tell nothing of the entries after one that others don't."""
    read = {segment.key for segment in segments(store, after=after)}
    return [segment.key for segment in _present(store) if segment.key not in read]


def _present(store: Store) -> Iterator[Segment]:
    for key in store.list(SEGMENTS):
        name = _NAME.fullmatch(key.removeprefix(SEGMENTS))
        if name is None:
            raise LedgerBroken("There is something among the segments that is none.", where=key, fix="Move it away.")
        first, last, rows = (int(part) for part in name.groups())
        yield Segment(first=first, last=last, rows=rows, key=key, start=first)


def key_of(first: int, last: int, rows: int, sha256: str) -> str:
    """Returns the key that a segment has."""
    return f"{SEGMENTS}{first:012}-{last:012}-{rows:012}-{sha256[:16]}.parquet"


def entries_of(events: pa.RecordBatch | pa.Table) -> npt.NDArray[np.int32]:
    """Returns of each of a segment's events its entry's number, counted from the segment's first."""
    found: npt.NDArray[np.int32] = events[ENTRY].to_numpy() // len(OPERATIONS)
    return found


def operations_of(events: pa.RecordBatch | pa.Table) -> pa.DictionaryArray:
    """Returns of each of a segment's events its operation, as event files have it."""
    codes = (events[ENTRY].to_numpy() % len(OPERATIONS)).astype(np.int8)
    return pa.DictionaryArray.from_arrays(pa.array(codes), _OPERATIONS)


def with_apart(apart: list[int]) -> pa.Schema:
    """Returns a segment's schema that names the entries whose events are in files of their own."""
    return SEGMENT.with_metadata({_APART: json.dumps(apart)})


def apart(segment: Segment, file: pq.ParquetFile) -> list[int]:
    """Returns the entries between the segment's first and last whose events are in files of their own.

    Raises:
        LedgerBroken: it does not say.
    """
    try:
        return [int(seq) for seq in json.loads((file.schema_arrow.metadata or {})[_APART])]
    except (KeyError, ValueError, TypeError) as error:
        raise LedgerBroken(
            "A segment does not say which entries it leaves out.",
            where=segment.key,
            fix="Run `crossdock ledger verify`.",
        ) from error


def left_out(store: Store, segment: Segment) -> list[int]:
    """Opens a segment and returns what `apart` says."""
    with segment.open(store) as file:
        return apart(segment, file)
