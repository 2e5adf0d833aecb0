import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from crossdock.coroutines import run


async def where():
    await asyncio.sleep(0)
    return threading.current_thread()


async def failing():
    raise KeyError("x")


def in_a_thread(work):
    """What it returns in a thread where no loop runs: browser tests leave one running in the main thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_where_no_loop_runs_it_runs_here():
    assert in_a_thread(lambda: run(where()) is threading.current_thread())


def test_where_one_runs_it_runs_beside():
    async def notebook():
        with pytest.raises(KeyError):
            run(failing())
        return run(where())

    assert in_a_thread(lambda: asyncio.run(notebook()) is not threading.current_thread())
