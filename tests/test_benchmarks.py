"""The benchmarks run: on few rows, where their figures mean nothing; those that install other engines only begin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ARGUMENTS = {
    "dashboard": ("--help",),
    "delivery": ("--rows", "20000", "--times", "1"),
    "flow": ("--rows", "2000", "--times", "1"),
    "ledger": ("--events", "20000", "--alone"),
    "loading": ("--help",),
    "validation": ("--help",),
}
SHARED = {"measuring", "register"}


def test_every_benchmark_is_known():
    assert {file.stem for file in (TESTS / "benchmarks").glob("*.py")} == ARGUMENTS.keys() | SHARED


@pytest.mark.parametrize("name", ARGUMENTS)
def test_it_runs(name):
    command = [sys.executable, TESTS / "benchmarks" / f"{name}.py", *ARGUMENTS[name]]
    with_tests = os.environ | {"PYTHONPATH": str(TESTS)}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=with_tests)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout
