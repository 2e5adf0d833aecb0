"""Scratch folders vanish, whatever happens to the process that made them."""

import subprocess
import sys

import pytest

from crossdock.scratch import scratch_folder


def test_a_folder_of_ones_own_that_goes(tmp_path):
    with scratch_folder(tmp_path / "s") as one, scratch_folder(tmp_path / "s") as other:
        (one / "rows").write_text("x")
        assert one != other
        assert oct(one.stat().st_mode)[-3:] == "700"
    assert list((tmp_path / "s").iterdir()) == []


def test_it_goes_after_an_error(tmp_path):
    def fail():
        with scratch_folder(tmp_path) as folder:
            (folder / "rows").write_text("x")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_what_a_living_one_has_is_not(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from crossdock.scratch import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder: (folder / 'rows').write_text('x'); os._exit(137)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 137
    assert list(tmp_path.glob("*/rows")) != []
    with scratch_folder(tmp_path) as living:
        assert list(tmp_path.glob("*/rows")) == []
        with scratch_folder(tmp_path):
            assert living.is_dir()
    assert list(tmp_path.iterdir()) == []
