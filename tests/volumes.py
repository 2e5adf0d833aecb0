"""Disks of a few hundred kilobytes, so that one can really be full: file systems in memory, mounted where a test says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = 4096


@dataclass(frozen=True)
class Volume:
    """A small disk; `fill` leaves not a page of it, `free` gives pages back."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        handle = os.open(self._ballast, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            while os.write(handle, b"\0" * PAGE):
                pass
        except OSError:
            assert os.statvfs(self.folder).f_bavail == 0
        finally:
            os.close(handle)

    def free(self, pages: int = 1) -> None:
        left = self._ballast.stat().st_size - pages * PAGE
        assert left >= 0, "the disk has more room than it ever had, and it is not enough"
        os.truncate(self._ballast, left)


@pytest.fixture
def volume() -> Iterator[Callable[[Path], Volume]]:
    """Mounts small disks on empty folders; they go with the test. It takes root, or sudo without a password."""
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    with ExitStack() as stack:

        def mount(folder: Path, size: str = "1m") -> Volume:
            folder.mkdir(parents=True, exist_ok=True)
            assert not any(folder.iterdir())
            owned = f"size={size},mode=700,uid={os.geteuid()},gid={os.getegid()}"
            subprocess.run([*rights, "mount", "-t", "tmpfs", "-o", owned, "tmpfs", str(folder)], check=True)
            stack.callback(subprocess.run, [*rights, "umount", "--lazy", str(folder)], check=True)
            return Volume(folder)

        yield mount
