"""What a rule's args mean in the type of the column they are compared with: exact, or refused.

A bound that the type can't hold is moved to the nearest value that means the same: `>= 0.5` on whole numbers is `>= 1`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil, floor, isfinite

from crossdock.contracts.model import Column, LogicalType
from crossdock.errors import WrongUse

Value = str | int | float | Decimal | bool | date | datetime | time

_INT64 = (-(1 << 63), (1 << 63) - 1)
_DAY = timedelta(days=1)
_LARGEST_EXPONENT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Which values of a column are in range; None = no bound on that side. `empty`: no value can be."""

    low: Value | None = None
    high: Value | None = None
    strict_low: bool = False
    strict_high: bool = False
    empty: bool = False


def bind_value(value: object, column: Column, *, where: str) -> Value:
    """Returns a value of the contract as a value of the column's type, without loss.

    Raises:
        WrongUse: the column's type has no such value.
    """
    try:
        bound = _BIND[column.type](value, column)
    except (ValueError, InvalidOperation, OverflowError):
        bound = None
    if bound is None:
        raise _no_value(value, column, where)
    return bound


def bind_range(args: Mapping[str, object], column: Column, *, where: str) -> Range:
    """Returns the range that a rule's `min`, `max`, `strict_min` and `strict_max` mean for the column.

    Raises:
        WrongUse: there is no bound, or one does not fit the column's type.
    """
    low, high = args.get("min"), args.get("max")
    strict_low, strict_high = bool(args.get("strict_min")), bool(args.get("strict_max"))
    if low is None and high is None:
        raise WrongUse("A range needs a minimum or a maximum.", where=where)
    if column.type == "integer" or (column.type == "number" and column.precision is not None):
        scale, limits = (0, _INT64) if column.type == "integer" else _decimal_limits(column)
        units = [None if v is None else _fraction(v, column, where) * 10**scale for v in (low, high)]
        return _whole_range((units[0], units[1]), (strict_low, strict_high), limits, scale)
    if column.type == "date":
        return Range(
            low=_day(low, column, where, up=True, strict=strict_low),
            high=_day(high, column, where, up=False, strict=strict_high),
        )
    return Range(
        low=None if low is None else bind_value(low, column, where=where),
        high=None if high is None else bind_value(high, column, where=where),
        strict_low=strict_low,
        strict_high=strict_high,
    )


def _decimal_limits(column: Column) -> tuple[int, tuple[int, int]]:
    most = 10 ** (column.precision or 0) - 1
    return column.scale or 0, (-most, most)


def _whole_range(
    units: tuple[Fraction | None, Fraction | None], strict: tuple[bool, bool], limits: tuple[int, int], scale: int
) -> Range:
    """Closes a range of whole units: the first and the last one inside it."""
    low, high = units
    first = None if low is None else (floor(low) + 1 if strict[0] else ceil(low))
    last = None if high is None else (ceil(high) - 1 if strict[1] else floor(high))
    empty = (first is not None and first > limits[1]) or (last is not None and last < limits[0])
    if empty:
        return Range(empty=True)
    return Range(
        low=None if first is None or first < limits[0] else _of_units(first, scale),
        high=None if last is None or last > limits[1] else _of_units(last, scale),
    )


def _of_units(units: int, scale: int) -> int | Decimal:
    # Decimal's own arithmetic would round to 28 digits.
    digits = tuple(int(d) for d in str(abs(units)))
    return units if scale == 0 else Decimal((int(units < 0), digits, -scale))


def _fraction(value: object, column: Column, where: str) -> Fraction:
    """Returns a bound exactly; one that no value of the column's type equals is a bound all the same."""
    number = _number_or_none(value)
    if number is None:
        raise _no_value(value, column, where)
    return Fraction(number)


def _no_value(value: object, column: Column, where: str) -> WrongUse:
    return WrongUse(
        f"'{value}' is no value of column '{column.name}', which is of type {column.type}.",
        where=where,
        fix="Dates, timestamps and times are written in ISO 8601.",
    )


def _number_or_none(value: object) -> Decimal | None:
    try:
        return _exact(value)
    except InvalidOperation:
        return None


def _day(value: object, column: Column, where: str, *, up: bool, strict: bool) -> date | None:
    """Returns the first (or last) whole day that is within a bound, which may have a time of day."""
    if value is None:
        return None
    try:
        moment = bind_value(value, replace(column, type="timestamp"), where=where)
    except WrongUse:
        raise _no_value(value, column, where) from None
    assert isinstance(moment, datetime)  # noqa: S101 - for mypy: timestamps bind to datetimes
    midnight = datetime.combine(moment.date(), time())
    if up:
        return midnight.date() + (_DAY if strict or moment > midnight else timedelta())
    return midnight.date() - (_DAY if strict and moment == midnight else timedelta())


def _exact(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    number = Decimal(repr(value) if isinstance(value, float) else value)
    # Arithmetic with 1e999999999 would take for ever, and no float is larger than 1e308.
    return number if number.is_finite() and abs(number.adjusted()) <= _LARGEST_EXPONENT else None


def _text(value: object, _: Column) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return str(value) if isinstance(value, str | int | float | Decimal) else None


def _integer(value: object, _: Column) -> int | None:
    number = _exact(value)
    if number is None or number != number.to_integral_value() or not _INT64[0] <= number <= _INT64[1]:
        return None
    return int(number)


def _number(value: object, column: Column) -> Decimal | float | None:
    number = _exact(value)
    if number is None:
        return None
    if column.precision is None:
        return float(number) if isfinite(float(number)) else None
    scale, (least, most) = _decimal_limits(column)
    units = Fraction(number) * 10**scale
    fits = units.denominator == 1 and least <= units <= most
    return Decimal(_of_units(int(units), scale)) if fits else None


def _boolean(value: object, _: Column) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())


def _date(value: object, _: Column) -> date | None:
    if isinstance(value, datetime):
        return value.date() if value == datetime.combine(value.date(), time(), value.tzinfo) else None
    if isinstance(value, date):
        return value
    return date.fromisoformat(value) if isinstance(value, str) else None


def _timestamp(value: object, column: Column) -> datetime | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        return None
    if column.timezone:  # a bound without a zone is UTC, as the column's values are
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment if moment.tzinfo is None else None


def _time(value: object, _: Column) -> time | None:
    clock = time.fromisoformat(value) if isinstance(value, str) else value
    return clock if isinstance(clock, time) and clock.tzinfo is None else None


_BIND: Mapping[LogicalType, Callable[[object, Column], Value | None]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
    "time": _time,
}
