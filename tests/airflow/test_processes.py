import os
import sys
import time
from pathlib import Path

import pytest

from crossdock.airflow.processes import Children
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
    with Children(tmp_path / "logs", os.environ) as started:
        yield started


def test_all_have_ended_after_the_block(tmp_path):
    with Children(tmp_path, {**os.environ, "WORD": "given"}) as children:
        first = children.start("first", [sys.executable, "-c", SLEEPS])
        second = children.start("second", [sys.executable, "-c", "import os; print(os.environ['WORD'])"])
        assert said(first) == "up"
        assert said(second) == "given"
        second.process.wait()
    assert first.process.returncode == -15
    assert second.process.returncode == 0


def test_one_that_will_not_end_is_killed(children):
    stubborn = children.start("stubborn", [sys.executable, "-c", IGNORES])
    assert said(stubborn) == "up"
    children.end(patience=0.2)
    assert stubborn.process.returncode == -9


def test_what_a_child_leaves_behind_ends_with_it(children):
    parent = children.start("parent", [sys.executable, "-c", HAS_A_CHILD])
    grandchild = int(said(parent))
    children.end()
    deadline = time.monotonic() + 5
    while lives(grandchild) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not lives(grandchild)


def test_a_child_that_ends_by_itself_is_named_with_its_log(children):
    children.start("steady", [sys.executable, "-c", SLEEPS])
    children.check()
    failing = children.start("failing", [sys.executable, "-c", "raise SystemExit(3)"])
    failing.process.wait()
    with pytest.raises(Permanent, match="failing ended with exit code 3") as caught:
        children.check()
    assert caught.value.where.endswith("failing.log")
