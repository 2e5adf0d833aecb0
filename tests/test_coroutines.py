import asyncio
import threading

import pytest

from crossdock.coroutines import run


async def where():
    await asyncio.sleep(0)
    return threading.current_thread()


async def failing():
    raise KeyError("x")


def test_where_no_loop_runs_it_runs_here():
    assert run(where()) is threading.current_thread()


def test_where_one_runs_it_runs_beside():
    async def notebook():
        with pytest.raises(KeyError):
            run(failing())
        return run(where())

    assert asyncio.run(notebook()) is not threading.current_thread()
