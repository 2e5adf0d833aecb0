"""Bounds around what was seen, rounded outward: room for the next extract, and no value that a row has."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from crossdock.contracts.model import Column
from crossdock.drafting.facts import Facts

_LARGEST = 10**15
_LAST_YEAR = 9999


def range_options(column: Column, facts: Facts) -> dict[str, Any]:
    """Returns `minimum` and `maximum` of a column's numbers, dates or timestamps; empty when there is nothing to bound."""
    if facts.low is None:
        return {}
    if isinstance(facts.low, date):
        return _decades(column, facts.low, facts.high)
    if max(abs(facts.low), abs(facts.high)) > _LARGEST:
        return {}
    low = _round_down(Decimal(str(facts.low))) if facts.low >= 0 else -_round_up(-Decimal(str(facts.low)))
    high = 0 if facts.high <= 0 else _round_up(Decimal(str(facts.high)))
    return {"minimum": low, "maximum": high}


def length_options(facts: Facts) -> dict[str, int]:
    """Returns how long texts are: exactly, when all have one length, else at most."""
    if not facts.longest:
        return {}
    if facts.shortest == facts.longest:
        return {"minLength": facts.longest, "maxLength": facts.longest}
    return {"maxLength": int(_round_up(Decimal(facts.longest)))}


def _round_down(value: Decimal) -> int:
    """Returns 0 for what is small, else the value with its first digit only: years are not counted from 0."""
    size = 10 ** max(0, value.adjusted())
    return int(value // size * size) if value >= 100 else 0


def _round_up(value: Decimal) -> int:
    """Returns the next of 1, 2, 5, 10, 20, 50, ... that is not less than a positive value."""
    size = 10 ** max(0, value.adjusted())
    return int(next(step * size for step in (1, 2, 5, 10) if step * size >= value))


def _decades(column: Column, low: date, high: date) -> dict[str, str]:
    """Returns the decade it begins in, and the end of the decade after: registers go on."""
    first = max(1, low.year // 10 * 10)
    last = min(_LAST_YEAR, high.year // 10 * 10 + 19)
    if column.type == "date":
        return {"minimum": f"{first:04}-01-01", "maximum": f"{last:04}-12-31"}
    return {"minimum": f"{first:04}-01-01T00:00:00", "maximum": f"{last:04}-12-31T23:59:59.999999"}
