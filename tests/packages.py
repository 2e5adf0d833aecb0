"""Programs from Debian that tests need: installed once per test run, where that is possible."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess

import pytest

PATIENCE = 300  # seconds for each of apt's two steps


def demand(program: str, packages: tuple[str, ...], factory: pytest.TempPathFactory, otherwise: str) -> str:
    """Returns a program's path. Where it can't be had the test does not run, which `-ra` prints with the reason."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = _install(program, packages)
    if missing:
        pytest.skip(f"{otherwise}: {missing}")
    return str(shutil.which(program))


def _install(program: str, packages: tuple[str, ...]) -> str:
    """Installs packages with apt; returns why the program is not there afterwards, or ""."""
    if shutil.which(program):
        return ""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return f"there is no {program}, and no apt-get that may install one"
    steps = (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages])
    for step in steps:
        try:
            done = subprocess.run(
                step,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"`{' '.join(step)}` took more than {PATIENCE} s"
        if done.returncode:
            return f"`{' '.join(step)}` failed: {done.stderr.strip().splitlines()[-1:]}"
    return "" if shutil.which(program) else "apt installed it, but it is not in the path"
