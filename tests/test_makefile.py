"""What the Makefile promises before anything is installed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TARGETS = {"help", "setup", "demo", "up", "test", "check", "format", "lint", "types", "bench"}


def make(*words, **environment):
    done = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory", *words],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", [(), ("help",)])
def test_help_is_the_default_and_names_every_target_in_a_line(words):
    code, said, _ = make(*words)
    assert code == 0
    assert {line.split()[1] for line in said.splitlines()} == TARGETS
    assert all(re.fullmatch(r"  make [a-z]+ +\S.{10,100}", line) for line in said.splitlines())


def test_check_is_format_style_types_and_tests():
    code, said, _ = make("--dry-run", "--always-make", "check")
    assert code == 0
    assert [word for word in ("ruff format --check", "ruff check", "mypy", "pytest") if word not in said] == []


@pytest.mark.parametrize("target", ["demo", "up"])
def test_airflow_lives_in_this_folder(target):
    _, said, _ = make("--dry-run", "--always-make", "--print-data-base", target)
    assert re.search(rf"{target}: export AIRFLOW_HOME := \$\(CURDIR\)|AIRFLOW_HOME := {ROOT}", said)


def test_a_python_that_is_too_old_is_refused_by_name(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    code, _, said = make("--always-make", ".venv/installed", f"PYTHON={old}")
    assert code != 0
    assert "Python 3.11 to 3.13" in said


def test_ci_runs_the_command_that_the_readme_names():
    assert re.search(r"^make check$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert re.search(r"^make check ", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
