"""The loop that brings events together by entry: what a stable sort by entry gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.ledger.evidence import EVENT
from crossdock.ledger.gathering import gather

ENTRIES, OPERATIONS = 6, 3


@settings(deadline=None)
@given(parts=st.lists(st.lists(st.integers(0, ENTRIES - 1), max_size=30), max_size=4), seed=st.integers(0, 99))
def test_events_come_by_entry_in_the_order_that_they_had(parts, seed):
    entries = np.array([entry for part in parts for entry in part], np.int32)
    dice, rows = np.random.default_rng(seed), len(entries)
    subjects, records = (dice.integers(0, 256, (rows, 16), np.uint8) for _ in range(2))
    operations, named = dice.integers(0, OPERATIONS, rows, np.uint8), dice.integers(0, 2, rows, np.uint8)
    ends = np.concatenate([[0], np.cumsum(np.bincount(entries, minlength=ENTRIES))])
    found, free = np.full((rows, EVENT.itemsize), 77, np.uint8), ends[:-1].copy()
    tally, done = np.zeros((ENTRIES, OPERATIONS), np.int64), 0
    for part in parts:
        here = slice(done, done + len(part))
        # Where none is named, no records are given.
        given_records = records[here] if named[here].any() else records[:0]
        gather((subjects[here], operations[here], named[here], given_records), entries[here], free, tally, found)
        done += len(part)
    whole = np.column_stack([subjects, operations, named, records * named[:, None]])
    by_entry = np.argsort(entries, kind="stable")
    assert found.tolist() == whole[by_entry].tolist()
    assert free.tolist() == ends[1:].tolist()
    for entry in range(ENTRIES):
        counted = np.bincount(operations[entries == entry], minlength=OPERATIONS)
        assert tally[entry].tolist() == counted.tolist()
