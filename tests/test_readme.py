"""The README does what it says: its code runs, its commands work after the demo, its paths and numbers are right."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from crossdock.cli import app
from crossdock.exchange import open_exchange
from crossdock.recalls import recall
from crossdock.storage.records import deliveries, latest_snapshot, verdicts
from hamlet import agreement, found, permits, write_yaml
from provinces import ROOT

TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [
    line.partition("#")[0].strip()
    for language, code in BLOCKS
    if language == "sh"
    for line in code.splitlines()
    if line
]
NOT_RUN_HERE = {
    "make demo": "the fixture runs what it runs after its set-up",
    "make test": "this is it",
    "make check": "this is part of it",
    "make up": "it stays; tests/airflow tests its parts",
}
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def test_there_is_something_to_test():
    assert len(PYTHON) >= 2
    assert {language for language, _ in BLOCKS} <= {"python", "sh", "mermaid", "yaml"}
    assert NOT_RUN_HERE.keys() & set(COMMANDS)


@pytest.mark.parametrize("code", [code for code in PYTHON if "flights" in code])
def test_analysts_snippets(demo_home, monkeypatch, code):
    monkeypatch.chdir(demo_home)
    names = {"open": lambda path: io.StringIO(Path(path).read_text("utf-8"))}  # files that nobody closes are warned of
    exec(compile(code, "README.md", "exec"), names)
    flights = names["flights"]
    assert len(flights) == 336_772
    assert "tailnum" in flights.columns


def test_the_consumers_snippet(demo_home, monkeypatch):
    (code,) = (code for code in PYTHON if "def load" in code)
    monkeypatch.chdir(demo_home)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    (made,) = (d for d in deliveries(open_exchange(demo_home).state) if d.agreement.endswith("population/statistics"))
    assert len(names["residents"]) == made.counts["inserted"]


def test_the_consumers_snippet_takes_changes_and_recalls_in(tmp_path):
    (code,) = (code for code in PYTHON if "def load" in code)
    names = {}
    exec(
        compile(code.replace('residents = load("var/demo/consumers/statistics/population")', ""), "README.md", "exec"),
        names,
    )
    hamlet = found(tmp_path)
    folder = {"channel": "folder", "connection": "school_folder", "mode": "changes", "path": "permits"}
    write_yaml(
        hamlet.agreement("permits", "school"), agreement("permits", "school", ["permit_no", "holder"], delivery=folder)
    )
    hamlet.sweep()
    hamlet.write_permits(permits(P0002=["P0002", "Another", "5.00", ""], P0005=[]))
    hamlet.sweep()
    held = names["load"](hamlet.school / "permits")
    exchange = hamlet.open()
    rows = exchange.dataset(latest_snapshot(exchange.state, "town_hall/permits").key).to_table(["permit_no", "holder"])
    assert sorted(held.itertuples(index=False, name=None)) == sorted(
        (r["permit_no"], r["holder"]) for r in rows.to_pylist()
    )
    newest = max(
        (d for d in deliveries(exchange.state) if d.consumer == "school" and "permits" in d.agreement),
        key=lambda d: d.snapshot_seq,
    )
    recall(exchange, newest.id, reason="A mistake.", by="steward")
    left = names["load"](hamlet.school / "permits")
    assert "P0002" not in set(left["permit_no"])
    assert len(left) == len(held) - 1


ODD = [
    "=1+1",
    "'quoted",
    "'=2",
    "NA",
    "null",
    "nan",
    "a,b",
    'say "x"',
    "two\nlines",
    "two\r\nlines",
    " x ",
    "1",
    "007",
    "张三",
    "\u2028",
]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("mode", ["full", "changes"])
def test_the_consumers_snippet_loads_each_format_as_it_was(form, mode, tmp_path):
    (code,) = (code for code in PYTHON if "def load" in code)
    names = {}
    exec(compile(code.partition("\nresidents = load(")[0], "README.md", "exec"), names)
    hamlet = found(tmp_path)
    folder = {"channel": "folder", "connection": "school_folder", "mode": mode, "path": "permits", "format": form}
    columns = ["permit_no", "holder", "fee", "remark"]
    write_yaml(hamlet.agreement("permits", "school"), agreement("permits", "school", columns, delivery=folder))
    rows = [[f"P{n}", text, "5.00", text] for n, text in enumerate(ODD)] + [
        ["P98", "x", "1.00", '""'],
        ["P99", "x", "1.00", ""],
    ]
    hamlet.write_permits(rows)
    hamlet.sweep()
    hamlet.write_permits([*rows[2:], ["=P1", "new", "2.50", ""]])
    hamlet.sweep()
    held = names["load"](hamlet.school / "permits")
    exchange = hamlet.open()
    kept = exchange.dataset(latest_snapshot(exchange.state, "town_hall/permits").key).to_table(columns).to_pylist()
    fee = {"csv": str, "jsonl": str, "parquet": lambda value: value}[form]
    wanted = {row["permit_no"]: (row["holder"], fee(row["fee"]), row["remark"]) for row in kept}
    missing = names["pd"].isna
    loaded = {
        row[0]: tuple(None if missing(v) else v for v in row[1:]) for row in held.itertuples(index=False, name=None)
    }
    assert loaded == wanted
    assert {row["remark"] for row in kept} >= {None}


@pytest.fixture(scope="module")
def checkout(demo_home, tmp_path_factory):
    """What a reader has before them after `make demo`: the repository's folder, with its .venv and its var."""
    home = tmp_path_factory.mktemp("checkout") / "repository"
    shutil.copytree(demo_home, home, symlinks=True, ignore=shutil.ignore_patterns("airflow.db", "logs"))
    connections = home / "var" / "connections.json"
    connections.write_text(connections.read_text("utf-8").replace(str(demo_home), str(home)), "utf-8")
    (home / ".venv").symlink_to(sys.prefix)
    return home


