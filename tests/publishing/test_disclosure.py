"""Nobody learns a small count, whatever else they know: totals, two counts and their difference."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.publishing.disclosure import disclosable, rounded

GROUPS = (lambda _: "", lambda cell: cell[0], lambda cell: cell[1])
CELLS = st.tuples(st.sampled_from("abc"), st.sampled_from("vwxyz"))
COUNTS = st.integers(0, 25) | st.integers(0, 10_000)
TABLES = st.dictionaries(CELLS, COUNTS, max_size=15).map(lambda table: dict(sorted(table.items())))
SMALLEST = st.integers(1, 20)


@given(TABLES, SMALLEST)
def test_no_small_count_is_told_and_each_that_is_told_is_near(table, smallest):
    told = disclosable(table, smallest=smallest, groups=GROUPS)
    assert list(told) == list(table)
    for cell, count in told.items():
        if count is None:
            assert table[cell] > 0
        else:
            assert count % smallest == 0
            assert abs(count - table[cell]) <= smallest / 2
            assert not 0 < table[cell] < smallest
            assert (count == 0) == (table[cell] == 0)


@given(TABLES)
def test_with_a_threshold_of_one_everything_is_told_as_it_is(table):
    assert disclosable(table, smallest=1, groups=GROUPS) == table


@given(TABLES, SMALLEST)
def test_where_nothing_is_small_nothing_is_suppressed(table, smallest):
    table = {cell: count for cell, count in table.items() if count == 0 or count >= smallest}
    assert None not in disclosable(table, smallest=smallest, groups=GROUPS).values()


@given(TABLES, SMALLEST, st.booleans())
def test_who_knows_a_total_exactly_can_rule_no_small_count_out(table, smallest, with_known):
    """The attacker knows the total, what was told before it was rounded, and that each hidden count is one or more."""
    known = (lambda cell: cell[1] == "v") if with_known else (lambda _: False)
    told = disclosable(table, smallest=smallest, groups=GROUPS, known=known)
    for group in GROUPS:
        for name in {group(cell) for cell in table}:
            part = [cell for cell in table if group(cell) == name and not known(cell)]
            hidden = [cell for cell in part if told[cell] is None]
            if not hidden or len(hidden) == len([cell for cell in part if table[cell]]):
                continue  # nothing is hidden; or nothing is shown to be subtracted
            left = sum(map(table.get, part)) - sum(table[cell] for cell in part if cell not in hidden)
            assert len(hidden) > 1
            assert (
                left - (len(hidden) - 1) >= smallest - 1
            )  # the most that one can be; the least is 1, as there are others


@given(st.lists(COUNTS, min_size=2, max_size=6), st.integers(2, 30))
def test_the_difference_of_two_counts_is_no_small_count(counts, base):
    """A register's size on two days, say: each small difference is possible, or none of them is."""
    for one, other in combinations(counts, 2):
        shown = rounded(one, base) - rounded(other, base)
        possible = {
            first - second
            for first in range(rounded(one, base) - base // 2, rounded(one, base) - base // 2 + base)
            for second in range(rounded(other, base) - base // 2, rounded(other, base) - base // 2 + base)
        } if abs(shown) <= 2 * base else set()  # fmt: skip
        small = set(range(1, base))
        assert small <= possible or not small & possible
        if 0 < one - other < base:
            assert small <= possible


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"a": 4, "b": 996, "c": 2_000}, {"a": None, "b": None, "c": 2_000}),  # not the total less two counts
        ({"a": 4, "b": 5, "c": 20, "d": 2_000}, {"a": None, "b": None, "c": None, "d": 2_000}),  # 9: both would be pinned down
        ({"a": 4, "b": 7, "c": 20}, {"a": None, "b": None, "c": 20}),
        ({"a": 4, "b": 0, "c": 0}, {"a": None, "b": 0, "c": 0}),
        ({"a": 14, "b": 15}, {"a": 10, "b": 20}),
        ({}, {}),
    ],
)  # fmt: skip
def test_what_is_told(table, told):
    assert disclosable(table, smallest=10, groups=[lambda _: ""]) == told


def test_what_everybody_knows_hides_nothing():
    told = disclosable(
        {"a": 4, "b": 50, "public": 20}, smallest=10, groups=[lambda _: ""], known=lambda c: c == "public"
    )
    assert told == {"a": None, "b": None, "public": 20}
