import os
import sys
import time
from pathlib import Path

import pytest

from crossdock.airflow.processes import RESTARTS, Children
from crossdock.errors import Permanent

SLEEPS = "import time; print('up', flush=True); time.sleep(60)"
IGNORES = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
HAS_A_CHILD = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(child.pid, flush=True); time.sleep(60)"
)


def said(child):
    while not (text := child.log.read_text()):
        time.sleep(0.02)
    return text.strip()


def lives(number):
    status = Path(f"/proc/{number}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def children(tmp_path):
    with Children(tmp_path / "logs") as started:
        yield started


def test_all_have_ended_after_the_block(tmp_path):
    with Children(tmp_path) as children:
        first = children.start("first", [sys.executable, "-c", SLEEPS], os.environ)
        says_word = [sys.executable, "-c", "import os; print(os.environ['WORD'])"]
        second = children.start("second", says_word, {**os.environ, "WORD": "given"})
        assert said(first) == "up"
        assert said(second) == "given"
        second.process.wait()
    assert first.process.returncode == -15
    assert second.process.returncode == 0


def test_one_that_will_not_end_is_killed(children):
    stubborn = children.start("stubborn", [sys.executable, "-c", IGNORES], os.environ)
    assert said(stubborn) == "up"
    children.end(patience=0.2)
    assert stubborn.process.returncode == -9


def test_what_a_child_leaves_behind_ends_with_it(children):
    parent = children.start("parent", [sys.executable, "-c", HAS_A_CHILD], os.environ)
    grandchild = int(said(parent))
    children.end()
    deadline = time.monotonic() + 5
    while lives(grandchild) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not lives(grandchild)


def test_a_child_that_ends_by_itself_is_started_again(tmp_path):
    told = []
    with Children(tmp_path / "logs", told.append) as children:
        steady = children.start("steady", [sys.executable, "-c", SLEEPS], os.environ)
        once = (
            "import pathlib, time; f = pathlib.Path('ran'); seen = f.exists(); f.touch(); time.sleep(60 if seen else 0)"
        )
        failing = children.start("failing", ["env", f"--chdir={tmp_path}", sys.executable, "-c", once], os.environ)
        failing.process.wait()
        children.check()
        children.check()
        assert steady.process.poll() is None
    (line,) = told
    assert line.startswith("The failing ended with exit code 0 and was started again")
    assert str(failing.log) in line


def keep_checking(children):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        children.check()
        time.sleep(0.02)


def test_a_child_that_ends_again_and_again_is_named_with_its_log(children, tmp_path):
    count = "import pathlib; file = pathlib.Path('ran').open('a'); file.write('x'); raise SystemExit(3)"
    failing = children.start("failing", ["env", f"--chdir={tmp_path}", sys.executable, "-c", count], os.environ)
    with pytest.raises(Permanent, match="failing ended with exit code 3, again and again") as caught:
        keep_checking(children)
    assert caught.value.where == str(failing.log)
    assert len((tmp_path / "ran").read_text()) == 1 + RESTARTS
