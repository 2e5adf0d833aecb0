"""Scratch folders: where rows lie while they are worked on, and that nothing stays there when a process is killed."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = ".lock"


@contextmanager
def scratch_folder(base: Path) -> Iterator[Path]:
    """Gives a new folder below `base` that only we can read, and removes it at the end.

    Folders that killed processes left behind are removed first: each is guarded by a lock file, and a lock that nobody
    holds any more has lost its owner.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(base)
    name = secrets.token_hex(8)
    lock = _locked(base / f"{name}{_LOCK}")
    folder = base / name
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink()


def _locked(path: Path) -> _Lock:
    """Makes a lock file and holds it; makes it again should someone have cleared it in between."""
    while True:
        lock = _Lock(path)
        if lock.hold() and lock.stands():
            return lock
        lock.close()


def _clear(base: Path) -> None:
    for path in base.glob(f"*{_LOCK}"):
        lock = _Lock(path)
        if lock.hold() and lock.stands():
            shutil.rmtree(path.with_name(path.name.removesuffix(_LOCK)), ignore_errors=True)
            lock.unlink()
        else:
            lock.close()


class _Lock:
    """A lock file, held as long as its handle is open; the system lets go of it when the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def hold(self) -> bool:
        """Takes the lock; False when another handle has it."""
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def stands(self) -> bool:
        """True while the path still leads to the file we hold."""
        try:
            return os.path.samestat(os.fstat(self.handle), self.path.stat())
        except FileNotFoundError:
            return False

    def unlink(self) -> None:
        """Removes the file and lets go."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Lets go."""
        os.close(self.handle)
