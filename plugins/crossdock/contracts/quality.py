"""Quality entries of a contract: library metrics and Great Expectations' expectations become rules; text is for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from open_data_contract_standard.model import DataQuality

from crossdock.contracts.expectations import rule_of_expectation
from crossdock.contracts.limits import Limits, limits_of
from crossdock.contracts.metrics import Counted, bound_of, counted_rules, metric_of, tolerance_of
from crossdock.contracts.model import Column, Rule, Severity, Tolerance
from crossdock.contracts.rules import Rules
from crossdock.contracts.yaml_tree import Steps, YamlInvalid, read_tree
from crossdock.errors import WrongUse, did_you_mean

_SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("error", "critical", "blocker", "high", "major", "fatal"), "error"),
    **dict.fromkeys(("warning", "warn", "info", "low", "minor", "medium"), "warning"),
}
_ENGINES = {"greatexpectations", "gx"}
_TYPE_KEYS = ("type", "expectation_type", "expectation")
_FOR_PEOPLE = {"id", "meta", "notes", "description", "severity"}  # of an expectation; the entry's own severity counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One quality entry: where it stands, what it says, and the property it is about (None: the table)."""

    at: Steps
    given: DataQuality
    column: Column | None
    severity: Severity

    @property
    def name(self) -> str:
        """The name its author gave it, as a rule id; "" for none."""
        return re.sub(r"\s+", "_", (self.given.id or self.given.name or "").strip())

    def rule(self, derived: str, counted: Counted, columns: tuple[str, ...], bound: Limits | None = None) -> Rule:
        """Returns a rule of this entry; where no row is to blame for a broken bound, the failing rows are counted."""
        _, kind, args = counted
        tolerance = tolerance_of(bound) if bound else Tolerance()
        if bound and tolerance is None:
            args = {"of": {"kind": kind, **args}, **bound.args()}
        return Rule(
            id=self.name or derived,
            kind="count" if tolerance is None else kind,
            columns=columns,
            args=args,
            severity=self.severity,
            tolerance=tolerance or Tolerance(),
            dimension=self.given.dimension or "",
            reason=self.given.description or "",
        )


def quality_rules(rules: Rules, at: Steps, entries: list[DataQuality], column: Column | None) -> None:
    """Adds the rules of the quality entries of a property (column given) or of the table."""
    for index, given in enumerate(entries):
        place = (*at, "quality", index)
        word = (given.severity or "error").lower()
        if word not in _SEVERITIES:
            rules.document.report(
                (*place, "severity"), f"There is no severity '{given.severity}'.", did_you_mean(word, _SEVERITIES)
            )
            continue
        try:
            _add(rules, _Entry(at=place, given=given, column=column, severity=_SEVERITIES[word]))
        except WrongUse as error:
            named = f"Rule '{given.id or given.name}': " if given.query and (given.id or given.name) else ""
            rules.document.report(place, named + error.what, error.fix)


def _add(rules: Rules, entry: _Entry) -> None:
    given = entry.given
    kind = given.type or next((kind for key, kind in _TELLING if getattr(given, key) is not None), "text")
    if kind == "custom":
        _add_expectation(rules, entry)
    elif kind == "library":
        _add_metric(rules, entry)
    elif kind == "sql":
        _add_query(rules, entry)
    elif kind != "text":
        raise WrongUse(
            f"There is no quality type '{kind}'.", fix=did_you_mean(kind, ("library", "sql", "custom", "text"))
        )


_TELLING = (("query", "sql"), ("engine", "custom"), ("metric", "library"), ("rule", "library"))  # without a `type`


def _add_metric(rules: Rules, entry: _Entry) -> None:
    given = entry.given
    if given.metric is None and given.rule in _RANGES:
        _add_range(rules, entry)
        return
    metric = metric_of(given)
    bound = bound_of(given, metric)
    arguments = dict(given.arguments or {})
    if metric == "rowCount":
        if arguments:
            raise WrongUse("The metric rowCount takes no arguments.", fix="Remove them.")
        limits = replace(bound, low=bound.low or None).args()
        if limits:
            rules.add(entry.rule("row_count", ("", "row_count", limits), ()), entry.at, named=bool(entry.name))
        return
    columns = _columns(arguments.pop("properties", None), entry.column)
    alone = rules.columns.get(columns[0]) if len(columns) == 1 else None
    if len(columns) > 1 and metric != "duplicateValues":
        raise WrongUse(f"The metric {metric} is about one property.", fix="Write one entry per property.")
    for counted in counted_rules(metric, arguments, alone):
        rule = entry.rule(f"{'+'.join(columns)}.{counted[0]}", counted, columns, bound)
        rules.add(rule, entry.at, named=bool(entry.name))


