"""When things are due: many datasets of many frequencies share one DAG, which runs at the finest of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from croniter import croniter

_BASE = datetime(2024, 1, 1, tzinfo=UTC)


def finest(schedules: Iterable[str | None]) -> str | None:
    """Returns the cron expression or preset that fires most often, None when there is none."""
    stated = [schedule for schedule in schedules if schedule]
    return min(stated, key=_interval, default=None)


def _interval(schedule: str) -> float:
    times = croniter(schedule, _BASE)
    first = times.get_next(float)
    return float(times.get_next(float)) - float(first)


def due(schedule: str | None, last: str | None, now: datetime) -> bool:
    """Returns whether something of this schedule, last done at that instant, is to be done again.

    Args:
        schedule: a cron expression or preset; without one it is done only when asked.
        last: ISO 8601 instant; None when it was never done.
        now: the instant of the question.
    """
    if schedule is None:
        return False
    if last is None:
        return True
    return bool(croniter(schedule, datetime.fromisoformat(last)).get_next(datetime) <= now)
