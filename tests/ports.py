"""Ports for the servers of tests, and patience until they answer."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable

PATIENCE = 60  # seconds until a server that does not answer is given up


def free_port() -> int:
    """Returns a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(answers: Callable[[], bool], what: str, server: subprocess.Popen[bytes] | None = None) -> None:
    """Waits until a server answers; one that has ended (its port was taken meanwhile, perhaps) is not waited for."""
    end = time.monotonic() + PATIENCE
    while not answers():
        if server is not None and server.poll() is not None:
            raise ChildProcessError(f"{what} ended with exit code {server.returncode} before it answered")
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not answer within {PATIENCE} s")
        time.sleep(0.1)
