"""The compiled sort: the order that Python's own makes, or none."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.sorting import order_of, sort_random


def sort(numbers):
    found, order = np.array(numbers, np.uint64), np.empty(len(numbers), np.uint32)
    return sort_random(found, order), found.tolist(), order.tolist()


@settings(deadline=None)
@given(st.integers(0, 3_000), st.integers(), st.integers(1, 64))
def test_random_numbers_are_sorted_and_those_alike_stay_as_they_came(size, seed, bits):
    """They differ in so many of their highest bits: in few, many are alike, and it may say that it is of no use."""
    dice = random.Random(seed)
    numbers = [dice.getrandbits(bits) << (64 - bits) for _ in range(size)]
    done, found, order = sort(numbers)
    if done:
        assert order == sorted(range(size), key=numbers.__getitem__)
        assert found == sorted(numbers)
    assert done or bits < 30


@pytest.mark.parametrize("size", [0, 1, 2, 100_000])
def test_hashes_are_random_enough(size):
    numbers = [random.getrandbits(64) for _ in range(size)]
    assert sort(numbers)[:2] == (True, sorted(numbers))


def test_numbers_that_begin_alike_are_told():
    assert not sort(list(range(1_000, 0, -1)))[0]
    assert sort([7] * 1_000)[0]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1) | st.integers(0, 3), st.integers(0, 2), st.integers(0, 2))))
def test_where_numbers_are_alike_the_rest_decides(rows):
    first, second, third = (np.array([row[place] for row in rows], np.uint64) for place in range(3))
    order = order_of(first, lambda some: (third[some], second[some]))
    assert order.tolist() == sorted(range(len(rows)), key=rows.__getitem__)