@pytest.mark.parametrize("command", sorted({c for c in COMMANDS if c not in NOT_RUN_HERE}))
def test_commands(checkout, monkeypatch, command):
    for name in ("CROSSDOCK_HOME", "AIRFLOW_HOME"):
        monkeypatch.delenv(name, raising=False)
    done = subprocess.run(shlex.split(command), cwd=checkout, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


def test_make_targets_are_there():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = {command.split()[1] for command in COMMANDS if command.startswith("make ")}
    assert named <= set(targets)


def test_paths_in_tables_exist():
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    paths = {p for row in rows for p in re.findall(r"`([\w./-]+(?:/|\.\w+)|Makefile)`", row)}
    ours = {p for p in paths if p.split("/")[0] in {f.name for f in ROOT.iterdir()} | {"plugins", "dags", "docker"}}
    assert len(ours) > 12
    missing = {p for p in ours if not (ROOT / p).exists() and not p.startswith("var/")}
    assert not missing


def test_modules_and_names_in_the_text_exist():
    for path in re.findall(r"`((?:plugins|tests|dags|transforms|contracts|docker)/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists(), path
    from crossdock.airflow import operators

    for name in re.findall(r"`(\w+Operator)`", TEXT):
        assert hasattr(operators, name), name


def commands_of(group, prefix=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def test_the_table_of_commands_is_whole():
    rows = re.findall(r"^\| `crossdock ([^|]+)\|", TEXT, re.MULTILINE)
    named = set()
    for row in rows:
        first, *others = re.findall(r"`([^`]+)`", "`" + row)
        words = [w for w in first.split() if re.fullmatch(r"[a-z][a-z-]*", w)]
        named |= {" ".join(words)} | {" ".join([*words[:-1], other]) for other in others}
    assert named == set(commands_of(get_command(app)))


def number(word):
    return NUMBERS.index(word.lower())


def test_numbers(demo_home):
    exchange = open_exchange(demo_home)
    made = deliveries(exchange.state)
    (datasets,) = re.findall(r"(\w+) datasets through all four verbs", TEXT)
    (receive, publish) = re.findall(r"(\w+) departments receive.*?; (\w+) datasets are published", TEXT)[0]
    assert number(datasets) == len(exchange.catalogue.contracts)
    assert number(receive) == len({d.consumer for d in made} - {"public"})
    assert number(publish) == len({d.dataset for d in made if d.consumer == "public"})
    for dataset, words in {"transport/flights": "real flights", "meteorology/weather": "real hours"}.items():
        (verdict,) = verdicts(exchange.state, dataset=dataset)
        assert f"{verdict.rows:,} {words}" in TEXT
