"""Many small event files become few segments, so that a lookup opens dozens of files and not tens of thousands.

From the segment that holds events of entries that were retired beside those of younger ones, the former are cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from crossdock.errors import CrossdockError
from crossdock.faults import reached
from crossdock.identity import file_sha256
from crossdock.ledger.book import Entry, entries_by, read_entries
from crossdock.ledger.event_files import read_events, reading
from crossdock.ledger.events import OPERATIONS, ROW_GROUP, RUN, SCHEMA
from crossdock.ledger.filters import Filtered, add_filters, drop_filters
from crossdock.ledger.own import own_files
from crossdock.ledger.packing import writing
from crossdock.ledger.retired import retired
from crossdock.ledger.segments import (
    SEGMENT,
    Segment,
    entries_of,
    key_of,
    left_out,
    operations_of,
    replaced,
    segments,
    with_apart,
)
from crossdock.storage.state import State
from crossdock.storage.store import Store

_LARGEST = 8 * RUN  # events of a segment
_CODES = pa.array(OPERATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What was done: segments written, and files deleted that segments of an earlier time answer for."""

    written: int
    deleted: int


def compact(state: State, store: Store, scratch: Path) -> Compacted:
    """Writes the events of all entries that no segment covers into segments, and deletes what earlier ones replaced.

    Call it only after `verify` found nothing: the files that it deletes are those that the verified segments answer for.
    What it replaces itself goes at the next call, so that nobody who reads meanwhile misses anything. Killed anywhere,
    it leaves what the next call completes.

    Args:
        state: holds the book.
        store: holds the events.
        scratch: an empty folder, for sorting.

    Raises:
        ObjectMissing, LedgerBroken, Transient: as `event_files.read_events`.
    """
    gone = retired(store).last_seq
    present = segments(store, after=gone)
    deleted = _delete_replaced(state, store, present, gone)
    written = 0
    if present and present[0].first <= gone:
        present[0] = _write(store, scratch, present[:1], [])
        written += 1
        reached("compaction.written")
    for group in _groups(state, after=present[-1].last if present else gone):
        merged: list[Segment] = []
        rows = _rows(group)
        while present and _belongs_with(present[-1], rows):
            merged.insert(0, present.pop())
            rows += merged[0].rows
        present.append(_write(store, scratch, merged, group))
        written += 1
        reached("compaction.written")
    add_filters(store, scratch, _filtered(state, store, present))
    drop_filters(store)
    return Compacted(written=written, deleted=deleted)


def _filtered(state: State, store: Store, present: list[Segment]) -> Iterator[Filtered]:
    """Yields the files that a lookup would read: segments, and those of large deliveries that these leave out."""
    large: set[int] = set()
    for segment in present:
        apart = left_out(store, segment)
        large |= set(apart)
        yield Filtered(segment.key, SEGMENT.with_metadata(None), segment.rows, apart)
    for entry in entries_by(state, "seq", large):
        yield Filtered(entry.body.events.key, SCHEMA, entry.body.events.rows, [])


def _belongs_with(segment: Segment, rows: int) -> bool:
    """True when a segment is no more than twice as large as what follows: each event is so rewritten but a few times."""
    return segment.start == segment.first and segment.rows <= 2 * rows and segment.rows + rows <= _LARGEST


def _groups(state: State, *, after: int) -> Iterator[list[Entry]]:
    """Yields entries in order, in groups that make one segment each."""
    group: list[Entry] = []
    for entry in read_entries(state, after=after):
        if group and _rows([*group[-1:], entry]) + _rows(group[:-1]) > _LARGEST:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _rows(group: list[Entry]) -> int:
    return sum(entry.body.events.rows for entry in group if entry.body.events.rows <= RUN)


def _write(store: Store, scratch: Path, merged: list[Segment], group: list[Entry]) -> Segment:
    """Writes the segment of older segments, each from its start on, and the entries after them."""
    first = merged[0].start if merged else group[0].seq
    last = group[-1].seq if group else merged[-1].last
    apart = [seq for segment in merged for seq in left_out(store, segment) if seq >= first]
    apart += [entry.seq for entry in group if entry.body.events.rows > RUN]
    path = scratch / "segment.parquet"
    rows = 0
    with writing(path, with_apart(apart)) as writer:
        for batch in _sorted(scratch, _events(store, first, merged, group)):
            writer.write_table(pa.Table.from_batches([batch]), row_group_size=ROW_GROUP)
            rows += batch.num_rows
    key = key_of(first, last, rows, file_sha256(path))
    store.put_file(key, path)
    path.unlink(missing_ok=True)
    return Segment(first=first, last=last, rows=rows, key=key, start=first)


def _events(store: Store, first: int, merged: list[Segment], group: list[Entry]) -> Iterator[pa.RecordBatch]:
    """Yields what goes into the segment, in any order, with operations by their number."""
    for segment in merged:
        with segment.open(store) as file, reading(segment.key):
            for batch in file.iter_batches(batch_size=ROW_GROUP):
                places = entries_of(batch) + np.int32(segment.first - first)
                numbered = _numbered(batch, pa.array(places), operations_of(batch))
                yield numbered if segment.start == segment.first else numbered.filter(pa.array(places >= 0))
    for entry in group:
        if 0 < entry.body.events.rows <= RUN:
            for batch in read_events(store, entry.body.events.key):
                yield _numbered(
                    batch, pa.repeat(pa.scalar(entry.seq - first, pa.int32()), len(batch)), batch["operation"]
                )


_NUMBERED = pa.schema(
    [SCHEMA.field("subject"), SCHEMA.field("record"), pa.field("entry", pa.int32()), pa.field("code", pa.int8())]
)


def _numbered(batch: pa.RecordBatch, entry: pa.Array, operation: pa.DictionaryArray) -> pa.RecordBatch:
    code = pa.compute.index_in(operation.dictionary, _CODES).cast(pa.int8()).take(operation.indices)
    return pa.RecordBatch.from_arrays([batch["subject"], batch["record"], entry, code], schema=_NUMBERED)


def _sorted(scratch: Path, events: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yields events as a segment has them: by subject, then entry, then as an event file has them."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "1GB",
        "threads": 2,
        "temp_directory": str(scratch / "sorting"),
    }
    failed: list[CrossdockError] = []

    def remembered() -> Iterator[pa.RecordBatch]:
        try:
            yield from events
        except CrossdockError as error:
            failed.append(error)
            raise

    try:
        with duckdb.connect(config=config) as database:
            database.register("events", pa.RecordBatchReader.from_batches(_NUMBERED, remembered()))
            found = database.sql(
                "SELECT subject, record, (entry * 3 + code)::INTEGER AS entry_operation FROM events "
                "ORDER BY subject, entry, record NULLS FIRST, code"
            )
            for batch in found.to_arrow_reader(4 * ROW_GROUP):
                yield pa.RecordBatch.from_arrays(
                    [batch[field.name].cast(field.type) for field in SEGMENT], schema=SEGMENT
                )
    except duckdb.Error:
        if failed:  # what went wrong with an event file comes back as an error of the one who sorts
            raise failed[0] from None
        raise


def _delete_replaced(state: State, store: Store, present: list[Segment], gone: int) -> int:
    keys = replaced(store, after=gone)
    if present:
        keys += [
            key
            for entry, key in own_files(state, store)
            if entry.body.events.rows <= RUN and any(each.start <= entry.seq <= each.last for each in present)
        ]
    for key in keys:
        store.delete(key)
        reached("compaction.deleted")
    return len(keys)
