"""How far an extract may be from those before it: the contract's `drift`, as rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import pydantic

from crossdock.contracts.model import NESTED, Column, ColumnPolicy, Rule, Severity
from crossdock.contracts.rules import Rules
from crossdock.contracts.yaml_tree import Steps

Measure = Literal["rows", "missing", "values", "shares"]
_ORDERED = frozenset({"integer", "number", "date", "timestamp"})
_FROM = "the median of the last extracts"
_SAID: Mapping[str, str] = {
    "rows": "The number of rows is more than {most:g} % away from {source}.",
    "missing": "The share of rows without {column} is more than {most:g} points away from {source}.",
    "values": "Mean or quartiles of {column} are further than {most:g} % of its spread away from {source}.",
    "shares": "More than {most:g} % of the rows have another {column} than in the last extracts.",
}


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class GivenBounds(_Strict):
    """From how much drift on, in percent, people are warned, and the extract is rejected."""

    warning: Annotated[float, pydantic.Field(gt=0)] | None = None
    error: Annotated[float, pydantic.Field(gt=0)] | None = None


class GivenDrift(_Strict):
    """What is done about new columns, and about an extract unlike those before it."""

    columns: ColumnPolicy = "discard"
    history: Annotated[int, pydantic.Field(ge=3, le=100)] = 10
    rows: GivenBounds = GivenBounds()
    missing: GivenBounds = GivenBounds()
    values: GivenBounds = GivenBounds()
    shares: GivenBounds = GivenBounds()


def drift_rules(rules: Rules, at: Steps, given: GivenDrift) -> None:
    """Adds a rule per bound, and per column that it is about."""
    for measure in _SAID:
        bounds: GivenBounds = getattr(given, measure)
        given_bounds: Mapping[Severity, float | None] = {"error": bounds.error, "warning": bounds.warning}
        stated = {severity: most for severity, most in given_bounds.items() if most is not None}
        if len(stated) > 1 and stated["error"] <= stated["warning"]:
            what = f"Nobody would be warned: the extract is rejected from {stated['error']:g} % on."
            rules.document.report((*at, measure), what, "Set `warning` below `error`.")
        columns = list(_columns(measure, rules))
        if stated and not columns:
            rules.document.report((*at, measure), _NO_COLUMN[measure], "Remove it.")
        for severity, most in stated.items():
            for column in columns:
                rules.add(_rule(measure, column, severity, most, given.history), (*at, measure, severity))


_NO_COLUMN: Mapping[str, str] = {
    "missing": "Every column is required: what is missing is quarantined.",
    "values": "No column but keys holds numbers, dates or timestamps.",
    "shares": "No column has a list of valid values.",
}


def _rule(measure: str, column: str, severity: Severity, most: float, history: int) -> Rule:
    name = f"{column}.drift.{measure}" if column else f"drift.{measure}"
    return Rule(
        id=name if severity == "error" else f"{name}.{severity}",
        kind="drift",
        columns=(column,) if column else (),
        args={"measure": measure, "max": most, "history": history},
        severity=severity,
        dimension="consistency",
        reason=_SAID[measure].format(column=column, most=most, source=_FROM),
    )


def _columns(measure: str, rules: Rules) -> Iterator[str]:
    """Yields the columns that a measure says something about; "" is the extract itself."""
    plain = [column for column in rules.columns.values() if not column.field]
    if measure == "rows":
        yield ""
    elif measure == "missing":
        yield from (column.name for column in plain if not column.required)
    elif measure == "values":
        yield from (column.name for column in plain if column.type in _ORDERED and column.key_position is None)
    else:
        listed = {rule.columns for rule in rules.found.values() if rule.kind == "in_set"}
        yield from (column.name for column in plain if (column.name,) in listed and _is_plain(column))


def _is_plain(column: Column) -> bool:
    return column.type not in NESTED
