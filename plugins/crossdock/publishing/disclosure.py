"""Counts that may be told to everybody: none that is small, and none from which a small one could be worked out.

What statistical offices do with tables of counts: small ones are suppressed; where somebody who knows the total of a
group could subtract what is shown from it, more of the group is suppressed until that says nothing; and what is shown is
rounded, so that the difference of two counts is no small count either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Cell = TypeVar("Cell", bound=Hashable)


def disclosable(
    counts: Mapping[Cell, int],
    *,
    smallest: int,
    groups: Sequence[Callable[[Cell], Hashable]],
    known: Callable[[Cell], bool] = lambda _: False,
) -> dict[Cell, int | None]:
    """Returns what may be told of each count: rounded to a multiple of `smallest`, or None where it is suppressed.

    Args:
        counts: by cell, sorted by it; none is negative.
        smallest: smaller counts are suppressed, but for none; 1 tells everything as it is.
        groups: ways to put cells together, whose totals somebody may know; each names a cell's group.
        known: which counts everybody knows anyway; to suppress more of those hides nothing.
    """
    hidden = {cell for cell, count in counts.items() if 0 < count < smallest}
    parts = [part for group in groups for part in _parts(group, (c for c in counts if counts[c] and not known(c)))]
    changed = True
    while changed:  # what is suppressed for one group is missing in another's, too
        found = {cell for part in parts for cell in _more(part, hidden, counts, smallest)}
        changed = not found <= hidden
        hidden |= found
    return {cell: None if cell in hidden else rounded(count, smallest) for cell, count in counts.items()}


def rounded(count: int, base: int) -> int:
    """Returns the multiple of a base that is nearest, the upper one of two.

    >>> [rounded(count, 10) for count in (0, 14, 15, 1_004)]
    [0, 10, 20, 1000]
    """
    return (count + base // 2) // base * base


def _parts(group: Callable[[Cell], Hashable], cells: Iterable[Cell]) -> Collection[list[Cell]]:
    parts = defaultdict(list)
    for cell in cells:
        parts[group(cell)].append(cell)
    return parts.values()


def _more(part: Sequence[Cell], hidden: Collection[Cell], counts: Mapping[Cell, int], smallest: int) -> list[Cell]:
    """Returns what has to be suppressed of a group as well, the smallest counts first.

    Of what is hidden somebody may know the sum. It says nothing of one of them when each of the small counts is possible
    for it: when there are others, and enough is left that they may be anything from one on.
    """
    missing = [cell for cell in part if cell in hidden]
    if not missing:
        return []
    total, found = sum(counts[cell] for cell in missing), list[Cell]()
    shown = sorted((counts[cell], place) for place, cell in enumerate(part) if cell not in hidden)
    for count, place in shown:
        number = len(missing) + len(found)
        if number > 1 and total >= smallest + number - 2:
            break
        found.append(part[place])
        total += count
    return found
