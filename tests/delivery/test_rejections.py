"""Finding the rows that a consumer does not take, by trying parts."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from crossdock.delivery.rejections import MOST, RecordsRejected, find_rejected


@given(rows=st.integers(0, 300), bad=st.sets(st.integers(0, 299)))
def test_finds_each_and_tries_few_parts(rows, bad):
    bad = {row for row in bad if row < rows}
    taken, tried = [], []

    def take(first, end):
        tried.append((first, end))
        if bad & set(range(first, end)):
            return f"row {min(bad & set(range(first, end)))}"
        taken.extend(range(first, end))
        return None

    assert find_rejected(rows, take) == [(row, f"row {row}") for row in sorted(bad)]
    assert taken == [row for row in range(rows) if row not in bad]
    assert len(tried) <= 1 + 2 * len(bad) * max(1, rows.bit_length())


def test_a_row_that_only_another_one_makes_wrong():
    """Two rows have one key: the second is rejected, wherever the halves are cut."""
    keys, held = [1, 2, 3, 2, 5, 1], set()

    def take(first, end):
        part = keys[first:end]
        if len(set(part)) < len(part) or held & set(part):
            return "unique"
        held.update(part)
        return None

    assert find_rejected(len(keys), take) == [(3, "unique"), (5, "unique")]


def test_stops_when_there_are_too_many():
    assert len(find_rejected(10 * MOST, lambda *_: "check")) == MOST + 1


def test_crosses_processes():
    error = RecordsRejected([(3, "check")], where="here")
    again = pickle.loads(pickle.dumps(error))
    assert (again.records, str(again)) == (error.records, str(error))
