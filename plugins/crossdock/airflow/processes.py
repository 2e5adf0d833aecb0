"""Servers started together as children of this process, kept running, and ended together by their process ids."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from crossdock.errors import Permanent

PATIENCE = 20.0  # seconds that children have to end by themselves
RESTARTS = 3  # how often a child that ends by itself is started again


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One server: its name, how it was started, its process, and the file that holds what it says."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes]
    log: Path


class Children:
    """Starts servers, each with a log file, and ends all that still run when the block ends.

    Each leads a process group of its own: a Ctrl-C in the terminal reaches only us, and what a child leaves behind can
    be ended with it.
    """

    def __init__(self, logs: Path, on_restart: Callable[[str], None] = lambda _: None) -> None:
        """Keeps where logs go, and who hears that a child was started again."""
        self._logs = logs
        self._on_restart = on_restart
        self._started: list[Child] = []
        self._restarts: Counter[str] = Counter()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Starts a server; what it writes is appended to <name>.log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - the caller's own words, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        child = Child(name=name, command=command, environment=environment, process=process, log=log)
        self._started.append(child)
        return child

    def check(self) -> None:
        """Does nothing while all children run; one that has ended is started again.

        Raises:
            Permanent: one has ended too often.
        """
        for child in [each for each in self._started if each.process.poll() is not None]:
            ended = f"The {child.name} ended with exit code {child.process.returncode}"
            self._restarts[child.name] += 1
            if self._restarts[child.name] > RESTARTS:
                raise Permanent(f"{ended}, again and again.", where=str(child.log), fix="Its log says why.")
            _kill_group(child.process.pid)
            self._started.remove(child)
            self.start(child.name, child.command, child.environment)
            self._on_restart(f"{ended} and was started again; {child.log} says why.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self, patience: float = PATIENCE) -> None:
        """Asks all children to end, the last started first, and kills what is left of each after a while."""
        for child in reversed(self._started):
            if child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + patience
        for child in self._started:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
            _kill_group(child.process.pid)
            child.process.wait()
        self._started.clear()


def _kill_group(leader: int) -> None:
    """Kills what is left of a child's group; the group keeps the leader's number while any member lives."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