_RANGES = ("between", "minCheck", "maxCheck")  # of ODCS 3.0, whose rules had their ends as custom properties


def _add_range(rules: Rules, entry: _Entry) -> None:
    ends = {p.property: p.value for p in entry.given.customProperties or [] if p.property in ("min", "max")}
    if entry.column is None or not ends:
        raise WrongUse(f"The rule '{entry.given.rule}' needs a property, and `min` or `max` as custom properties.")
    name = entry.column.name
    rules.add(entry.rule(f"{name}.between", ("", "between", ends), (name,)), entry.at, named=bool(entry.name))


def _add_query(rules: Rules, entry: _Entry) -> None:
    """Adds a query whose one number is held against the entry's operators; without one it counts failing rows."""
    from crossdock.contracts.queries import read_query  # DuckDB comes with it, and few contracts have queries

    if entry.column and entry.column.field:
        raise WrongUse("A query asks whole columns.", fix="Move it to the column, and reach inside with SQL.")
    column = entry.column.name if entry.column else None
    query = read_query(entry.given.query or "", rules.tables, tuple(rules.table.values()), column)
    limits = limits_of(_truths_as_numbers(entry.given), "number")
    if limits is None and query.is_truth:
        raise WrongUse("The query says true or false, but not which of them is right.", fix="Add `mustBe: true`.")
    args = query.args() | (limits or Limits(low=0, high=0)).args()
    columns = (column,) if column else ()
    derived = f"{column or 'table'}.query"
    rules.add(entry.rule(derived, ("", "query", args), columns), entry.at, named=bool(entry.name))


def _truths_as_numbers(given: DataQuality) -> DataQuality:
    stated = {name: getattr(given, name) for name in ("mustBe", "mustNotBe")}
    return given.model_copy(update={name: int(value) for name, value in stated.items() if isinstance(value, bool)})


def _columns(named: Any, column: Column | None) -> tuple[str, ...]:
    if named is None and column:
        return (column.name,)
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        raise WrongUse(
            "The metric stands at no property.", fix="Move it to one, or name some: `arguments: {properties: [...]}`."
        )
    return tuple(named)


def _add_expectation(rules: Rules, entry: _Entry) -> None:
    engine = entry.given.engine or ""
    if re.sub("[-_ ]", "", engine).lower() not in _ENGINES:
        raise WrongUse(f"crossdock has no engine '{engine}'.", fix="Write `engine: greatExpectations`.")
    written = _implementation(entry.given.implementation)
    name = next((written[key] for key in _TYPE_KEYS if key in written), None)
    kwargs = written.get("kwargs") or {}
    if not isinstance(name, str) or not isinstance(kwargs, dict):
        raise WrongUse("An expectation needs `type` and, if it takes any, a mapping `kwargs`.")
    for key in written.keys() - {*_TYPE_KEYS, "kwargs", *_FOR_PEOPLE}:
        raise WrongUse(
            f"There is no key '{key}' in an expectation.", fix="What it takes stands in `kwargs`, beside its `type`."
        )
    names_columns = any(str(key).lower().startswith("column") for key in kwargs)
    if entry.column and not names_columns and "table" not in name.lower():
        kwargs = {"column": entry.column.name, **kwargs}
    kind, columns, args = rule_of_expectation(name, kwargs)
    derived = f"{'+'.join(columns) or 'table'}.{name if kind == 'expectation' else kind}"
    rules.add(entry.rule(derived, ("", kind, args), columns), (*entry.at, "implementation"), named=bool(entry.name))


def _implementation(given: str | dict[str, Any] | None) -> dict[str, Any]:
    """Reads an expectation, which may be YAML text within the YAML."""
    try:
        written = read_tree(given).data if isinstance(given, str) else given
    except YamlInvalid as error:
        raise WrongUse(f"The implementation is no YAML mapping: {error.what}") from None
    if not isinstance(written, dict):
        raise WrongUse(
            "The implementation must be a mapping.", fix="Write `implementation: {type: expect_..., kwargs: {...}}`."
        )
    return written
