"""Compiled loops that find hashes among others: records among those that a consumer holds, and rows in a series."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from crossdock.compiled import Flags, Offsets, U, Words, compiled, part

Marks = npt.NDArray[np.int8]
Table = tuple[npt.NDArray[np.int32], Words, int]
Known = tuple[Words, Flags]

_NEAR = 8  # rows within which two series are tried to go on together


@compiled
def align(prints: Words, old: Words, places: Offsets) -> int:
    """Lays two series of 128-bit hashes beside each other, and returns how many of the new ones are in the old.

    What stands in another order is not found: the places only grow.

    Args:
        prints: fingerprints, (rows, 4), whose last two words are the new series.
        old: the other series, (rows, 2).
        places: per new hash, the place of the same one in the old series, or -1; written.
    """
    slots, at, before, found = np.empty(0, np.int32), 0, 0, 0
    places[:] = -1
    while at < len(prints) and before < len(old):
        if _alike(prints, at, old, before):
            places[at] = before
            at, before, found = at + 1, before + 1, found + 1
            continue
        step = _step(prints, old, at, before)
        if step[0] >= 0:
            at, before = at + step[0], before + step[1]
            continue
        if not len(slots):
            slots = _slots(old)
        place = _place(slots, old, prints[at, 2], prints[at, 3])
        # One row that was moved is no reason to leave all between behind.
        last = place + 1 >= len(old) or at + 1 >= len(prints)
        if place > before and (last or _alike(prints, at + 1, old, place + 1)):
            before = place
        else:
            at += 1
    return found


@part
def _alike(prints: Words, a: Any, old: Words, b: Any) -> Any:
    return prints[a, 2] == old[b, 0] and prints[a, 3] == old[b, 1]


@part
def _step(prints: Words, old: Words, at: Any, before: Any) -> Any:
    """Returns after how many rows of each series they go on together, the nearest; -1 where that is not near."""
    for far in range(1, 2 * _NEAR):
        for i in range(max(0, far - _NEAR), min(far, _NEAR) + 1):
            a, b = at + i, before + far - i
            if a < len(prints) and b < len(old) and _alike(prints, a, old, b):
                return i, far - i
    return -1, -1


@part
def _slots(names: Words) -> Any:
    """Returns a table in which names are found: places, or -1, twice as many as names and a power of two."""
    size = 4
    while size < 2 * len(names):
        size *= 2
    slots = np.full(size, -1, np.int32)
    for place in range(len(names)):
        at = names[place, 0] & U(size - 1)
        while slots[at] >= 0:
            at = (at + U(1)) & U(size - 1)
        slots[at] = place
    return slots


@part
def _place(slots: Any, names: Words, low: Any, high: Any) -> Any:
    """Returns the place of a name, or -1."""
    mask = U(len(slots) - 1)
    at = low & mask
    while slots[at] >= 0 and (names[slots[at], 0] != low or names[slots[at], 1] != high):
        at = (at + U(1)) & mask
    return slots[at]


NEW, OTHER, SAME = 0, 1, 2  # what `look_up` finds a record to be


@compiled
def look_up(table: Table, known: Known, new: tuple[Words, Words], told: tuple[Marks, Offsets]) -> int:
    """Looks records up among those known, tells of each what it is, and enters those that are new.

    Args:
        table: slots, a power of two of them, int32, each a place in names or -1; names, 128-bit keyed hashes, (places, 2);
            how many of them are in use. There are more slots than places.
        known: hashes of the rows of the records that were known at first, or none when no row is to count as the same;
            and of each, whether it was found, changed here.
        new: names of records, and hashes of their rows.
        told: per record, NEW, OTHER (another row) or SAME; and its place among the names; both written.

    Returns:
        How many names are in use now; -1 when a record came twice.
    """
    slots, names, used = table
    (rows, found), (news, new_rows), (marks, places) = known, new, told
    mask = U(len(slots) - 1)
    for i in range(news.shape[0]):
        low, high = news[i, 0], news[i, 1]
        at = low & mask
        while slots[at] >= 0 and (names[slots[at], 0] != low or names[slots[at], 1] != high):
            at = (at + U(1)) & mask
        place = slots[at]
        if place < 0:
            marks[i], place = NEW, used
            slots[at] = used
            names[used, 0], names[used, 1] = low, high
            used += 1
        elif place >= len(found) or found[place]:
            return -1
        else:
            found[place] = True
            same = len(rows) > 0 and rows[place, 0] == new_rows[i, 0] and rows[place, 1] == new_rows[i, 1]
            marks[i] = SAME if same else OTHER
        places[i] = place
    return used
