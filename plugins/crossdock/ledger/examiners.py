"""Who examines what a ledger's entries point at: threads, or processes where there is much to do.

Each event file takes a few hundred calls into compiled code, and between them only one thread of a process has its turn:
two threads were hardly sooner done than one. Processes do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import current_process
from typing import Any

import pyarrow.fs as pafs

from crossdock.errors import Transient
from crossdock.ordered import cores
from crossdock.storage.store import Store

MUCH = 1_000  # entries, or as many row groups of segments, for which it is worth beginning processes: that takes 0.3 s
_ASKED = 8  # requests at a time to a store that is not at hand, whose answers one waits for


@contextmanager
def examiners(store: Store, work: int, most: int | None = None) -> Iterator[Executor]:
    """Yields what examines; ends what is not done any more when it is left by an error.

    Args:
        store: whose objects are examined.
        work: how many entries, or row groups of segments, there are.
        most: how many may be at it at once, if that matters.

    Raises:
        Transient: a process was ended from outside.
    """
    filesystem, _ = store.filesystem()
    at_hand = isinstance(filesystem, pafs.LocalFileSystem)
    most = most or (cores() if at_hand else _ASKED)
    # A process that belongs to another one, as Celery's do, may have none of its own.
    if not at_hand or work < MUCH or cores() == 1 or current_process().daemon:
        with ThreadPoolExecutor(most) as threads:
            try:
                yield threads
            finally:
                threads.shutdown(cancel_futures=True)
        return
    from loky.process_executor import ProcessPoolExecutor  # its processes do not run the caller's program anew

    processes: Any = ProcessPoolExecutor(min(most, cores()))
    done = False
    try:
        yield processes
        done = True
    except BrokenExecutor as error:
        raise Transient("A process that examined the ledger was ended.", fix="Verify again.") from error
    finally:
        processes.shutdown(kill_workers=not done)
