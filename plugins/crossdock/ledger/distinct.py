"""How many different people and enterprises the shares are about: exact, from the events' keyed hashes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa

from crossdock.keys import Keys
from crossdock.ledger.archive import Archive, Places
from crossdock.ledger.book import read_entries
from crossdock.ledger.counts import Counts, group_of
from crossdock.ledger.events import HASH
from crossdock.ledger.seals import unseal_each, versions_of
from crossdock.storage.state import State
from crossdock.storage.store import Store

Scanned = Iterable[tuple[Places, pa.RecordBatch]]


def with_subjects(  # noqa: PLR0913 - as `count`
    counted: Counts,
    state: State,
    store: Store,
    keys: Keys,
    *,
    since: str | None = None,
    until: str | None = None,
) -> Counts:
    """Returns counts with `subjects`, in all and in each group; of the days that `counts.count` was asked for.

    A person whose records two datasets hold is one, as long as both name people by the same identifier, whichever
    version of the ledger key hashed them. Records about nobody, and records that were deleted, count none. Raises as a
    recount does.
    """
    by = counted.by
    places = {each[: len(by)]: place for place, each in enumerate(counted.sums)} or {(): 0}
    entries = [
        entry
        for entry in read_entries(state, since=since, until=until)
        if entry.body.subject and group_of(entry.body, by) in places  # else it was booked after the count
    ]
    place_of = np.array([places[group_of(entry.body, by)] for entry in entries], np.intp)
    versions = versions_of([entry.body.key_version for entry in entries])
    scanned = Archive.open(state, store).scan(entries, ["subject", "operation"])
    rows = _subjects(scanned if versions is None else _unsealed(scanned, keys, versions), place_of)
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as database:
        schema = pa.schema([pa.field("place", pa.int32()), pa.field("subject", HASH)])
        database.register("shared", pa.RecordBatchReader.from_batches(schema, rows))
        database.execute("CREATE TEMP TABLE known AS SELECT DISTINCT place, subject FROM shared")
        found = database.execute("SELECT place, count(*) FROM known GROUP BY place").fetchall()
        (total,) = database.execute("SELECT count(DISTINCT subject) FROM known").fetchone() or (0,)
    each: Mapping[int, int] = defaultdict(int, found)
    sums = tuple((*group, each[place]) for place, group in enumerate(counted.sums))
    return replace(counted, sums=sums, subjects=total)


def _unsealed(scanned: Scanned, keys: Keys, versions: Places) -> Iterator[tuple[Places, pa.RecordBatch]]:
    """Yields events with their subjects as the first version of the ledger key hashed them."""
    for entry, events in scanned:
        plain = unseal_each(events["subject"], keys, versions[entry])
        yield entry, events.set_column(events.schema.get_field_index("subject"), events.schema.field("subject"), plain)


def _subjects(scanned: Scanned, place_of: Places) -> Iterator[pa.RecordBatch]:
    """Yields whom each share is about."""
    for entry, events in scanned:
        shared = pa.compute.not_equal(events["operation"].dictionary_decode(), "delete")
        place = pa.array(place_of[entry], pa.int32())
        yield pa.record_batch([place.filter(shared), events["subject"].filter(shared)], ["place", "subject"])
