"""Can a rule be run at all? Asked at load, so that a contract that promises the impossible never reaches its data."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.bounds import Range, bind_range, bind_value
from crossdock.contracts.model import NESTED, Column, Rule
from crossdock.errors import WrongUse

_TEXT_ONLY = {"length", "pattern", "checksum"}
_AGES = {"date", "timestamp"}
# Rules that compare values of one row, or of several rows, with one another.
_ROWS_APART = {"unique", "ordered", "reference", "freshness"}
_OF_NESTED = {"type", "not_null", "items", "unique_items", "properties", "query", "drift"}


def check_rule(rule: Rule, columns: Mapping[str, Column]) -> None:
    """Checks that a rule fits the types of its columns.

    Raises:
        WrongUse: it does not, with what would.
    """
    kind, args = _counted(rule) if rule.kind == "count" else (str(rule.kind), rule.args)
    for name in rule.columns:
        _check_column(kind, args, columns[name])
    if len(rule.columns) > 1 and any(columns[name].field for name in rule.columns):
        raise WrongUse("A rule about several columns is about plain ones.", fix="Make what it is about columns.")
    if kind == "ordered" and len({_family(columns[name]) for name in rule.columns}) > 1:
        raise WrongUse(
            f"{' and '.join(rule.columns)} have types that can't be compared.", fix="Give both the same type."
        )


def _counted(rule: Rule) -> tuple[str, Mapping[str, object]]:
    of = rule.args.get("of")
    inner = of if isinstance(of, Mapping) else {}
    return str(inner.get("kind")), {key: value for key, value in inner.items() if key != "kind"}


def _family(column: Column) -> str:
    return "number" if column.type in ("integer", "number") else column.type


def _check_column(kind: str, args: Mapping[str, object], column: Column) -> None:
    _check_nesting(kind, column)
    if kind in _TEXT_ONLY and column.type != "string":
        raise WrongUse(
            f"A {kind} is a promise about text, but '{column.name}' is of type {column.type}.",
            fix="Declare it a string, or use minimum and maximum.",
        )
    if kind == "freshness" and column.type not in _AGES:
        raise WrongUse(f"Freshness needs a date or timestamp, but '{column.name}' is of type {column.type}.")
    values = args.get("values")
    if kind in ("in_set", "not_in_set") and isinstance(values, list | tuple):
        for value in values:
            bind_value(value, column, where="")
    if kind == "between":
        _check_range(bind_range(args, column, where=""))
    if kind in ("length", "items", "properties"):
        _check_length(args)
    if "regex" in args:
        _check_regex(str(args["regex"]))


def _check_nesting(kind: str, column: Column) -> None:
    if kind in _ROWS_APART and (column.field or column.type in NESTED):
        raise WrongUse(
            f"'{column.name}' is {'inside of another column' if column.field else f'of type {column.type}'}, and a rule "
            f"of kind '{kind}' is about plain columns.",
            fix="Make what it is about a column of its own.",
        )
    if column.type in NESTED and kind not in _OF_NESTED:
        raise WrongUse(
            f"A rule of kind '{kind}' says nothing of a column of type {column.type}.",
            fix="State it for what is inside: `properties`, `items` or `map`.",
        )


def _check_length(args: Mapping[str, object]) -> None:
    if any(isinstance(v, bool) or not isinstance(v, int) or v < 0 for key, v in args.items() if key in ("min", "max")):
        raise WrongUse("A length is a whole number of at least 0.")
    low, high = args.get("min"), args.get("max")
    if isinstance(low, int) and isinstance(high, int):
        short = low + bool(args.get("strict_min")) > high - bool(args.get("strict_max"))
        _refuse_empty(empty=short)


def _check_range(bounds: Range) -> None:
    low, high = bounds.low, bounds.high
    crossed = False
    if low is not None and high is not None:
        crossed = low > high or (low == high and (bounds.strict_low or bounds.strict_high))  # type: ignore[operator] # both are of the column's type
    _refuse_empty(empty=bounds.empty or crossed)


def _refuse_empty(*, empty: bool) -> None:
    if empty:
        raise WrongUse("No value is in this range, so every row would fail.", fix="Mend its bounds.")


def _check_regex(pattern: str) -> None:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid:
        raise WrongUse(
            "This is no regular expression of the RE2 kind.", fix="RE2 has no look-around and no back-references."
        ) from None
