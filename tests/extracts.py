"""Small contracts and extracts for the judge's tests, and Great Expectations on pandas as their oracle."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.contracts.model import Column, Contract, Label, Rule
from crossdock.validation.judge import Context, Judgement, judge

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def column(name: str, type_: str = "string", **more) -> Column:
    return Column(name=name, source_name=name, type=type_, **more)


def rule(name: str, kind: str, *columns: str, **args) -> Rule:
    known = {key: args.pop(key) for key in ("severity", "tolerance", "reason") if key in args}
    return Rule(id=name, kind=kind, columns=columns, args=args, **known)


def contract(columns, rules=(), **more) -> Contract:
    values = {
        "id": "dept/data",
        "department": "dept",
        "dataset": "data",
        "version": "1.2.3",
        "status": "active",
        "title": Label(zh="数据", en="Data"),
        "description": "",
        "theme": "",
        "sharing": "none",
        "sharing_basis": "",
        "subject": None,
        "source": None,
        "columns": tuple(columns),
        "rules": tuple(rules),
        "transforms": (),
    }
    return Contract(**(values | more))


def judged(scratch: Path, promised: Contract, rows: dict | pa.Table, **context) -> Judgement:
    """Judges rows (a dict is read as text columns, as from a CSV file)."""
    table = rows if isinstance(rows, pa.Table) else pa.table({k: pa.array(v, pa.string()) for k, v in rows.items()})
    scratch.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, scratch / "extract.parquet")
    extract = pads.dataset(scratch / "extract.parquet", format="parquet")
    return judge(promised, extract, context=Context(scratch=scratch, **({"now": NOW} | context)))


def failures(judgement: Judgement) -> dict[str, list[int]]:
    """Returns, by rule, the arrival numbers of the quarantined rows that broke it."""
    found: dict[str, list[int]] = {}
    if judgement.quarantine_file:
        for row in pq.read_table(judgement.quarantine_file).to_pylist():
            for failure in row["_failures"]:
                found.setdefault(failure["rule"], []).append(row["_arrival"])
    return found


def accepted(judgement: Judgement) -> list[dict]:
    return pq.read_table(judgement.accepted_file).to_pylist()


def by_pandas(frame, expectations) -> dict[str, list[int]]:
    """Returns, by rule, the rows that Great Expectations' own pandas engine finds unexpected."""
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.validator import Validator

    class Quiet(Validator):
        def _determine_progress_bars(self):
            return False

    validator = Quiet(execution_engine=PandasExecutionEngine(batch_data_dict={"rows": frame}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns about what GX does to it
        results = validator.graph_validate(
            configurations=[expectation.configuration for expectation in expectations],
            runtime_configuration={"catch_exceptions": False, "result_format": {"result_format": "COMPLETE"}},
        )
    found = {}
    for result in results:
        found[result.expectation_config.meta["rule"]] = sorted(result.result["unexpected_index_list"] or [])
    return found
