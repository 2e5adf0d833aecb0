"""`make bench`: validation side by side: crossdock, the bare floor and its peers, same rules, same dirty register.

Each engine judges in a process of its own, with packages of its own (pinned below, installed by uv into environments
that the benchmark makes), `--times` times in turn; medians are printed. What one can't run, does otherwise or does not
finish is said. Machines are shared and noisy: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from measuring import machine
from register import CONTRACT, rules, write_register

from crossdock.contracts.odcs import read_contract
from crossdock.display import terminal
from servers import postgres

ENGINES = Path(__file__).with_name("engines")
ROOT = Path(__file__).parents[2]
FEWER = 50_000  # rows for engines that take a Python step per cell
OURS = "crossdock"
_GX = ("great-expectations==1.24.1", "pandas==3.1.1", "pyarrow==26.0.1", "numpy==2.4.6")


@dataclass(frozen=True, kw_only=True)
class Engine:
    name: str
    script: str
    rows: str  # the file it judges, and the same with few rows
    packages: tuple[str, ...] = ()  # none: this project's own
    exact: bool  # tells every failing row
    settings: dict = field(default_factory=dict)


_ENGINES = (
    Engine(name=OURS, script="ours", rows="typed.parquet", exact=True),
    Engine(name="crossdock, rows written", script="ours", rows="typed.parquet", exact=True, settings={"files": True}),
    Engine(
        name="crossdock, all text, rows written",
        script="ours",
        rows="raw.parquet",
        exact=True,
        settings={"files": True},
    ),
    Engine(name="bare scan (floor)", script="floor", rows="typed.parquet", exact=False),
    Engine(
        name="GX on pandas, SUMMARY",
        script="gx_pandas",
        rows="typed.parquet",
        packages=_GX,
        exact=False,
        settings={"result_format": "SUMMARY"},
    ),
    Engine(
        name="GX on pandas, COMPLETE",
        script="gx_pandas",
        rows="typed.parquet",
        packages=_GX,
        exact=True,
        settings={"result_format": "COMPLETE"},
    ),
    Engine(
        name="GX on PostgreSQL",
        script="gx_postgres",
        rows="typed.parquet",
        packages=(*_GX, "sqlalchemy==2.0.58", "psycopg2-binary==2.9.13"),
        exact=False,
    ),
    Engine(
        name="pandera on polars",
        script="pandera_polars",
        rows="typed.parquet",
        packages=("pandera[polars]==0.35.0", "polars==2.1.0"),
        exact=True,
    ),
    Engine(
        name="pandera on polars, rows written",
        script="pandera_polars",
        rows="typed.parquet",
        packages=("pandera[polars]==0.35.0", "polars==2.1.0"),
        exact=True,
        settings={"files": True},
    ),
    Engine(
        name="datacontract-cli",
        script="odcs_tests",
        rows="typed.parquet",
        packages=("datacontract-cli[duckdb,parquet]==1.2.8", "duckdb==1.5.6", "ibis-framework==12.0.0"),
        exact=False,
    ),
    Engine(
        name="frictionless", script="table_schema", rows="typed.csv", packages=("frictionless==5.21.0",), exact=True
    ),
)


@dataclass(kw_only=True)
class Measured:
    """What an engine's processes told; `gave_up` is why it has no (further) figures."""

    answers: list[dict] = field(default_factory=list)
    gave_up: str = ""

    def median(self, name: str) -> float:
        return statistics.median(answer[name] for answer in self.answers)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--times", type=int, default=3)
    words.add_argument("--limit", type=int, default=900, help="seconds for one process of one engine")
    words.add_argument("--only", default="", help="engines whose name holds this")
    words.add_argument("--folder", type=Path, help="keep the register there, and take it from there")
    asked = words.parse_args()
    engines = [engine for engine in _ENGINES if asked.only in engine.name]
    with tempfile.TemporaryDirectory() as scratch, _server(engines) as url:
        folder = asked.folder or Path(scratch)
        if not (folder / "divisions.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_register(folder, asked.rows, FEWER)
        found = {engine.name: Measured() for engine in engines}
        with terminal.progress(asked.times * len(engines)) as advance:
            for _ in range(asked.times):
                for engine in engines:
                    _measure(engine, found[engine.name], _Place(folder, Path(scratch), url, asked.limit))
                    advance(engine.name)
    _show(engines, found, asked)


@dataclass(frozen=True)
class _Place:
    register: Path
    scratch: Path
    url: str
    limit: int


@contextmanager
def _server(engines):
    """Yields the URL of an empty database on a real PostgreSQL server, if an engine wants one."""
    if not any(engine.script == "gx_postgres" for engine in engines):
        yield ""
        return
    fixture = postgres.__wrapped__()
    yield next(fixture).new_database()[1].replace("+psycopg", "+psycopg2")
    next(fixture, None)


def _measure(engine: Engine, measured: Measured, place: _Place) -> None:
    """Runs the engine once in a process of its own, unless it gave up before."""
    if measured.gave_up:
        return
    scratch = Path(tempfile.mkdtemp(dir=place.scratch))
    job, answer = scratch / "job.json", scratch / "answer.json"
    job.write_text(json.dumps(_job(engine, place, scratch)), "utf-8")
    try:
        ended = subprocess.run(
            [*python_with(engine.packages), ENGINES / f"{engine.script}.py", job, answer],
            capture_output=True, text=True, timeout=place.limit, check=False, cwd=scratch,
            env={key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        measured.gave_up = f"did not finish in {place.limit} s"
        return
    finally:
        job.unlink()
    if ended.returncode:
        measured.gave_up = "failed: " + (ended.stderr.strip().splitlines() or ["without a word"])[-1][:200]
        return
    measured.answers.append(json.loads(answer.read_text("utf-8")))
    shutil.rmtree(scratch)


def _job(engine: Engine, place: _Place, scratch: Path) -> dict:
    contract = read_contract(CONTRACT)
    rows = place.register / engine.rows
    return {
        "rows": str(rows),
        "few": str(rows.with_stem(f"{rows.stem}_few")),
        "divisions": str(place.register / "divisions.parquet"),
        "types": {column.name: column.type for column in contract.columns},
        "rules": rules(contract),
        "scratch": str(scratch),
        "settings": {**engine.settings, "url": place.url, "codes": str(place.register / "codes.txt")},
    }


def python_with(packages: Sequence[str]) -> list[str]:
    """Returns the interpreter with an engine's packages; uv makes and keeps an environment for each set of them."""
    if not packages:
        return [sys.executable]
    own = ROOT / "var" / "tools" / "bin" / "uv"
    uv = shutil.which("uv") or (str(own) if own.exists() else None)
    if uv is None:
        raise SystemExit("uv is needed to install the peers.")
    with_packages = [word for package in packages for word in ("--with", package)]
    return [uv, "run", "--quiet", "--isolated", "--no-project", "--python", sys.executable, *with_packages, "python"]


def _show(engines, found, asked) -> None:
    ours = found.get(OURS)
    shown = terminal.table(
        f"{asked.rows:,} rows, 20 rules, median of {asked.times}; {machine('pyarrow', 'duckdb', 'great-expectations')}",
        "engine", ">rows/s", ">seconds", ">CPU s", ">to load", ">1,000 rows", ">peak MB", ">rules", "exact rows",
        ">times slower", "failing rows",
    )  # fmt: skip
    notes = []
    for engine in engines:
        measured = found[engine.name]
        if measured.answers:
            shown.add_row(*_row(engine, measured, ours, asked.rows))
            versions = ", ".join(f"{name} {version}" for name, version in measured.answers[0]["versions"].items())
            notes.append(f"{engine.name}: {versions}")
        if measured.gave_up:
            shown.add_row(engine.name, f"[red]{measured.gave_up}[/]")
        notes += [f"  [yellow]{note}[/]" for note in _disagreements(engine, measured, ours)]
    terminal.out.print(shown)
    for note in notes:
        terminal.out.print(note)


def _row(engine: Engine, measured: Measured, ours: Measured | None, rows: int) -> list[str]:
    judged = min(FEWER, rows) if engine.rows.endswith(".csv") else rows
    seconds, loading = measured.median("seconds"), measured.answers[0]["load_seconds"]
    speed = judged / seconds
    rules_judged = len(measured.answers[0]["failing"])
    slower = rows / ours.median("seconds") / speed if ours and ours.answers else 0
    disagreeing = _disagreements(engine, measured, ours)
    return [
        engine.name,
        f"{speed:,.0f}" + ("*" if judged < rows else ""),
        f"{seconds:.2f}" + (f" for {judged:,}*" if judged < rows else ""),
        "" if engine.script == "gx_postgres" else f"{measured.median('cpu_seconds'):.2f}",  # its server's are not ours
        "" if loading is None else f"{loading:.1f} s",
        f"{measured.median('few_seconds') * 1000:.0f} ms",
        f"{measured.median('peak_mb'):,.0f}",
        str(rules_judged) if rules_judged else "",
        "yes" if engine.exact else "no",
        f"{slower:.1f}" if slower else "",
        "" if not rules_judged else "differ" if disagreeing else "agree" if judged == rows else "not compared",
    ]


def _disagreements(engine: Engine, measured: Measured, ours: Measured | None) -> list[str]:
    """Names the rules for which the engine counts other failing rows than crossdock does on the same file."""
    if not ours or not ours.answers or not measured.answers or engine.rows != "typed.parquet":
        return []
    mine = ours.answers[0]["failing"]
    return [
        f"{engine.name}, {rule}: {rows:,} failing rows, crossdock {mine[rule]:,}"
        for rule, rows in measured.answers[0]["failing"].items()
        if rows != mine[rule]
    ]


if __name__ == "__main__":
    main()
