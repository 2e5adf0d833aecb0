"""One Arrow kernel per kind of rule that looks at one row at a time: which rows of a batch break it.

A null breaks `not_null` and no other rule, as in Great Expectations; a float's NaN counts as null, as in pandas.
Patterns are RE2 and found anywhere in the text unless anchored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.arrow import arrow_type
from crossdock.contracts.bounds import Range, bind_range, bind_value
from crossdock.contracts.model import Column
from crossdock.errors import WrongUse
from crossdock.validation.checksums import SCHEMES, broken_check_digits
from crossdock.validation.nested_kernels import NESTED_KERNELS

# Takes the rule's columns, in its order; returns True for broken rows, null or False for the others.
Kernel = Callable[..., pa.Array]


def not_null(column: Column, args: Mapping[str, object], where: str) -> Kernel:  # noqa: ARG001 - one shape for all
    """A value is there."""
    return lambda values: pc.is_null(values, nan_is_null=True)


def in_set(column: Column, args: Mapping[str, object], where: str) -> Kernel:
    """The value is one of `values`."""
    return one_of(_value_set(column, args, where))


def one_of(known: pa.Array) -> Kernel:
    """The value is one of an array's, which has no nulls."""
    return lambda values: pc.and_(present(values), pc.invert(pc.is_in(values, value_set=known)))


def not_in_set(column: Column, args: Mapping[str, object], where: str) -> Kernel:
    """The value is none of `values`."""
    known = _value_set(column, args, where)
    return lambda values: pc.is_in(values, value_set=known)


def pattern(column: Column, args: Mapping[str, object], where: str) -> Kernel:
    """The text matches `regex`."""
    regex = _regex(column, args, where)
    return lambda values: pc.invert(pc.match_substring_regex(values, regex))


def not_pattern(column: Column, args: Mapping[str, object], where: str) -> Kernel:
    """The text does not match `regex`."""
    regex = _regex(column, args, where)
    return lambda values: pc.match_substring_regex(values, regex)


def length(column: Column, args: Mapping[str, object], where: str) -> Kernel:
    """The text has `min` to `max` characters."""
    _must_be_text(column, where)
    counted = Column(name=column.name, source_name="", type="integer")
    outside = _outside(bind_range(args, counted, where=where), pa.int32())
    return lambda values: outside(pc.utf8_length(values))


def between(column: Column, args: Mapping[str, object], where: str) -> Kernel:
    """The value lies from `min` to `max`."""
    if column.type == "boolean":
        raise WrongUse(f"Column '{column.name}' is a boolean, which has no order.", where=where)
    return _outside(bind_range(args, column, where=where), arrow_type(column))


def checksum(column: Column, args: Mapping[str, object], where: str) -> Kernel:
    """The code's check digit is right."""
    _must_be_text(column, where)
    if args.get("scheme") not in SCHEMES:
        raise WrongUse(f"There is no checksum scheme '{args.get('scheme')}'.", where=where)
    scheme = SCHEMES[str(args["scheme"])]
    return lambda values: pa.array(broken_check_digits(values, scheme))


def is_null(column: Column, args: Mapping[str, object], where: str) -> Kernel:  # noqa: ARG001 - one shape for all
    """No value is there."""
    return present


def ordered(columns: tuple[Column, Column], args: Mapping[str, object], where: str) -> Kernel:
    """The first column's value is at most (`strict`: less than) the second's."""
    convert = _to_common(columns, where)
    fails = pc.greater_equal if args.get("strict") else pc.greater
    return lambda first, second: fails(*convert(first, second))


def equal(columns: tuple[Column, Column], args: Mapping[str, object], where: str) -> Kernel:  # noqa: ARG001 - one shape
    """Both columns hold the same value."""
    convert = _to_common(columns, where)
    return lambda first, second: _both_present(first, second, pc.not_equal(*convert(first, second)))


SINGLE: Mapping[str, Callable[[Column, Mapping[str, object], str], Kernel]] = {
    **NESTED_KERNELS,
    "not_null": not_null,
    "in_set": in_set,
    "not_in_set": not_in_set,
    "pattern": pattern,
    "length": length,
    "between": between,
    "checksum": checksum,
    "expect_column_values_to_be_null": is_null,
    "expect_column_values_to_not_match_regex": not_pattern,
}
PAIR: Mapping[str, Callable[[tuple[Column, Column], Mapping[str, object], str], Kernel]] = {
    "ordered": ordered,
    "expect_column_pair_values_to_be_equal": equal,
}


