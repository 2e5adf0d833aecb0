"""A real browser: Debian's chromium, driven by playwright. Where it is missing it is installed, once per test run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

_PACKAGES = ("chromium", "fonts-noto-cjk")
_PATIENCE = 300  # seconds for each of apt's two steps


def _install() -> str:
    """Installs chromium with apt, where that is possible; returns why it is not there afterwards, or ""."""
    if shutil.which("chromium"):
        return ""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return "there is no chromium, and no apt-get that may install one"
    steps = (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *_PACKAGES])
    for step in steps:
        try:
            done = subprocess.run(
                step,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"`{' '.join(step)}` took more than {_PATIENCE} s"
        if done.returncode:
            return f"`{' '.join(step)}` failed: {done.stderr.strip().splitlines()[-1:]}"
    return "" if shutil.which("chromium") else "apt installed it, but it is not in the path"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium. Where it can't be had the test does not run, which `-ra` prints with the reason: CI has no say in that."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = _install()
    if missing:
        pytest.skip(f"THE DASHBOARD WAS NOT LOOKED AT IN A BROWSER: {missing}")
    # As root chromium starts without its sandbox only; it opens nothing but our own pages.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield chromium
        chromium.close()
