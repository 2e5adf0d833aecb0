"""Lengths of time as contracts write them: a number and a unit, or an ISO 8601 duration."""

from __future__ import annotations

import re
from datetime import datetime

from dateutil.relativedelta import relativedelta

from crossdock.language.speech import ENGLISH, Speech

# Seconds, and the unit in ISO 8601; months and years are as long as they get.
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), (1, "PT{}S")),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), (60, "PT{}M")),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), (3600, "PT{}H")),
    **dict.fromkeys(("d", "day", "days"), (86_400, "P{}D")),
    **dict.fromkeys(("w", "wk", "week", "weeks"), (604_800, "P{}W")),
    **dict.fromkeys(("mo", "mon", "month", "months"), (2_678_400, "P{}M")),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), (31_622_400, "P{}Y")),
}
_ISO = re.compile(
    r"P(?=[\dT])(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)
_NAMES = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
_CHINESE = ("年", "个月", "周", "天", "小时", "分钟", "秒")
_SIZES = (31_622_400, 2_678_400, 604_800, 86_400, 3600, 60, 1)
_LONGEST = 100 * 31_622_400  # beyond a century it is a slip of the pen


def number_of(value: object) -> float | None:
    """Returns a number that may be written as text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,12}(\.\d{1,6})?", value):
        return float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def unit_seconds(unit: str | None) -> int | None:
    """Returns how many seconds a unit has; None for no unit that is known."""
    return _UNITS.get((unit or "").strip().lower(), (None, ""))[0]


def seconds_of(value: object, unit: str | None) -> int | None:
    """Returns a length in seconds, from 1 second to a century; None for none."""
    if isinstance(value, str) and (found := _ISO.fullmatch(value)):
        seconds: float = sum(int(n[:12]) * size for n, size in zip(found.groups(), _SIZES, strict=True) if n)
    else:
        size, number = unit_seconds(unit), number_of(value)
        seconds = number * size if number is not None and size else 0
    return int(seconds) if 1 <= seconds <= _LONGEST else None


def later(moment: datetime, duration: str) -> datetime:
    """Returns the instant that is an ISO 8601 duration after another; a month after 31 January is the end of February.

    Raises:
        OverflowError: it is beyond the calendar.
    """
    try:
        return moment + _step(duration)
    except ValueError:
        raise OverflowError(duration) from None


def earlier(moment: datetime, duration: str) -> datetime:
    """Returns the instant that is an ISO 8601 duration before another; raises as `later` does."""
    try:
        return moment - _step(duration)
    except ValueError:
        raise OverflowError(duration) from None


def spoken(duration: str, speech: Speech = ENGLISH) -> str:
    """Returns an ISO 8601 duration in words; what is none stays as it is.

    >>> spoken("P1Y6M")
    '1 year, 6 months'
    """
    found = _ISO.fullmatch(duration)
    parts = zip(found.groups() if found else (), _NAMES, _CHINESE, strict=False)
    told = [
        speech.say(f"{number} {chinese}", f"{number} {name.removesuffix('s') if int(number) == 1 else name}")
        for number, name, chinese in parts
        if number
    ]
    return speech.say(" ", ", ").join(told) or duration


def _step(duration: str) -> relativedelta:
    found = _ISO.fullmatch(duration)
    numbers = [int(number or 0) for number in found.groups()] if found else []
    return relativedelta(**dict(zip(_NAMES, numbers, strict=True))) if numbers else relativedelta()  # type: ignore[arg-type] # whole numbers


def iso_of(value: object, unit: str | None) -> str | None:
    """Returns a length of whole units as an ISO 8601 duration; None for none, and for `m`, which may be a month too."""
    if seconds_of(value, unit) is None:
        return None
    if isinstance(value, str) and _ISO.fullmatch(value):
        return value
    number, word = number_of(value), (unit or "").strip().lower()
    return _UNITS[word][1].format(int(number)) if number == int(number or 0) and word != "m" and number else None
