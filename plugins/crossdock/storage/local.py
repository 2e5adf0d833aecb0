"""The store on a local folder: the embedded default."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path

import pyarrow.fs as pafs

from crossdock.errors import ObjectMissing
from crossdock.identity import file_sha256
from crossdock.storage.keys import checked, conflict

_UNFINISHED = ".unfinished-"


@dataclass(frozen=True, slots=True)
class LocalStore:
    """Keeps each object as a file below `root`, readable by its owner only.

    A file gets its name by a hard link once it is whole and on disk, so that a name never shows half an object and
    the first of several writers wins.
    """

    root: Path

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`."""
        path = self._path(key)
        with self._unfinished(path) as fresh:
            fresh.write_bytes(data)
            if _link(fresh, path):
                return True
        if path.read_bytes() != data:
            raise conflict(key)
        return False

    def put_file(self, key: str, path: Path) -> bool:
        """See `Store.put_file`."""
        target = self._path(key)
        with self._unfinished(target) as fresh:
            _move(path, fresh)
            if _link(fresh, target):
                return True
            if file_sha256(fresh) != file_sha256(target):
                raise conflict(key)
        return False

    def read(self, key: str) -> bytes:
        """See `Store.read`."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise ObjectMissing(
                "There is no such object.", where=self.url(key), fix="Restore it from a backup."
            ) from None

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """See `Store.read_versioned`."""
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        return data, sha256(data).hexdigest()

    def swap(self, key: str, data: bytes, *, expected: str | None) -> bool:
        """See `Store.swap`."""
        path = self._path(key)
        with self._unfinished(path) as fresh, self._locked():
            found = self.read_versioned(key)
            if (found[1] if found else None) != expected:
                return False
            fresh.write_bytes(data)
            _settle(fresh)
            fresh.replace(path)
            _settle(path.parent)
        return True

    def exists(self, key: str) -> bool:
        """See `Store.exists`."""
        return self._path(key).is_file()

    def list(self, prefix: str) -> Iterator[str]:
        """See `Store.list`."""
        above = prefix.rpartition("/")[0]
        folder = self._path(above) if above else self.root
        found = (
            p.relative_to(self.root).as_posix() for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")
        )
        yield from sorted(key for key in found if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._path(key).unlink(missing_ok=True)

    def filesystem(self) -> tuple[pafs.FileSystem, str]:
        """See `Store.filesystem`."""
        return pafs.LocalFileSystem(), str(self.root)

    def url(self, key: str) -> str:
        """See `Store.url`."""
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        return self.root / checked(key)

    @contextmanager
    def _unfinished(self, target: Path) -> Iterator[Path]:
        """Gives a name beside the target on the same disk; whatever still has it at the end is removed."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = target.with_name(f"{_UNFINISHED}{secrets.token_hex(8)}")
        try:
            yield fresh
        finally:
            fresh.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.root / ".lock").open("w") as lock:
            flock(lock, LOCK_EX)
            yield


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, target)
        source.unlink()


def _link(fresh: Path, path: Path) -> bool:
    """Gives a whole file its final name; False when the name is taken."""
    _settle(fresh)
    try:
        os.link(fresh, path)
    except FileExistsError:
        return False
    _settle(path.parent)
    return True


def _settle(path: Path) -> None:
    """Forces a file's content, or a folder's names, onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
