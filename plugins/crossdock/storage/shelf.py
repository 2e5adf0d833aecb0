"""A shelf on the local disk: what was made for one consumer and is made the same for the next, kept for a while.

It holds rows in the clear, as `scratch` does, so it is small, for a day, and readable by nobody else. Whatever is on it can
be made again: losing it costs time. A file's name ends with its SHA-256, and one that is not what it was is not taken.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crossdock.identity import file_sha256, has_sha256

MOST = 2 << 30  # bytes
MANY = 50_000  # rows from which on what is made of them is worth keeping
OLDEST = 86_400  # seconds
_RECENT = 60  # seconds within which it makes no difference when a file was used


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of files by name; several processes may use it at once."""

    folder: Path
    most: int = MOST

    def has_room(self, size: int) -> bool:
        """Tells whether a file of so many bytes would be kept: it is no larger than half the shelf."""
        return size <= self.most // 2

    def put(self, name: str, path: Path, sha256: str | None = None) -> None:
        """Keeps a file, whose SHA-256 may be known, under a name if there is room; the oldest make it."""
        size = path.stat().st_size
        if not self.has_room(size):
            return
        fresh = self.folder / f".{secrets.token_hex(8)}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.tidy(room=size)
            _link(path, fresh)
            fresh.replace(self.folder / f"{name}.{sha256 or file_sha256(path)}")
        except OSError:  # no delivery fails because others can't have what was made for it
            with suppress(OSError):
                fresh.unlink()

    def take(self, name: str, path: Path) -> str:
        """Puts what is kept under a name at a path, which is only to be read; returns its SHA-256, "" when there is nothing."""
        for found in self.folder.glob(f"{name}.*"):
            try:
                _link(found, path)
            except FileNotFoundError:
                continue  # it just made room for another
            sha256 = found.name.removeprefix(f"{name}.")
            if _is_whole(path, sha256):
                return sha256
            path.unlink()
            found.unlink(missing_ok=True)
        return ""

    def tidy(self, *, room: int = 0) -> None:
        """Removes what is too old, and the oldest until there is room for so many bytes."""
        left, now = self.most - room, time.time()
        for path, size, used in sorted(self._files(), key=lambda file: -file[2]):
            left -= size
            if left < 0 or used < now - OLDEST:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        for entry in os.scandir(self.folder) if self.folder.is_dir() else ():
            try:
                about = entry.stat()
            except FileNotFoundError:
                continue
            yield Path(entry.path), about.st_size, about.st_mtime


def _is_whole(path: Path, sha256: str) -> bool:
    """Tells whether a file, which is used now, is what it was."""
    if path.stat().st_mtime < time.time() - _RECENT:
        os.utime(path)
    return has_sha256(path, sha256)


def _link(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or one without links
        shutil.copyfile(path, other)