def kernel_of(kind: str, columns: Sequence[Column], args: Mapping[str, object], where: str) -> Kernel:
    """Returns the kernel of a rule kind (or of an expectation's name), bound to the rule's columns and args.

    Raises:
        WrongUse: there is no kernel, or columns or args do not fit it. Never a rule that silently passes.
    """
    if kind in SINGLE and len(columns) == 1:
        return SINGLE[kind](columns[0], args, where)
    if kind in PAIR and len(columns) == 2:
        return PAIR[kind]((columns[0], columns[1]), args, where)
    raise WrongUse(
        f"There is no kernel for a rule of kind '{kind}' over {len(columns)} column(s), so it can't be judged.",
        where=where,
    )


def present(values: pa.Array) -> pa.Array:
    """Returns True where a value is: not null, and not NaN."""
    valid = pc.is_valid(values)
    return pc.and_(valid, pc.invert(pc.is_nan(values).fill_null(False))) if pa.types.is_floating(values.type) else valid


def all_present(columns: Sequence[pa.Array]) -> int:
    """Returns how many rows have a value in every one of the columns."""
    if len(columns) == 1:
        return int(pc.sum(present(columns[0])).as_py() or 0) if _may_hide_nan(columns[0]) else _valid(columns[0])
    whole = [values for values in columns if values.null_count == 0 and not _may_hide_nan(values)]
    if len(whole) == len(columns):
        return len(columns[0])
    mask = present(columns[0])
    for values in columns[1:]:
        mask = pc.and_(mask, present(values))
    return int(pc.sum(mask).as_py() or 0)


def _valid(values: pa.Array) -> int:
    return len(values) - int(values.null_count)


def _may_hide_nan(values: pa.Array) -> bool:
    return bool(pa.types.is_floating(values.type))


def _both_present(first: pa.Array, second: pa.Array, broken: pa.Array) -> pa.Array:
    """NaN differs from everything in Arrow, but is a missing value here."""
    if _may_hide_nan(first) or _may_hide_nan(second):
        return pc.and_(broken, pc.and_(present(first), present(second)))
    return broken


def _outside(bounds: Range, type_: pa.DataType) -> Kernel:
    if bounds.empty:
        return present
    low = None if bounds.low is None else _scalar(bounds.low, type_)
    high = None if bounds.high is None else _scalar(bounds.high, type_)
    below = pc.less_equal if bounds.strict_low else pc.less
    above = pc.greater_equal if bounds.strict_high else pc.greater

    def outside(values: pa.Array) -> pa.Array:
        if low is not None and high is not None:
            return pc.or_(below(values, low), above(values, high))
        if low is not None:
            return below(values, low)
        return above(values, high) if high is not None else pa.repeat(pa.scalar(False), len(values))

    return outside


def _scalar(value: object, type_: pa.DataType) -> pa.Scalar:
    if pa.types.is_int32(type_):  # a length beyond any text's is as good as the longest
        value = max(min(cast("int", value), 2**31 - 1), -1)
    return pa.scalar(value, type_)


def _value_set(column: Column, args: Mapping[str, object], where: str) -> pa.Array:
    values = args.get("values")
    if not isinstance(values, Sequence | set | frozenset) or isinstance(values, str):
        raise WrongUse("A set rule needs a list of values.", where=where)
    bound = [bind_value(value, column, where=where) for value in values if value is not None]
    return pa.array(bound, arrow_type(column))


def _regex(column: Column, args: Mapping[str, object], where: str) -> str:
    _must_be_text(column, where)
    regex = str(args["regex"])
    try:
        pc.match_substring_regex(pa.array([""]), regex)
    except pa.ArrowInvalid as error:
        raise WrongUse(
            f"The pattern can't be used: {error}.",
            where=where,
            fix="Patterns are RE2: no look-ahead, look-behind or back-reference.",
        ) from error
    return regex


def _must_be_text(column: Column, where: str) -> None:
    if column.type != "string":
        raise WrongUse(f"Column '{column.name}' is of type {column.type}; this rule is for text.", where=where)


def _to_common(columns: tuple[Column, Column], where: str) -> Callable[[pa.Array, pa.Array], tuple[pa.Array, pa.Array]]:
    """Returns what makes two columns comparable without changing any value."""
    first, second = (arrow_type(column) for column in columns)
    numbers = {"integer", "number"}
    if first == second:
        return lambda a, b: (a, b)
    if {columns[0].type, columns[1].type} <= numbers:
        return lambda a, b: (a, b)  # Arrow compares whole, exact and floating numbers with one another
    if {columns[0].type, columns[1].type} == {"date", "timestamp"} and not (columns[0].timezone or columns[1].timezone):
        instant = pa.timestamp("us")
        return lambda a, b: (a.cast(instant), b.cast(instant))
    raise WrongUse(
        f"Column '{columns[0].name}' ({columns[0].type}) can't be compared with '{columns[1].name}' "
        f"({columns[1].type}).",
        where=where,
    )
