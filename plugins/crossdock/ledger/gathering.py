"""A segment's events brought together by entry, by a compiled loop: for whoever verifies, and nobody else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossdock.compiled import Offsets, compiled

Entries = npt.NDArray[np.int32]
Pieces = npt.NDArray[np.uint16]


@compiled
def gather(events: Pieces, entries: Entries, free: Offsets, found: Pieces) -> None:
    """Writes each event to the next free place of its entry.

    Args:
        events: (events, 17), each in pieces of two bytes.
        entries: of each event, a place in `free`.
        free: per entry, the next free place in `found`; moved on.
        found: events by entry, in the same pieces; written.
    """
    for row in range(len(entries)):
        place = free[entries[row]]
        for piece in range(17):
            found[place, piece] = events[row, piece]
        free[entries[row]] = place + 1
