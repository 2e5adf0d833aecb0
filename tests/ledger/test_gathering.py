"""The loop that brings events together by entry: what a stable sort by entry gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.ledger.gathering import gather


@settings(deadline=None)
@given(parts=st.lists(st.lists(st.integers(0, 5), max_size=30), max_size=4))
def test_events_come_by_entry_in_the_order_that_they_had(parts):
    entries = [entry for part in parts for entry in part]
    ends = np.cumsum([0, *(entries.count(entry) for entry in range(6))])
    events = np.arange(17 * len(entries), dtype=np.uint16).reshape(-1, 17)
    found, free, done = np.zeros_like(events), ends[:-1].copy(), 0
    for part in parts:
        gather(events[done : done + len(part)], np.array(part, np.int32), free, found)
        done += len(part)
    by_entry = sorted(range(len(entries)), key=entries.__getitem__)
    assert found.tolist() == events[by_entry].tolist()
    assert free.tolist() == ends[1:].tolist()
