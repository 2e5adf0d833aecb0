"""ODCS's library metrics: which rows each one counts, and what a bound on the count means for rows and extract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from open_data_contract_standard.model import DataQuality

from crossdock.contracts.bounds import bind_value
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
_MOST = 10**15
_JUST_LESS = 1e-9  # of a percentage: "less than 1 percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How many rows may be counted: from `low` on, up to `high` (rows, or a share of them in percent)."""

    low: int = 0
    high: float | None = None
    percent: bool = False

    @property
    def tolerance(self) -> Tolerance:
        """How many rows may break the rule before the extract is rejected; no bound when none may."""
        if not self.high:
            return Tolerance()
        return Tolerance(percent=round(self.high, 9)) if self.percent else Tolerance(rows=int(self.high))


def metric_of(given: DataQuality) -> str:
    """Returns the metric that a quality entry names.

    Raises:
        WrongUse: there is no such metric.
    """
    word = str(given.metric or given.rule or "")
    if word not in METRICS and word not in _OLDER:
        raise WrongUse(f"crossdock can't run the metric '{word}'.", fix=did_you_mean(word, METRICS))
    return _OLDER.get(word, word)


def bound_of(given: DataQuality, metric: str) -> Bound:
    """Returns the bound of a quality entry; without an operator no row may fail, and there must be rows.

    Raises:
        WrongUse: it can't be checked, or nothing keeps it.
    """
    percent = (given.unit or "rows").lower() in ("percent", "%")
    if not percent and (given.unit or "rows").lower() not in ("rows", "row"):
        raise WrongUse(f"crossdock can't count in '{given.unit}'.", fix="Write rows or percent.")
    if percent and metric == "rowCount":
        raise WrongUse("A number of rows has no share.", fix="Write `unit: rows`.")
    stated = {name: getattr(given, name) for name in (*_READ, "mustNotBeBetween") if getattr(given, name) is not None}
    if not stated:
        return Bound(low=1) if metric == "rowCount" else Bound(high=0)
    ranges = [_range(name, value, percent=percent) for name, value in stated.items()]
    low, high = max(low for low, _ in ranges), min((h for _, h in ranges if h is not None), default=None)
    if high is not None and (high < 0 or low > high):
        raise WrongUse(f"No number is in the range that {' and '.join(stated)} leave(s).")
    return Bound(low=low, high=high, percent=percent)


def _range(name: str, value: Any, *, percent: bool) -> tuple[int, float | None]:
    if name not in _READ:
        raise WrongUse(f"crossdock can't run {name}.", fix="State the range that must hold.")
    numbers = value if name.endswith("Between") else [value]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and 0 <= n <= _MOST for n in numbers):
        raise WrongUse(f"The bound of {name} must be a number from 0 to {_MOST:,}.")
    return _shares(name, *numbers) if percent else _READ[name](*numbers)


def _not(number: float) -> tuple[int, float | None]:
    if number != 0:
        raise WrongUse("crossdock runs mustNotBe only with 0.", fix="State the range that must hold.")
    return 1, None


def _just(number: float) -> tuple[int, float | None]:
    if number != int(number):
        raise WrongUse("A number of rows is whole.")
    return int(number), int(number)


_READ: Mapping[str, Callable[..., tuple[int, float | None]]] = {
    "mustBe": _just,
    "mustNotBe": _not,
    "mustBeGreaterThan": lambda n: (floor(n) + 1, None),
    "mustBeGreaterOrEqualTo": lambda n: (ceil(n), None),
    "mustBeLessThan": lambda n: (0, ceil(n) - 1),
    "mustBeLessOrEqualTo": lambda n: (0, floor(n)),
    "mustBeBetween": lambda a, b: (ceil(a), floor(b)),
}


def _shares(name: str, *numbers: float) -> tuple[int, float | None]:
    """Reads a bound in percent: a largest share, or that there is any such row at all."""
    first, last = numbers[0], numbers[-1]
    match name:
        case "mustBeLessThan":
            return 0, first - _JUST_LESS
        case "mustBeLessOrEqualTo":
            return 0, first
        case "mustBe" | "mustBeBetween" if first == 0:
            return 0, last
        case "mustBeGreaterThan" | "mustNotBe" if first == 0:
            return 1, None
        case "mustBeGreaterOrEqualTo" if first == 0:
            return 0, None
    raise WrongUse("A smallest share of failing rows can't be checked.", fix="State it in rows, or as a largest share.")


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
