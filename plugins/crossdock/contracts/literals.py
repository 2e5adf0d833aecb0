"""Literals of a row filter, bound to the type of the column they are compared with: never rounded, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Literal

from crossdock.contracts.model import Column, LogicalType
from crossdock.errors import RowFilterInvalid

Value = str | int | float | Decimal | bool | date | datetime | time
LiteralKind = Literal["STRING", "NUMBER", "TRUTH"]

_INT64 = range(-(1 << 63), 1 << 63)


def bind(kind: LiteralKind, text: str, column: Column, *, where: str) -> Value:
    """Returns the literal as a value of the column's type.

    Args:
        kind: how it is written: in quotes, as a number, or as true/false.
        text: its text without the quotes.
        column: the column it is compared with.
        where: the place for the error message.

    Raises:
        RowFilterInvalid: the column's type has no such value. The literal is not repeated: it may be personal.
    """
    wanted, how = _WRITTEN[column.type]
    value = _READ[column.type](text, column) if kind == wanted else None
    if value is None:
        raise RowFilterInvalid(
            f"Column '{column.name}' is a {column.type}: this literal does not fit.", where=where, fix=how
        )
    return value


def _integer(text: str, _: Column) -> int | None:
    if "." in text:
        return None
    value = int(text) if len(text) < 32 else _INT64.stop  # int() of a huge text would take long
    return value if value in _INT64 else None


def _number(text: str, column: Column) -> Decimal | float | None:
    if column.precision is None:
        return float(text) if isfinite(float(text)) else None
    whole, _, fraction = text.lstrip("+-").partition(".")
    scale = column.scale or 0
    fits = len(fraction) <= scale and len(whole.lstrip("0")) <= column.precision - scale
    return Decimal(text) if fits else None


def _date(text: str, _: Column) -> date | None:
    try:
        # Python also reads 20260131 and 2026-W05-6; one spelling is enough.
        return date.fromisoformat(text) if len(text) == 10 and text[4] == text[7] == "-" else None
    except ValueError:
        return None


def _timestamp(text: str, column: Column) -> datetime | None:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    if (value.tzinfo is not None) != column.timezone:
        return None
    return value.astimezone(UTC) if column.timezone else value


def _time(text: str, _: Column) -> time | None:
    try:
        value = time.fromisoformat(text)
    except ValueError:
        return None
    return value if value.tzinfo is None else None


_READ: Mapping[LogicalType, Callable[[str, Column], Value | None]] = {
    "string": lambda text, _: text,
    "integer": _integer,
    "number": _number,
    "boolean": lambda text, _: text.lower() == "true",
    "date": _date,
    "timestamp": _timestamp,
    "time": _time,
}
_WRITTEN: Mapping[LogicalType, tuple[LiteralKind, str]] = {
    "string": ("STRING", "Write text in single quotes: 'ACTIVE'."),
    "integer": ("NUMBER", "Write a whole number without quotes: 42."),
    "number": ("NUMBER", "Write a number without quotes and with no more digits than the column has: 12.50."),
    "boolean": ("TRUTH", "Write true or false without quotes."),
    "date": ("STRING", "Write a date of the calendar in single quotes: '2026-01-31'."),
    "timestamp": (
        "STRING",
        "Write '2026-01-31T08:00:00', with the zone ('+08:00') if and only if the column has one.",
    ),
    "time": ("STRING", "Write a time in single quotes: '08:30:00'."),
}
