"""A large ledger is examined by processes: they find what threads find, and one that is ended says nothing of the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import current_process

import pytest

from crossdock.errors import Transient
from crossdock.ledger import examiners as module
from crossdock.ledger.compaction import compact
from crossdock.ledger.examiners import examiners
from crossdock.ledger.heads import sign_heads
from crossdock.ledger.verify import verify


@pytest.fixture
def processes(monkeypatch):
    monkeypatch.setattr(module, "MUCH", 0)
    monkeypatch.setattr(module, "cores", lambda: 2)


def fill(world, deliveries=70):
    """More deliveries than are examined at a time."""
    for number in range(deliveries):
        world.deliver(f"a{number}", f"b{number}", deleted=[f"c{number}"])
    sign_heads(world.state, world.store, world.keys)


def check(world):
    return verify(world.state, world.store, world.keys.public())


def damage(world, key):
    path = world.store.root / key
    data = path.read_bytes()
    path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("damaged", [False, True])
def test_processes_find_what_threads_find(world, monkeypatch, tmp_path, compacted, damaged):
    fill(world)
    if compacted:
        (tmp_path / "scratch").mkdir()
        for _ in range(2):  # the second deletes what the first made a segment of
            compact(world.state, world.store, tmp_path / "scratch")
    if damaged:
        folder = "ledger/segments/" if compacted else "ledger/events/"
        for key in (min(world.store.list(folder)), max(world.store.list("outbox/"))):
            damage(world, key)
    found = check(world)
    assert bool(found) == damaged
    monkeypatch.setattr(module, "MUCH", 0)
    monkeypatch.setattr(module, "cores", lambda: 2)
    assert check(world) == found


@pytest.mark.usefixtures("processes")
def test_a_process_that_is_ended_says_nothing_of_the_ledger(world):
    with pytest.raises(Transient, match="process"), examiners(world.store, 1) as pool:
        pool.submit(os._exit, 9).result()


@pytest.mark.usefixtures("processes")
def test_what_goes_wrong_in_a_process_is_raised_here(world):
    with pytest.raises(ValueError, match="invalid literal"), examiners(world.store, 1) as pool:
        pool.submit(int, "none").result()


@pytest.mark.usefixtures("processes")
def test_who_may_have_no_processes_has_threads(world, monkeypatch):
    monkeypatch.setitem(current_process()._config, "daemon", True)
    with examiners(world.store, 1) as pool:
        assert pool.submit(os.getpid).result() == os.getpid()


def test_a_program_that_verifies_is_not_run_again(world):
    """As Python's own processes would, which import the program they are begun by."""
    fill(world, deliveries=3)
    program = world.root / "program.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from crossdock.keys import Keys\n"
        "from crossdock.ledger import examiners, verify\n"
        "from crossdock.storage.local import LocalStore\n"
        "from crossdock.storage.state import State\n"
        "examiners.MUCH, examiners.cores = 0, lambda: 2\n"
        "root = Path(sys.argv[1])\n"
        "state, store = State.open(f\"sqlite:///{root / 'state.db'}\"), LocalStore(root / 'store')\n"
        "print('found', verify.verify(state, store, Keys.open(root / 'keys').public()))\n"
    )
    done = subprocess.run([sys.executable, program, world.root], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("found []\n", 0), done.stderr[-500:]
