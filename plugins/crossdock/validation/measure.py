"""What the queries of a contract return for an extract: one number each, asked of its typed rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads

from crossdock.contracts.model import Contract
from crossdock.contracts.sandbox import Result, Sandbox, Table
from crossdock.validation.plan import Check


def measure(contract: Contract, checks: Sequence[Check], typed_file: Path, *, now: datetime) -> Mapping[str, Result]:
    """Runs the query of each check that has one, and returns what they say, by rule id.

    Args:
        contract: gives the columns their names.
        checks: those of other scopes are passed over.
        typed_file: an Arrow IPC file with the columns c0, c1, ...; DuckDB may spill into a folder beside it.
        now: the time, for queries that ask for it.

    Raises:
        QueryFailed: a query comes to no result; the message names the rule and holds no value of a row.
    """
    queries = [check for check in checks if check.scope == "query"]
    if not queries:
        return {}
    named: Any = [check.args["tables"] for check in queries]
    rows = pads.dataset(typed_file, format="ipc")
    # One contract describes one table, so all its queries have the same names for it.
    table = Table(rows=rows, names=tuple(map(str, named[0])), columns=contract.columns)
    with Sandbox(table, now=now, spill=str(typed_file.with_name("queries"))) as sandbox:
        return {
            check.rule.id: sandbox.number(str(check.args["sql"]), where=f"{contract.id}, rule {check.rule.id}")
            for check in queries
        }
