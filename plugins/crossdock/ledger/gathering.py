"""A segment's events brought together by entry, by a compiled loop: for whoever verifies, and nobody else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossdock.compiled import Bytes, Offsets, compiled

Entries = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
Columns = tuple[Bytes, Bytes, Bytes, Bytes]


@compiled
def gather(columns: Columns, entries: Entries, free: Offsets, tally: Counts, found: Bytes) -> None:
    """Writes each event, as leaves have it, to the next free place of its entry, and counts it.

    Args:
        columns: subjects, (events, 16); operations by number; whether another record is named; those records,
            (events, 16), or none at all where none is named.
        entries: of each event, a place in `free`.
        free: per entry, the next free place in `found`; moved on.
        tally: (entries, operations), the events of each; changed.
        found: (events, 34) by entry: subject, operation, named or not, record or zeros; written.
    """
    subjects, operations, named, records = columns
    for row in range(len(entries)):
        entry, operation = entries[row], operations[row]
        place = free[entry]
        free[entry] = place + 1
        tally[entry, operation] += 1
        event = found[place]
        for i in range(16):
            event[i] = subjects[row, i]
        event[16], event[17] = operation, named[row]
        for i in range(16):
            event[18 + i] = records[row, i] if named[row] else 0
