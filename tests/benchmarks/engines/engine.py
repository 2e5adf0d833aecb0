"""What every engine's process does with its job: warm up on few rows, judge all, tell seconds, memory and failing rows.

Runs under the engine's own packages, so it needs nothing but the standard library.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Rule:
    id: str
    kind: str
    columns: tuple[str, ...]
    args: dict
    expectation: tuple[str, dict] | None  # as Great Expectations says it, if it does


@dataclass(frozen=True)
class Job:
    rows: Path  # parquet (for some engines CSV) with all rows
    few: Path  # the same with few rows
    divisions: Path  # what region codes refer to
    types: dict[str, str]  # logical type by column
    rules: tuple[Rule, ...]
    scratch: Path
    settings: dict = field(default_factory=dict)  # the engine's own


Failing = dict[str, int]  # failing rows by rule; a rule that the engine can't judge is not there


def read_job() -> Job:
    given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    rules = tuple(Rule(**{**rule, "columns": tuple(rule["columns"])}) for rule in given.pop("rules"))
    paths = {name: Path(given.pop(name)) for name in ("rows", "few", "divisions", "scratch")}
    return Job(rules=rules, **paths, **given)


def run(
    judge: Callable[[Job, Path], Failing], packages: tuple[str, ...], load: Callable[[Job, Path], None] | None = None
) -> None:
    """Judges the job; `load` brings the rows to where the engine wants them and is timed by itself."""
    job = read_job()
    few = []
    for _ in range(3):  # the first time an engine still imports things
        if load:
            load(job, job.few)
        few.append(_timed(lambda: judge(job, job.few))[0])
    loading = _timed(lambda: load(job, job.rows))[0] if load else None
    worked = time.process_time()
    seconds, failing = _timed(lambda: judge(job, job.rows))
    answer = {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - worked,
        "few_seconds": min(few[1:]),
        "load_seconds": loading,
        "peak_mb": peak_mb(),
        "failing": failing,
        "versions": {name: metadata.version(name) for name in packages},
    }
    Path(sys.argv[2]).write_text(json.dumps(answer), "utf-8")


def _timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def peak_mb() -> float:
    """Returns the most memory that this process has held, in MiB (Linux; unlike getrusage, not its parent's)."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
