"""The share events of entries, wherever they are kept: in a file of their own, in a segment, or no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.errors import WrongUse
from crossdock.ledger.book import Entry, entries_by, read_entries
from crossdock.ledger.event_files import find_events, open_events, read_events, reading
from crossdock.ledger.events import OPERATIONS, ROW_GROUP, RUN, RUN_GROUPS, SCHEMA, Operation
from crossdock.ledger.filters import filters, may_hold, name_of
from crossdock.ledger.retired import retired
from crossdock.ledger.segments import ENTRY, Segment, apart, entries_of, operations_of, segments
from crossdock.storage.state import State
from crossdock.storage.store import Store

_READERS, _AT_ONCE = 8, 131_072  # threads, and events that are counted at a time
Places = npt.NDArray[np.intp]
Batches = Iterable[pa.RecordBatch]


class Held(NamedTuple):
    """What it takes to find an entry's events, and to count those that were deleted: their numbers by operation."""

    seq: int
    key: str
    rows: int
    counts: tuple[int, ...]

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Reads it from an entry."""
        body = entry.body
        booked = (body.counts["inserted"], body.counts["updated"], body.counts["deleted"])
        return cls(entry.seq, body.events.key, body.events.rows, booked)


class Sought(NamedTuple):
    """Subjects that are looked up, and the filters that tell where they are not."""

    hashes: Sequence[bytes]
    filters: Mapping[str, str]


Tallies = Callable[[Sequence[Held]], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Archive:
    """Where events are at one moment. What `compact` replaces stays readable until it is called again."""

    state: State
    store: Store
    segments: Sequence[Segment]
    retired: int  # the events of entries up to this one were deleted by policy

    @classmethod
    def open(cls, state: State, store: Store) -> Archive:
        """Looks where the events are."""
        gone = retired(store).last_seq
        return cls(state, store, segments(store, after=gone), gone)

    def events_of(self, entry: Entry) -> Iterator[pa.Table]:
        """Yields an entry's events in the order of the tree that was booked, in pieces of whole leaves.

        Raises:
            WrongUse: they were deleted by policy.
            ObjectMissing, LedgerBroken, Transient: as `event_files.read_events`.
        """
        if entry.seq <= self.retired:
            raise WrongUse(
                "The events of this delivery were deleted, as the policy has it.",
                where=entry.body.delivery,
                fix="Proofs that were written before hold for ever.",
            )
        segment = self._segment_of(Held.of(entry))
        if segment is None:
            for batch in read_events(self.store, entry.body.events.key):
                yield pa.Table.from_batches([batch])
            return
        with segment.open(self.store) as file, reading(segment.key):
            batches = file.iter_batches(batch_size=ROW_GROUP)
            picked = [batch.filter(pa.array(entries_of(batch) == entry.seq - segment.first)) for batch in batches]
        yield pa.Table.from_batches([_events(batch, SCHEMA.names) for batch in picked], SCHEMA)

    def scan(self, entries: Sequence[Entry], columns: Sequence[str]) -> Iterator[tuple[Places, pa.RecordBatch]]:
        """Yields all events of entries, and beside each event the place of its entry in `entries`; not in their order.

        Events that were deleted by policy are left out. Raises as `events_of` does.
        """
        place_of = {entry.seq: place for place, entry in enumerate(entries)}
        for segment in self.segments:
            places = np.full(segment.last - segment.first + 1, -1, np.intp)
            for seq in range(segment.start, segment.last + 1):
                places[seq - segment.first] = place_of.get(seq, -1)
            if (places >= 0).any():
                yield from self._scan_segment(segment, places, columns)
        alone = [held for held in map(Held.of, entries) if self._is_alone(held)]
        for entry, batches in self._read(alone, columns):
            for batch in batches:
                yield np.full(batch.num_rows, place_of[entry.seq]), batch

    def _read(self, alone: Sequence[Held], columns: Sequence[str]) -> Iterator[tuple[Held, Batches]]:
        """Yields the events of files of their own; of small ones, several are read at a time."""
        small = [entry for entry in alone if entry.rows <= RUN]
        with ThreadPoolExecutor(_READERS) as readers:
            read = readers.map(lambda entry: list(read_events(self.store, entry.key, columns)), small)
            yield from zip(small, read, strict=True)
        for entry in alone:
            if entry.rows > RUN:
                yield entry, read_events(self.store, entry.key, columns)

    def _scan_segment(
        self, segment: Segment, places: Places, columns: Sequence[str]
    ) -> Iterator[tuple[Places, pa.RecordBatch]]:
        with segment.open(self.store) as file, reading(segment.key):
            read = [ENTRY if name == "operation" else name for name in {**dict.fromkeys(columns), "operation": None}]
            for batch in file.iter_batches(batch_size=RUN, columns=read):
                found = places[entries_of(batch)]
                if found.min(initial=0) < 0:
                    wanted = found >= 0
                    batch, found = batch.filter(pa.array(wanted)), found[wanted]  # noqa: PLW2901 - what is wanted of them
                yield found, _events(batch, columns)

    @contextmanager
    def tallying(self, first: int, last: int) -> Iterator[Tallies]:
        """Gives what counts the events of entries between two; their segments are counted while the caller reads the book.

        It is to be called once, and returns a row for each entry, with how many events of each operation its files hold;
        of entries whose events were deleted by policy, what was booked. Raises as `scan` does.
        """
        needed = [each for each in self.segments if each.start <= last and each.last >= first]
        with ThreadPoolExecutor(_READERS) as readers:
            tallied = readers.map(self._tally_segment, needed)

            def tallies(entries: Sequence[Held]) -> npt.NDArray[np.int64]:
                seqs, rows = (np.array([entry[field] for entry in entries], np.int64) for field in (0, 2))
                counts = np.zeros((len(entries), len(OPERATIONS)), np.int64)
                gone = seqs <= self.retired
                counts[gone] = [entry.counts for entry in entries if entry.seq <= self.retired] or counts[gone]
                alone = ~gone & (rows > 0)
                for segment, tally in zip(needed, tallied, strict=True):
                    here = alone & (seqs >= segment.start) & (seqs <= segment.last) & (rows <= RUN)
                    counts[here] = tally[seqs[here] - segment.first]
                    alone &= ~here
                places = np.flatnonzero(alone).tolist()
                found = readers.map(self._tally_file, [entries[place].key for place in places])
                for place, tally in zip(places, found, strict=True):
                    counts[place] = tally
                return counts

            yield tallies

    def _tally_segment(self, segment: Segment) -> npt.NDArray[np.int64]:
        """Returns a row for each entry that the segment covers, with the number of events of each operation."""
        width, entries = len(OPERATIONS), segment.last - segment.first + 1
        counts = np.zeros(entries * width, np.int64)
        with segment.open(self.store) as file, reading(segment.key):
            for batch in file.iter_batches(batch_size=_AT_ONCE, columns=[ENTRY]):
                counts += np.bincount(batch[ENTRY], minlength=len(counts))  # a ValueError when there is no such entry
        return counts.reshape(entries, width)

    def _tally_file(self, key: str) -> npt.NDArray[np.int64]:
        """Returns the number of events of each operation in a file of one entry."""
        counts = np.zeros(len(OPERATIONS), np.int64)
        for batch in read_events(self.store, key, ["operation"]):
            counts += np.bincount(_codes(batch), minlength=len(counts))
        return counts

    def find(self, hashes: Sequence[bytes]) -> list[tuple[Entry, Mapping[Operation, int]]]:
        """Returns every entry that has events about one of the hashes, in order, and how many of each operation.

        Raises:
            ObjectMissing: an event file is missing, so that the answer could not be complete.
            LedgerBroken, Transient: as `event_files.read_events`.
        """
        found: dict[int, dict[Operation, int]] = {}
        alone: list[int] = []
        sought = Sought(hashes, filters(self.store))
        with ThreadPoolExecutor(_READERS) as readers:
            for segment, (left_out, events) in zip(
                self.segments, readers.map(lambda each: self._find_in_segment(each, sought), self.segments), strict=True
            ):
                alone += [seq for seq in left_out if seq >= segment.start]
                for seq, operation, rows in events:
                    found.setdefault(seq, {})[operation] = rows
            covered = self.segments[-1].last if self.segments else self.retired
            entries = [
                entry
                for entry in chain(entries_by(self.state, "seq", alone), read_entries(self.state, after=covered))
                if self._is_alone(Held.of(entry))
            ]
            for entry, tally in zip(
                entries, readers.map(lambda each: self._find_alone(each, sought), entries), strict=True
            ):
                if tally:
                    found[entry.seq] = tally
        known = {entry.seq: entry for entry in entries}
        known |= {entry.seq: entry for entry in entries_by(self.state, "seq", found.keys() - known.keys())}
        return [(known[seq], found[seq]) for seq in sorted(found)]

    def _find_in_segment(self, segment: Segment, sought: Sought) -> tuple[list[int], list[tuple[int, Operation, int]]]:
        """Returns the entries that the segment leaves out, and of those it holds: number, operation, events."""
        hashes, left_out = self._sought_in(segment.key, segment.rows, sought)
        if not hashes:
            return left_out, []
        with segment.open(self.store) as file:
            events = find_events(file, segment.key, hashes, ENTRY, run=max(file.num_row_groups, 1))
            left_out = apart(segment, file)
        places, rows = np.unique(events.to_numpy(), return_counts=True)
        found = [
            (segment.first + place // len(OPERATIONS), OPERATIONS[place % len(OPERATIONS)], rows_here)
            for place, rows_here in zip(places.tolist(), rows.tolist(), strict=True)
        ]
        return left_out, [each for each in found if each[0] >= segment.start]

    def _find_alone(self, entry: Entry, sought: Sought) -> dict[Operation, int]:
        key = entry.body.events.key
        hashes, _ = self._sought_in(key, entry.body.events.rows, sought)
        if not hashes:
            return {}
        with open_events(self.store, key, SCHEMA) as file:
            events = find_events(file, key, hashes, "operation", run=RUN_GROUPS)
        counted = pc.value_counts(events).to_pylist()
        return {each["values"]: each["counts"] for each in counted}

    def _sought_in(self, key: str, rows: int, sought: Sought) -> tuple[Sequence[bytes], list[int]]:
        """Returns which subjects a file has to be read for, and the entries that a segment leaves out."""
        filtered = sought.filters.get(name_of(key)) if rows else None
        told = may_hold(self.store, filtered, rows, sought.hashes) if filtered else None
        return told or (sought.hashes, [])

    def _segment_of(self, entry: Held) -> Segment | None:
        if not 0 < entry.rows <= RUN:
            return None
        return next((each for each in self.segments if each.start <= entry.seq <= each.last), None)

    def _is_alone(self, entry: Held) -> bool:
        return entry.seq > self.retired and entry.rows > 0 and self._segment_of(entry) is None


def _events(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    """Returns some columns of a segment's events as event files have them."""
    arrays = [operations_of(batch) if name == "operation" else batch[name] for name in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([SCHEMA.field(name) for name in columns]))


def _codes(events: pa.RecordBatch) -> npt.NDArray[np.integer[Any]]:
    """Returns the operations by their place in OPERATIONS."""
    words = events["operation"]
    indices: npt.NDArray[np.integer[Any]] = words.indices.to_numpy()
    codes = [OPERATIONS.index(word) for word in words.dictionary.to_pylist()]
    return indices if codes == list(range(len(codes))) else np.array(codes)[indices]
