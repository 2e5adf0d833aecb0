"""The demo's province, small, as `make demo` leaves it: laid out and run through the real DAGs, once per test run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PEOPLE, ENTERPRISES = 3_000, 1_000


@dataclass(frozen=True)
class Ran:
    """A process that ended."""

    code: int
    stdout: str
    stderr: str


def lay_out(home: Path, *, dags: bool = True) -> None:
    """Copies what makes a repository an exchange: contracts, transforms, and what Airflow reads."""
    for name in ("contracts", "transforms", *(["dags"] if dags else [])):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    if dags:
        shutil.copy(ROOT / "airflow.cfg", home)
        (home / "plugins").symlink_to(ROOT / "plugins")


def run(home: Path, *arguments: str, **environment: str) -> Ran:
    """Runs Python in a process of its own, as a person in that home would."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "AIRFLOW"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=home,
        env=clean | {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT / "plugins")} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def demo(home: Path) -> Ran:
    """Does what `make demo` does after its set-up."""
    made = run(home, "-m", "crossdock.airflow.secrets")
    assert made.code == 0, made.stderr
    return run(home, "-m", "crossdock.demo", "--people", str(PEOPLE), "--enterprises", str(ENTERPRISES))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "province.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home in which the demo ran; only to be read, for all processes of this test run use the same one.

    What the demo printed is in `stdout.txt` beside it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    home = shared / "province"
    with _alone(shared):
        if not (home / "stdout.txt").exists():
            home.mkdir()
            lay_out(home)
            ran = demo(home)
            log = home / "var" / "logs" / "demo.log"
            assert ran.code == 0, f"{ran.stderr}\n{log.read_text()[-5000:] if log.exists() else ''}"
            (home / "stdout.txt").write_text(ran.stdout)
    return home


@pytest.fixture
def demo_copy(demo_home: Path, tmp_path: Path) -> Path:
    """A copy of that home to change."""
    home = tmp_path / "home"
    shutil.copytree(demo_home, home, symlinks=True, ignore=shutil.ignore_patterns("logs", "airflow.db"))
    connections = home / "var" / "connections.json"
    connections.write_text(connections.read_text("utf-8").replace(str(demo_home), str(home)), "utf-8")
    return home


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Returns every file below a folder by path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
