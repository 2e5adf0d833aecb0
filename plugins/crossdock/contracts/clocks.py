"""How long authorities have to answer a request for data, in working days of China's calendar."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from chinese_calendar import is_workday

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.model import Sharing
from crossdock.contracts.zone import beginning_of, day_at

# Working days after the day of the request: of data that is shared unconditionally the answer is a formality.
REVIEW: Mapping[Sharing, int] = {"unconditional": 1, "conditional": 10, "none": 10}
DELIVERY = 20  # working days after the day of the request until the first delivery
_SATURDAY = 5


def review_due(sharing: Sharing, requested: date) -> datetime:
    """Returns the instant by which a request for data of a sharing class must have been answered."""
    return _end_of(working_day_after(requested, REVIEW[sharing]))


def delivery_due(requested: date) -> datetime:
    """Returns the instant by which what was requested must have been delivered."""
    return _end_of(working_day_after(requested, DELIVERY))


def requested_on(agreement: Agreement) -> date:
    """Returns the day of a request; where none is stated, the day on which the agreement is to begin."""
    return agreement.requested_on or day_at(agreement.start)


def working_day_after(day: date, many: int) -> date:
    """Returns the day that is so many working days after another, which itself does not count.

    Holidays and the weekends worked in exchange are those that the State Council has announced; years it has not yet
    announced have ordinary weeks.
    """
    while many:
        day += timedelta(days=1)
        many -= _is_workday(day)
    return day


def _is_workday(day: date) -> bool:
    try:
        return bool(is_workday(day))
    except NotImplementedError:  # the calendar does not know the year yet
        return day.weekday() < _SATURDAY


def _end_of(day: date) -> datetime:
    return beginning_of(day + timedelta(days=1))
