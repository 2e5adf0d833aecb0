"""Literals of a row filter: each type has one way to be written, and `bounds` makes the value of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from crossdock.contracts.bounds import Value, bind_value
from crossdock.contracts.model import Column, LogicalType
from crossdock.errors import RowFilterInvalid, WrongUse

LiteralKind = Literal["STRING", "NUMBER", "TRUTH"]

_ZONE = re.compile(r"(?:Z|[+-][0-9:]+)$")


def bind(kind: LiteralKind, text: str, column: Column, *, where: str) -> Value:
    """Returns the literal as a value of the column's type: never rounded, never guessed.

    Args:
        kind: how it is written: in quotes, as a number, or as true/false.
        text: its text without the quotes.
        column: the column it is compared with.
        where: the place for the error message.

    Raises:
        RowFilterInvalid: the column's type has no such value. The literal is not repeated: it may be personal.
    """
    wanted, how = _WRITTEN[column.type]
    try:
        if kind == wanted and _is_plain(text, column):
            return bind_value(text, column, where=where)
    except WrongUse:
        pass  # told below, without the literal
    raise RowFilterInvalid(
        f"Column '{column.name}' is of type {column.type}: this literal does not fit.", where=where, fix=how
    )


def _is_plain(text: str, column: Column) -> bool:
    """Python also reads 20260131 and 2026-W05-6 as dates, and an instant without a zone would be taken for UTC."""
    if column.type == "integer":
        return "." not in text
    if column.type in ("date", "timestamp"):
        dashed = text[4:5] == text[7:8] == "-" and (len(text) == 10 or column.type == "timestamp")
        return dashed and (column.type == "date" or bool(_ZONE.search(text[10:])) == column.timezone)
    return True


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
