"""When things are due: datasets and agreements of many frequencies share one DAG, which runs at each of their times."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from croniter import croniter

from crossdock.contracts.model import ON_CHANGE


def kind_of_run(context: Any) -> str:
    """Returns how a task's DAG run came about: manual, scheduled, asset_triggered or backfill."""
    return str(context["dag_run"].run_type).rpartition(".")[2].lower()


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


def leaves(frequency: str, *, run: str, last: str | None, now: datetime) -> bool:
    """Returns whether an agreement of this frequency is served in a run of this kind.

    By hand everything is. What goes on change goes in every run. What has times of its own never goes because of a
    change, and at most once for each of its times; a time at which nothing had changed is made up for at the DAG's next.
    """
    if frequency == ON_CHANGE or run == "manual":
        return True
    return run != "asset_triggered" and due(frequency, last, now)
