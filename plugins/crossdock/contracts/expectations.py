"""Which Great Expectations expectations a contract may name, and the rule each of them is.

Only those that the engine has a kernel for are here: an expectation that can't be run is an error at load, never a
silent pass. Keywords are Great Expectations' own; the camelCase that ODCS's examples use (`minValue`) is read too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crossdock.contracts.model import RuleKind
from crossdock.errors import WrongUse, did_you_mean

RuleParts = tuple[RuleKind, tuple[str, ...], dict[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """How one expectation becomes a rule."""

    kind: RuleKind
    columns: tuple[str, ...]  # keywords that name columns, in the rule's order
    needed: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    args: Callable[[Mapping[str, object]], dict[str, object]] = dict


def _range(given: Mapping[str, object]) -> dict[str, object]:
    names = {"min_value": "min", "max_value": "max", "strict_min": "strict_min", "strict_max": "strict_max"}
    return {names[key]: value for key, value in given.items() if value is not None}


def _exactly(given: Mapping[str, object]) -> dict[str, object]:
    return {"min": given["value"], "max": given["value"]}


def _values(given: Mapping[str, object]) -> dict[str, object]:
    values = given["value_set"]
    if not isinstance(values, list | tuple) or not values:
        raise WrongUse("'value_set' must be a list of at least one value.")
    return {"values": tuple(values)}


_BOUNDS = frozenset({"min_value", "max_value"})
_STRICT = _BOUNDS | {"strict_min", "strict_max"}
_REGEX = frozenset({"regex"})
_VALUE = frozenset({"value"})
_SET = frozenset({"value_set"})
_COLUMN = ("column",)

_SHAPES: Mapping[str, _Shape] = {
    "expect_column_pair_values_a_to_be_greater_than_b": _Shape(
        kind="ordered",
        columns=("column_B", "column_A"),  # a rule's columns go from the smaller to the greater
        optional=frozenset({"or_equal", "ignore_row_if"}),
        args=lambda given: {"strict": not given.get("or_equal")},
    ),
    "expect_column_pair_values_to_be_equal": _Shape(
        kind="expectation", columns=("column_A", "column_B"), optional=frozenset({"ignore_row_if"})
    ),
    "expect_column_value_lengths_to_be_between": _Shape(kind="length", columns=_COLUMN, optional=_STRICT, args=_range),
    "expect_column_value_lengths_to_equal": _Shape(kind="length", columns=_COLUMN, needed=_VALUE, args=_exactly),
    "expect_column_values_to_be_between": _Shape(kind="between", columns=_COLUMN, optional=_STRICT, args=_range),
    "expect_column_values_to_be_in_set": _Shape(kind="in_set", columns=_COLUMN, needed=_SET, args=_values),
    "expect_column_values_to_be_null": _Shape(kind="expectation", columns=_COLUMN),
    "expect_column_values_to_be_unique": _Shape(kind="unique", columns=_COLUMN),
    "expect_column_values_to_have_gb11643_check_digit": _Shape(
        kind="checksum", columns=_COLUMN, args=lambda _: {"scheme": "gb11643"}
    ),
    "expect_column_values_to_have_gb32100_check_digit": _Shape(
        kind="checksum", columns=_COLUMN, args=lambda _: {"scheme": "gb32100"}
    ),
    "expect_column_values_to_match_regex": _Shape(kind="pattern", columns=_COLUMN, needed=_REGEX),
    "expect_column_values_to_not_be_in_set": _Shape(kind="not_in_set", columns=_COLUMN, needed=_SET, args=_values),
    "expect_column_values_to_not_be_null": _Shape(kind="not_null", columns=_COLUMN),
    "expect_column_values_to_not_match_regex": _Shape(kind="expectation", columns=_COLUMN, needed=_REGEX),
    "expect_compound_columns_to_be_unique": _Shape(
        kind="unique", columns=("column_list",), optional=frozenset({"ignore_row_if"}), args=lambda _: {}
    ),
    "expect_table_row_count_to_be_between": _Shape(kind="row_count", columns=(), optional=_BOUNDS, args=_range),
    "expect_table_row_count_to_equal": _Shape(kind="row_count", columns=(), needed=_VALUE, args=_exactly),
}

# Rows with a missing value are skipped; Great Expectations has two words for it.
_SKIP_NULLS = {"either_value_is_missing", "any_value_is_missing"}

# Expectation type -> the keyword arguments it takes, the column ones among them.
SUPPORTED: Mapping[str, frozenset[str]] = {
    name: frozenset(shape.columns) | shape.needed | shape.optional for name, shape in _SHAPES.items()
}


def rule_of_expectation(type: str, kwargs: Mapping[str, object]) -> RuleParts:  # noqa: A002 - ODCS's word
    """Returns the rule that an expectation is: its kind, its columns in the rule's order, and its args.

    An expectation that no rule kind expresses comes back as kind "expectation" with args `type` and `kwargs`.

    Args:
        type: the expectation's name in snake case (CamelCase class names are read too).
        kwargs: as written; the column must be among them (the caller adds the property's own column).

    Raises:
        WrongUse: the expectation or a keyword is unknown, a keyword is missing, or it asks for what the engine won't
            do (`mostly`, nulls as values).
    """
    name = _snake(type)
    if name not in _SHAPES:
        raise WrongUse(f"crossdock can't run the expectation '{type}'.", fix=did_you_mean(name, _SHAPES))
    shape = _SHAPES[name]
    given = {_snake(key): value for key, value in kwargs.items()}
    if "mostly" in given:
        raise WrongUse(
            f"'mostly' of {name} is not supported: every failing row is quarantined.",
            fix="Write how many rows may fail as a tolerance: `tolerances: {<rule id>: {percent: 5}}`.",
        )
    _check_keywords(name, shape, given)
    columns = _columns(name, shape, given)
    rest = {key: value for key, value in given.items() if key not in shape.columns and key != "ignore_row_if"}
    if shape.kind == "expectation":
        return shape.kind, columns, {"type": name, "kwargs": rest}
    args = shape.args(rest)
    if shape.optional & _BOUNDS and not args.keys() & {"min", "max"}:
        raise WrongUse(f"{name} needs min_value or max_value.")
    return shape.kind, columns, args


def _check_keywords(name: str, shape: _Shape, given: Mapping[str, object]) -> None:
    for key in given.keys() - SUPPORTED[name]:
        raise WrongUse(f"{name} takes no keyword '{key}' here.", fix=did_you_mean(key, SUPPORTED[name]))
    for key in sorted((set(shape.columns) | shape.needed) - given.keys()):
        raise WrongUse(f"{name} needs the keyword '{key}'.")
    if "ignore_row_if" in given and given["ignore_row_if"] not in _SKIP_NULLS:
        raise WrongUse(
            f"{name} can't compare nulls: rows with a missing value are skipped.",
            fix="Leave `ignore_row_if` out, and require the columns (`required: true`) if they must be filled.",
        )
    if "regex" in given and not isinstance(given["regex"], str):
        raise WrongUse(f"'regex' of {name} must be text.")


def _columns(name: str, shape: _Shape, given: Mapping[str, object]) -> tuple[str, ...]:
    named = given["column_list"] if shape.columns == ("column_list",) else [given[key] for key in shape.columns]
    if not isinstance(named, list | tuple) or not all(isinstance(column, str) for column in named):
        raise WrongUse(f"{name} names its columns as text.")
    if len(named) != len(set(named)) or (shape.columns == ("column_list",) and len(named) < 2):
        raise WrongUse(f"{name} needs several columns, each named once.")
    return tuple(named)


def _snake(word: str) -> str:
    if word in {"column_A", "column_B"}:
        return word
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()
    return {"column_a": "column_A", "column_b": "column_B"}.get(snake, snake)
