"""Folders for work: gone with the work, also when its process was killed, and never taken from the living."""

from __future__ import annotations

import subprocess
import sys

from crossdock.storage.scratch import scratch

HOLD = """
import sys, pathlib
from crossdock.storage.scratch import scratch
with scratch(pathlib.Path(sys.argv[1])) as folder:
    (folder / "rows").write_text("in the clear")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_gone_with_the_work(tmp_path):
    with scratch(tmp_path / "scratch") as folder:
        (folder / "deep").mkdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (tmp_path / "scratch").stat().st_mode & 0o777 == 0o700


def test_the_livings_stay_and_the_killeds_go(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        theirs = tmp_path / holder.stdout.readline().strip()
        with scratch(tmp_path) as mine:
            assert mine != theirs
            assert (theirs / "rows").exists()
        holder.kill()
    assert (theirs / "rows").exists()
    with scratch(tmp_path):
        assert not theirs.exists()
