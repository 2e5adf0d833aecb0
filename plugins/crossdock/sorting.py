"""Hashes in order, by a compiled radix sort: they are random, so that their first bits nearly decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from crossdock.compiled import U, Words, compiled

Order = npt.NDArray[np.uint32]
_DIGIT, _REST = 11, 42  # bits that one of two passes sorts by; bits that are left to be compared
_FEW = 32  # numbers alike in their first bits that are sorted by insertion: more take too long


@compiled
def sort_random(numbers: Words, order: Order) -> bool:
    """Sorts random numbers; those that are alike stay as they came.

    Args:
        numbers: become sorted.
        order: per place in the order, which number stood there; written.

    Returns:
        False when they are not random: too many begin alike; then nothing here is to be used.
    """
    rows = len(order)
    other, spare = np.empty(rows, np.uint64), np.empty(rows, np.uint32)
    low, high = np.zeros(1 << _DIGIT, np.int64), np.zeros(1 << _DIGIT, np.int64)
    mask = U((1 << _DIGIT) - 1)
    for number in numbers:
        low[number >> U(_REST) & mask] += 1
        high[number >> U(_REST + _DIGIT)] += 1
    before_low, before_high = 0, 0
    for digit in range(1 << _DIGIT):
        low[digit], before_low = before_low, before_low + low[digit]
        high[digit], before_high = before_high, before_high + high[digit]
    for row in range(rows):
        digit = numbers[row] >> U(_REST) & mask
        place = low[digit]
        other[place], spare[place] = numbers[row], row
        low[digit] = place + 1
    for row in range(rows):
        digit = other[row] >> U(_REST + _DIGIT)
        place = high[digit]
        numbers[place], order[place] = other[row], spare[row]
        high[digit] = place + 1
    for row in range(1, rows):
        number, which, place = numbers[row], order[row], row
        while place > 0 and numbers[place - 1] > number:
            if row - place == _FEW:
                return False
            numbers[place], order[place] = numbers[place - 1], order[place - 1]
            place -= 1
        numbers[place], order[place] = number, which
    return True


def order_of(first: Words, rest: Callable[[Order], tuple[npt.NDArray[Any], ...]]) -> Order:
    """Returns the order of rows by a random number of each; rows that are alike in all stay as they came.

    Args:
        first: the numbers; where they are random, they decide nearly always.
        rest: returns what decides where they do not, of some rows: keys as `numpy.lexsort` takes them, the last one first.
    """
    order, numbers = np.empty(len(first), np.uint32), first.copy()
    if not sort_random(numbers, order):
        order = np.argsort(first, kind="stable").astype(np.uint32)
        numbers = first[order]
    same = numbers[1:] == numbers[:-1]
    if same.any():
        tied = np.zeros(len(order), np.bool_)
        tied[1:] |= same
        tied[:-1] |= same
        some = order[tied]
        order[tied] = some[np.lexsort((*rest(some), first[some]))]
    return order
