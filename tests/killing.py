"""`crossdock run` in processes of their own that die at a named step, as `kill -9` would end them.

A fork server imports the heavy libraries once and starts no thread, so that each process costs a fork, not five seconds.
"""

from __future__ import annotations

import ast
import multiprocessing as mp
import os
import sys
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

PLUGINS = Path(__file__).parents[1] / "plugins"
KILLED = 137
PATIENCE = 120  # seconds

_server = mp.get_context("forkserver")
_server.set_forkserver_preload(["crossdock.cli", "crossdock.sweep", "crossdock.pipeline", "great_expectations", "warm"])


def steps() -> dict[str, str]:
    """Returns every step that the code names as killable, with the module that reaches it."""
    found = {}
    for file in sorted((PLUGINS / "crossdock").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reached":
                (step,) = node.args
                assert isinstance(step, ast.Constant), f"{file}: name the step as a plain text"
                found[str(step.value)] = str(file.relative_to(PLUGINS))
    return found


def start(home: Path, *, fault: str = "", arguments: tuple[str, ...] = ("run",)) -> mp.context.ForkServerProcess:
    """Starts the command in a home; what it says is in `said.txt` there."""
    process = _server.Process(target=_command, args=(str(home), fault, arguments), daemon=True)
    process.start()
    return process


def until(step: str, work: Callable[..., None], *args: object) -> mp.context.ForkServerProcess:
    """Starts work in a process that dies at a step; module level functions and plain values only."""
    process = _server.Process(target=_until, args=(step, work, args), daemon=True)
    process.start()
    return process


def _until(step: str, work: Callable[..., None], args: tuple[object, ...]) -> None:
    os.environ["CROSSDOCK_FAULT"] = step
    work(*args)


def code(process: mp.context.ForkServerProcess) -> int | None:
    """Waits for a process and returns how it ended; None when it did not."""
    process.join(PATIENCE)
    return process.exitcode


def _command(home: str, fault: str, arguments: tuple[str, ...]) -> None:
    os.environ.update(CROSSDOCK_HOME=home, CROSSDOCK_FAULT=fault)
    said = os.open(f"{home}/said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(said, number)
    sys.argv = ["crossdock", *arguments]
    from crossdock.cli import main

    main()


def push(home: Path, agreement: str, barrier: Barrier) -> mp.context.ForkServerProcess:
    """Starts a process that pushes one agreement as soon as all that share the barrier are ready."""
    process = _server.Process(target=_push, args=(str(home), agreement, barrier), daemon=True)
    process.start()
    return process


def barrier(parties: int) -> Barrier:
    """Returns what lets that many processes begin at once."""
    return _server.Barrier(parties)


def _push(home: str, agreement: str, barrier: Barrier) -> None:
    from crossdock import pipeline
    from crossdock.exchange import open_exchange

    exchange = open_exchange(Path(home))
    barrier.wait(PATIENCE)
    outcome = pipeline.push(exchange, agreement)
    assert outcome.status in ("delivered", "unchanged"), outcome
