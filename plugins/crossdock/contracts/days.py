"""The days that a row filter means by `today()`: `today() - 18 years` on the day of a delivery."""

from __future__ import annotations

from datetime import UTC, date
from typing import cast

from dateutil.relativedelta import relativedelta
from lark import Token, Tree

from crossdock.contracts.model import Column
from crossdock.contracts.zone import beginning_of
from crossdock.errors import RowFilterInvalid


def put_days(tree: Tree[Token], today: date) -> bool:
    """Puts a day in the place of each `today()`, and returns whether there was one."""
    found = False
    for node in tree.iter_subtrees():
        for place, child in enumerate(node.children):
            if isinstance(child, Tree) and child.data == "today":
                node.children[place], found = _day(cast("list[Token]", child.children), today), True
    return found


def _day(words: list[Token], today: date) -> Token:
    name, *steps = words
    day = today
    for sign, count, unit in zip(*[iter(steps)] * 3, strict=True):
        word = unit.lower().removesuffix("s") + "s"
        try:
            day += relativedelta(**{word: int(sign + count)})  # type: ignore[arg-type] # the grammar knows four units
        except (ValueError, OverflowError):
            raise _beyond_the_calendar(place_of(count.start_pos)) from None
    return Token.new_borrow_pos("TODAY", day.isoformat(), name)


def _beyond_the_calendar(where: str) -> RowFilterInvalid:
    """Returns the error of a day that there is not."""
    return RowFilterInvalid("This day is beyond the calendar.", where=where, fix="Count fewer years.")


def place_of(start: int | None) -> str:
    """Returns where in a row filter a character stands, for people."""
    return f"row filter, character {(start or 0) + 1}"


def spelled(day: date, column: Column, where: str) -> str:
    """Returns a day as a literal of the column's type: its first instant, or what the clock on the wall shows then."""
    if column.type == "date":
        return day.isoformat()
    if not column.timezone:
        return f"{day}T00:00:00"
    try:
        return beginning_of(day).astimezone(UTC).isoformat()
    except OverflowError:
        raise _beyond_the_calendar(where) from None
