"""One contract becomes one Great Expectations suite: a rule is written once, and GX judges it by GX's own words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from great_expectations.core import ExpectationSuite  # noqa: TID253 - only imported to judge, never to build DAGs
from great_expectations.expectations.expectation import Expectation  # noqa: TID253 - here is where it is used
from great_expectations.expectations.registry import get_expectation_impl  # noqa: TID253 - here is where it is used

from crossdock.contracts.bounds import bind_range
from crossdock.contracts.limits import Limits
from crossdock.contracts.model import Column, Contract
from crossdock.errors import WrongUse
from crossdock.validation import promises  # noqa: F401 - importing it makes its expectations known to GX
from crossdock.validation.plan import Check, counted

_SEVERITY = {"error": "critical", "warning": "warning"}
_Said = tuple[str, dict[str, Any]]  # an expectation's name and its keywords


def compile_suite(contract: Contract, checks: Iterable[Check]) -> ExpectationSuite:
    """Returns the suite that judges the contract; `meta["rule"]` of each expectation is the rule's id."""
    return ExpectationSuite(name=contract.id, expectations=[expectation_of(check) for check in checks])


def expectation_of(check: Check) -> Expectation:
    """Returns a rule as an expectation: GX's own where it has one, else one of `promises`.

    Raises:
        WrongUse: no expectation says what the rule says.
    """
    rule = check.rule
    kind = str(rule.args["type"]) if rule.kind == "expectation" else rule.kind
    if check.way and kind != "count":
        kind = "inside"
    if kind not in _SAY:
        raise WrongUse(f"No expectation says what a rule of kind '{kind}' says.", where=f"rule {rule.id}")
    name, keywords = _SAY[kind](check)
    expectation: Any = get_expectation_impl(name)
    meta = {"rule": rule.id, "dimension": rule.dimension}
    said: Expectation = expectation(**keywords, meta=meta, severity=_SEVERITY[rule.severity])
    return said


def _column(check: Check) -> dict[str, Any]:
    return {"column": check.columns[0].name}


def _of_rule(check: Check) -> dict[str, Any]:
    return {"rule": check.rule.id, "columns": [column.name for column in check.columns]}


def _plain(name: str) -> Callable[[Check], _Said]:
    return lambda check: (name, _column(check))


def _in(name: str) -> Callable[[Check], _Said]:
    def say(check: Check) -> _Said:
        values: Any = check.args["values"]
        return name, {**_column(check), "value_set": [_spelled(value) for value in values if value is not None]}

    return say


def _matching(name: str) -> Callable[[Check], _Said]:
    return lambda check: (name, {**_column(check), "regex": check.args["regex"]})


def _type(check: Check) -> _Said:
    return "expect_column_values_to_fit_their_type", {**_of_rule(check), "of_type": check.columns[0].type}


def _unique(check: Check) -> _Said:
    if len(check.columns) == 1:
        return "expect_column_values_to_be_unique", _column(check)
    names = [column.name for column in check.columns]
    keywords = {"column_list": names, "ignore_row_if": "any_value_is_missing"}
    return "expect_compound_columns_to_be_unique", keywords


def _length(check: Check) -> _Said:
    characters = Column(name=check.columns[0].name, source_name="", type="integer")
    bounds = bind_range(check.args, characters, where=check.rule.id)
    keywords = {**_column(check), "min_value": bounds.low, "max_value": bounds.high}
    return "expect_column_value_lengths_to_be_between", keywords


def _between(check: Check) -> _Said:
    bounds = bind_range(check.args, check.columns[0], where=check.rule.id)
    strict = {"strict_min": bounds.strict_low, "strict_max": bounds.strict_high}
    if not bounds.empty and _exact(bounds.low) and _exact(bounds.high):
        keywords = {**_column(check), "min_value": bounds.low, "max_value": bounds.high, **strict}
        return "expect_column_values_to_be_between", keywords
    texts = {
        key: None if check.args.get(of) is None else str(_spelled(check.args[of]))
        for key, of in (("min_value", "min"), ("max_value", "max"))
    }
    return "expect_column_values_to_be_within", {**_of_rule(check), **texts, **strict}


