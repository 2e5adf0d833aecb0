"""Imports only point down, and nothing heavy is imported where it would cost every parse."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "plugins" / "crossdock"
# What each part may import of crossdock, beside itself. Siblings on one level do not know each other.
BASE = {
    "blake2b",
    "columnar",
    "compiled",
    "errors",
    "discretion",
    "finding",
    "fingerprints",
    "identity",
    "ordered",
    "rowhash",
    "sorting",
    "keys",
    "language",
    "logins",
    "connections",
    "coroutines",
    "faults",
    "patience",
    "postgres_access",
    "webhooks",
}
STORED = BASE | {"contracts", "storage"}
PARTS = STORED | {"sources", "validation", "delivery", "publishing", "ledger", "drafting", "usage"}
FLOWING = (
    "exchange",
    "intake",
    "foreseen",
    "dispatch",
    "recalls",
    "retention",
    "backlog",
    "handover",
    "refusals",
    "reviews",
    "routes",
    "wordings",
    "pipeline",
    "stewardship",
    "notices",
    "lookups",
    "closings",
    "statistics",
    "sweep",
    "trial",
    "history",
    "explanation",
    "lint",
    "comparison",
    "revisions",
)
FLOW = PARTS | set(FLOWING)
SEEN = {"airflow", "web", "cli", "display", "forms", "demo"}
ALLOWED = {
    **dict.fromkeys(BASE, BASE),
    "contracts": BASE,
    "storage": BASE | {"contracts"},
    **dict.fromkeys(("sources", "validation", "delivery", "publishing", "ledger", "usage"), STORED),
    "drafting": STORED | {"sources", "validation"},  # it reads as sources do, and tries types as validation does
    **dict.fromkeys(FLOWING, FLOW),
    **dict.fromkeys(SEEN | {"__main__"}, FLOW | SEEN),
    "__init__": set(),
}  # fmt: skip
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "migrations" not in p.parts)


def imported(path: Path) -> set[str]:
    """Returns every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def part_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def ours(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("crossdock.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_point_down(path):
    part = part_of(path)
    assert ours(imported(path)) - {part} <= ALLOWED[part]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_airflow_layer_knows_airflow(path):
    knows = {name for name in imported(path) if name.split(".")[0] == "airflow"}
    assert not knows or part_of(path) in {"airflow", "web", "demo"}


@pytest.mark.parametrize("path", sorted((ROOT / "dags").rglob("*.py")), ids=lambda p: p.name)
def test_dags_know_the_airflow_layer_only(path):
    assert ours(imported(path)) <= {"airflow"}


@pytest.mark.parametrize("path", sorted((ROOT / "transforms").glob("*.py")), ids=lambda p: p.name)
def test_transforms_know_arrow_pandas_and_the_standard_library_only(path):
    tops = {name.split(".")[0] for name in imported(path)}
    assert tops - set(sys.stdlib_module_names) <= {"pyarrow", "pandas"}


@pytest.mark.parametrize("module", ["crossdock.contracts.index", "crossdock.airflow.build"])
def test_reading_the_index_and_building_dags_stays_light(module):
    heavy = ["great_expectations", "pandas", "duckdb", "pyarrow"]
    program = f"import sys, {module}; sys.exit(' '.join(n for n in {heavy!r} if n in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-300:]
