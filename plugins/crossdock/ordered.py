"""Work on one item after another, on all cores, with results in the items' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(work: Callable[[_Item], _Result], items: Iterable[_Item], *, beside: int = 0) -> Iterator[_Result]:
    """Runs work on every item on all cores and yields the results in the items' order; holds few items at a time.

    Args:
        work: done in threads of its own.
        items: made in this thread.
        beside: how many cores are left to what this thread does with the results.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(2 - beside, cores - beside)
    ahead = threads + 2 * beside  # so that the threads have work while this one is busy with results
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="crossdock") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
