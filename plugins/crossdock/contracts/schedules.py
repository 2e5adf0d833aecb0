"""When something is due: cron expressions of five fields and presets, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from croniter import CroniterError, croniter

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")


def is_schedule(text: str) -> bool:
    """True for a cron expression of five fields, of which there is a next time, or one of PRESETS."""
    if text in PRESETS:
        return True
    try:
        return len(text.split()) == 5 and croniter.is_valid(text) and bool(next_time(text, _SOME_DAY))
    except CroniterError:  # the 30th of February
        return False


def next_time(schedule: str, after: datetime) -> datetime:
    """Returns the first time of a schedule after an instant."""
    found: datetime = croniter(schedule, after).get_next(datetime)
    return found


def due(schedule: str | None, last: str | None, now: datetime) -> bool:
    """Returns whether something of this schedule, last done at that instant, is to be done again.

    Args:
        schedule: a cron expression or preset; without one it is done only when asked.
        last: ISO 8601 instant; None when it was never done.
        now: the instant of the question.
    """
    if schedule is None:
        return False
    return last is None or next_time(schedule, datetime.fromisoformat(last)) <= now
