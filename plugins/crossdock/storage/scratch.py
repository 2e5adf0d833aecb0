"""Folders for work in progress, which hold rows in the clear: each is gone with its process, however that ended."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path


@contextmanager
def scratch(base: Path) -> Iterator[Path]:
    """Gives a folder for one piece of work below `base`, and removes it afterwards.

    Its owner holds a lock on it as long as it lives. A folder that nobody holds is of a process that was killed, and is
    removed by whoever works next.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(base):
        _clear(base)
        folder = Path(tempfile.mkdtemp(dir=base))
        held = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _clear(base: Path) -> None:
    for folder in (path for path in base.iterdir() if path.is_dir()):
        try:
            held = _lock(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # in use, or just gone
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _lock(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _locked(base: Path) -> Iterator[None]:
    """One process at a time makes or clears: a new folder is never seen before its lock."""
    descriptor = os.open(base, os.O_RDONLY)
    try:
        flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)
