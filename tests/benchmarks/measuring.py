"""What both benchmarks share: timing, and the versions that a figure belongs to."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata

Timed = dict[str, list[float]]


def timed(times: Timed, name: str, work: Callable[[], object]) -> object:
    """Does some work and notes its seconds under a name."""
    start = time.perf_counter()
    result = work()
    times.setdefault(name, []).append(time.perf_counter() - start)
    return result


def medians(times: Timed) -> dict[str, float]:
    return {name: statistics.median(found) for name, found in times.items()}


def machine(*packages: str) -> str:
    """Says what a figure was measured with: versions, and how many processors were to be had."""
    versions = [f"{name} {metadata.version(name)}" for name in packages]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ", ".join([f"Python {platform.python_version()}", *versions, f"{cores} cores"])
