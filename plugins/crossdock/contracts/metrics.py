"""ODCS's library metrics: which rows each one counts, and what a bound on the count means for rows and extract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from open_data_contract_standard.model import DataQuality

from crossdock.contracts.bounds import bind_value
from crossdock.contracts.limits import Limits, limits_of
from crossdock.contracts.model import Column, RuleKind, Tolerance
from crossdock.errors import WrongUse, did_you_mean

METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")
# ODCS 3.0 spelled metrics as `rule`, freely; these are the spellings of its documents and examples.
_OLDER = {
    **dict.fromkeys(("nullCheck", "nullCount", "notNull"), "nullValues"),
    **dict.fromkeys(("duplicateCount", "duplicateCheck", "uniqueCheck", "uniqueness", "unique"), "duplicateValues"),
    **dict.fromkeys(("validValues", "invalidCount"), "invalidValues"),
    "missingCount": "missingValues",
    **dict.fromkeys(("rowcount", "row_count", "countCheck"), "rowCount"),
}
_ARGUMENTS: Mapping[str, set[str]] = {"missingValues": {"missingValues"}, "invalidValues": {"validValues", "pattern"}}
_JUST_LESS = 1e-9  # of a percentage: "less than 1 percent"


def metric_of(given: DataQuality) -> str:
    """Returns the metric that a quality entry names.

    Raises:
        WrongUse: there is no such metric.
    """
    word = str(given.metric or given.rule or "")
    if word not in METRICS and word not in _OLDER:
        raise WrongUse(f"crossdock can't run the metric '{word}'.", fix=did_you_mean(word, METRICS))
    return _OLDER.get(word, word)


def bound_of(given: DataQuality, metric: str) -> Limits:
    """Returns how many rows a metric may count; without an operator no row may fail, and there must be rows.

    Raises:
        WrongUse: it can't be checked, or nothing keeps it.
    """
    percent = (given.unit or "rows").lower() in ("percent", "%")
    if not percent and (given.unit or "rows").lower() not in ("rows", "row"):
        raise WrongUse(f"crossdock can't count in '{given.unit}'.", fix="Write rows or percent.")
    if percent and metric == "rowCount":
        raise WrongUse("A number of rows has no share.", fix="Write `unit: rows`.")
    limits = limits_of(given, "share" if percent else "count")
    if limits is None:
        return Limits(low=1) if metric == "rowCount" else Limits(high=0)
    return replace(limits, percent=percent)


def tolerance_of(limits: Limits) -> Tolerance | None:
    """Returns how many rows may break a rule before the extract is rejected; None when limits are no such bound.

    A bound of none says what the rule says by itself, and so does no bound.
    """
    if not limits.only_at_most:
        return None
    if not limits.high:
        return Tolerance()
    if limits.percent:
        return Tolerance(percent=round(limits.high - (_JUST_LESS if limits.strict_high else 0), 9))
    return Tolerance(rows=int(limits.high))


Counted = tuple[str, RuleKind, dict[str, Any]]  # suffix of the rule's id, its kind and args


def counted_rules(metric: str, arguments: Mapping[str, Any], column: Column | None) -> Iterator[Counted]:
    """Yields the rules whose failing rows a metric counts.

    Args:
        metric: one of METRICS, not rowCount.
        arguments: the metric's own.
        column: the column it is about; None for several.

    Raises:
        WrongUse: the arguments don't fit the metric.
    """
    _check_arguments(metric, arguments)
    if metric == "duplicateValues":
        yield "unique", "unique", {}
    if metric == "nullValues":
        yield "not_null", "not_null", {}
    if metric == "missingValues":
        yield from _missing(_listed(arguments, "missingValues") if arguments else [None], column)
    if "validValues" in arguments:
        allowed = tuple(value for value in _listed(arguments, "validValues") if value is not None)
        yield "in_set", "in_set", {"values": allowed}  # a missing value is neither valid nor invalid
    if "pattern" in arguments:
        yield "pattern", "pattern", {"regex": str(arguments["pattern"])}


def _missing(words: list[Any], column: Column | None) -> Iterator[Counted]:
    """A word that the column's type can't hold (N/A among numbers) never arrives as a value: its type rule fails."""
    spelled = tuple(word for word in words if word is not None and (column is None or _holds(column, word)))
    if None in words or (column and column.type != "string" and "" in words):
        yield "not_null", "not_null", {}
    if spelled:
        yield "not_in_set", "not_in_set", {"values": spelled}


def _holds(column: Column, word: object) -> bool:
    try:
        bind_value(word, column, where="")
    except WrongUse:
        return False
    return True


def _listed(arguments: Mapping[str, Any], name: str) -> list[Any]:
    values = arguments[name]
    if not isinstance(values, list) or not values:
        raise WrongUse(f"The argument {name} must be a list of values.")
    return values


def _check_arguments(metric: str, arguments: Mapping[str, Any]) -> None:
    known = _ARGUMENTS.get(metric, set())
    for key in arguments.keys() - known:
        raise WrongUse(
            f"The metric {metric} takes no argument '{key}'.", fix=did_you_mean(str(key), known | {"properties"})
        )
    if metric == "invalidValues" and not arguments:
        raise WrongUse("The metric invalidValues needs `arguments` with validValues or pattern.")