def _exact(bound: object) -> bool:
    """True for a bound that GX keeps as it is: it holds numbers as floats, and knows neither text nor times."""
    if isinstance(bound, int | Decimal):
        return Decimal(repr(float(bound))) == bound
    return bound is None or isinstance(bound, float | date | datetime)


def _ordered(check: Check) -> _Said:
    smaller, greater = (column.name for column in check.columns)
    return "expect_column_pair_values_a_to_be_greater_than_b", {
        "column_A": greater,
        "column_B": smaller,
        "or_equal": not check.args.get("strict"),
        "ignore_row_if": "either_value_is_missing",
    }


def _equal(check: Check) -> _Said:
    first, second = (column.name for column in check.columns)
    keywords = {"column_A": first, "column_B": second, "ignore_row_if": "either_value_is_missing"}
    return "expect_column_pair_values_to_be_equal", keywords


def _reference(check: Check) -> _Said:
    named: Any = check.args["columns"]
    keywords = {"dataset": str(check.args.get("dataset") or ""), "referred_columns": [str(name) for name in named]}
    return "expect_column_values_to_exist_in_dataset", {**_of_rule(check), **keywords}


def _checksum(check: Check) -> _Said:
    return f"expect_column_values_to_have_{check.args['scheme']}_check_digit", _column(check)


def _inside(check: Check) -> _Said:
    """GX counts values of a column; of what is inside of one, only the rows that break the rule."""
    return "expect_values_inside_to_keep_the_rule", _of_rule(check)


def _count(check: Check) -> _Said:
    kind, _ = counted(check.rule)
    return "expect_broken_rows_to_be_within", {**_of_rule(check), "of": kind, "limits": _limits(check)}


def _row_count(check: Check) -> _Said:
    return "expect_snapshot_row_count_to_be_within", {"limits": _limits(check)}


def _query(check: Check) -> _Said:
    keywords = {"rule": check.rule.id, "query": check.args["sql"], "limits": _limits(check)}
    return "expect_query_result_to_be_within", keywords


def _limits(check: Check) -> dict[str, Any]:
    return Limits.of(check.rule.args if check.counts else check.args).args()


def _freshness(check: Check) -> _Said:
    keywords = {**_column(check), "max_age_seconds": check.args["max_age_seconds"]}
    return "expect_column_newest_value_to_be_younger_than", keywords


def _drift(check: Check) -> _Said:
    return "expect_drift_to_be_within", {**_of_rule(check), "measure": check.args["measure"], "most": check.args["max"]}


def _spelled(value: object) -> object:
    """Spells what JSON has no word for as text."""
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return value if isinstance(value, str | int | float) else str(value)


_SAY: Mapping[str, Callable[[Check], _Said]] = {
    "inside": _inside,
    "items": _inside,
    "unique_items": _inside,
    "properties": _inside,
    "type": _type,
    "not_null": _plain("expect_column_values_to_not_be_null"),
    "unique": _unique,
    "in_set": _in("expect_column_values_to_be_in_set"),
    "not_in_set": _in("expect_column_values_to_not_be_in_set"),
    "pattern": _matching("expect_column_values_to_match_regex"),
    "length": _length,
    "between": _between,
    "ordered": _ordered,
    "reference": _reference,
    "checksum": _checksum,
    "count": _count,
    "row_count": _row_count,
    "query": _query,
    "freshness": _freshness,
    "drift": _drift,
    "expect_column_values_to_be_null": _plain("expect_column_values_to_be_null"),
    "expect_column_values_to_not_match_regex": _matching("expect_column_values_to_not_match_regex"),
    "expect_column_pair_values_to_be_equal": _equal,
}
