"""Work on one item after another beside what the caller does: on all cores with results in order, or behind its back."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[_Item], _Result], items: Iterable[_Item], *, beside: int = 0) -> Iterator[_Result]:
    """Runs work on every item on all cores and yields the results in the items' order; holds few items at a time.

    Args:
        work: done in threads of its own.
        items: made in this thread.
        beside: how many cores are left to what this thread does with the results.
    """
    threads = max(2 - beside, cores() - beside)
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


@contextmanager
def behind(work: Callable[[_Item], object], *, most: int = 2) -> Iterator[Callable[[_Item], None]]:
    """Yields what hands items over to be worked on in a thread, one after another; leaving waits for the last of them.

    Who hands over waits while more than so many items are left to do. An error in the work is raised there, or on leaving.
    """
    waiting: deque[Future[object]] = deque()

    def hand_over(item: _Item) -> None:
        waiting.append(pool.submit(work, item))
        while len(waiting) > most:
            waiting.popleft().result()

    with ThreadPoolExecutor(1, thread_name_prefix="crossdock") as pool:
        try:
            yield hand_over
            while waiting:
                waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
