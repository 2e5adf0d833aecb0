"""The store on a local folder: the embedded default."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path

import pyarrow.fs as pafs

from crossdock.errors import ObjectMissing, StorageConflict
from crossdock.identity import file_sha256
from crossdock.storage.keys import checked, checked_prefix, conflict

_UNFINISHED = ".unfinished"
_LOCK = ".lock"
_ABANDONED = 24 * 3600  # seconds after which an unfinished file can only be a killed writer's
_NO_OBJECT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class LocalStore:
    """Keeps each object as a file below `root`, all on one disk; `open_local` makes it.

    A file gets its name by a hard link once it is whole and on disk, so that a name never shows half an object and
    the first of several writers wins. Until then it is in a folder of its own below `root`, which is no key.
    """

    root: Path

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`."""
        path = self._path(key)
        with self._unfinished() as fresh:
            fresh.write_bytes(data)
            if self._name(fresh, key):
                return True
        if not path.is_file() or path.read_bytes() != data:
            raise conflict(key)
        return False

    def put_file(self, key: str, path: Path) -> bool:
        """See `Store.put_file`."""
        target = self._path(key)
        with self._unfinished() as fresh:
            _move(path, fresh)
            try:
                if self._name(fresh, key):
                    return True
                if not target.is_file() or file_sha256(fresh) != file_sha256(target):
                    raise conflict(key)
            except StorageConflict:
                _move(fresh, path)  # what was pulled is not lost
                raise
        return False

    def read(self, key: str) -> bytes:
        """See `Store.read`."""
        found = self.read_versioned(key)
        if found is None:
            raise ObjectMissing("There is no such object.", where=self.url(key), fix="Restore it from a backup.")
        return found[0]

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """See `Store.read_versioned`."""
        try:
            data = self._path(key).read_bytes()
        except _NO_OBJECT:
            return None
        return data, sha256(data).hexdigest()

    def swap(self, key: str, data: bytes, *, expected: str | None) -> bool:
        """See `Store.swap`."""
        path = self._path(key)
        with self._unfinished() as fresh, self._locked():
            found = self.read_versioned(key)
            if (found[1] if found else None) != expected:
                return False
            fresh.write_bytes(data)
            if found is None:
                return self._name(fresh, key)  # `put_new` takes no lock, and may come between
            _settle(fresh)
            fresh.replace(path)
            _settle(path.parent)
        return True

    def exists(self, key: str) -> bool:
        """See `Store.exists`."""
        return self._path(key).is_file()

    def list(self, prefix: str) -> Iterator[str]:
        """See `Store.list`."""
        folder = self.root / checked_prefix(prefix)
        hidden = {self.root / _LOCK, self.root / _UNFINISHED}
        files = (path for path in folder.rglob("*") if not hidden & {path, path.parent} and path.is_file())
        keys = (path.relative_to(self.root).as_posix() for path in files)
        yield from sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        path = self._path(key)
        if path.is_file():
            path.unlink(missing_ok=True)

    def filesystem(self) -> tuple[pafs.FileSystem, str]:
        """See `Store.filesystem`."""
        return pafs.LocalFileSystem(), str(self.root)

    def url(self, key: str) -> str:
        """See `Store.url`."""
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        return self.root / checked(key)

    def _name(self, fresh: Path, key: str) -> bool:
        """Gives a whole file its final name; False when the name is taken."""
        path = self._path(key)
        try:
            _make_folder(path.parent)
        except (FileExistsError, NotADirectoryError):
            raise conflict(key) from None  # a part of the key is an object itself
        _settle(fresh)
        try:
            os.link(fresh, path)
        except FileExistsError:
            return False
        _settle(path.parent)
        return True

    @contextmanager
    def _unfinished(self) -> Iterator[Path]:
        """Gives a path for a file that no key shows; whatever still is there at the end is removed."""
        folder = self.root / _UNFINISHED
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = folder / secrets.token_hex(8)
        try:
            yield fresh
        finally:
            fresh.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.root / _LOCK).open("w") as lock:
            flock(lock, LOCK_EX)
            yield


def open_local(folder: Path) -> LocalStore:
    """Opens a folder (made when it does not exist, readable by its owner only) and clears what killed writers left."""
    root = folder.absolute()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    left = root / _UNFINISHED
    for path in left.iterdir() if left.is_dir() else ():
        try:
            if time.time() - path.stat().st_ctime > _ABANDONED:
                path.unlink()
        except FileNotFoundError:
            continue  # its writer has finished just now
    return LocalStore(root)


def _make_folder(folder: Path) -> None:
    """Makes a folder whose name, and the names of those above it, are on disk before anything is put into it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _settle(folder.parent)


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, target)
        source.unlink()


def _settle(path: Path) -> None:
    """Forces a file's content, or a folder's names, onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
