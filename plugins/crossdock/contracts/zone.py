"""The calendar that days are days of: China's, wherever a server stands and whatever zone it keeps.

An instant is told in UTC. A day that somebody wrote or reads (`today()`, the day of a request, the day before which the law
withholds) is one of the calendar on the wall of those who agreed on it.
"""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")


def day_at(moment: datetime) -> date:
    """Returns which day it is at an instant.

    >>> day_at(datetime.fromisoformat("2026-11-30T16:00:00+00:00")).isoformat()
    '2026-12-01'
    """
    return moment.astimezone(CHINA).date()


def beginning_of(day: date) -> datetime:
    """Returns the first instant of a day."""
    return datetime.combine(day, time(), CHINA)


def wall_clock(moment: datetime) -> str:
    """Returns day and time as a clock on the wall shows them at an instant, to the minute.

    >>> wall_clock(datetime.fromisoformat("2026-11-30T16:00:00+00:00"))
    '2026-12-01 00:00'
    """
    return f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M}"
