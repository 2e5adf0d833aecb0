"""When something is due by its schedule."""

from datetime import UTC, datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from crossdock.contracts.schedules import due
from crossdock.identity import instant

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
EARLY, LATE = timedelta(seconds=-10), timedelta(seconds=10)
WEEKLY = "0 6 * * 1"
INSTANTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@pytest.mark.parametrize(
    ("schedule", "last", "expected"),
    [
        (None, None, False),
        (None, MONDAY - timedelta(days=900), False),
        (WEEKLY, None, True),
        (WEEKLY, MONDAY + LATE, False),
        (WEEKLY, MONDAY + EARLY, True),
        (WEEKLY, MONDAY - timedelta(days=7) + LATE, True),
        ("@daily", MONDAY - timedelta(hours=5), False),
        ("@daily", MONDAY - timedelta(hours=7), True),
    ],
)
def test_due_when_one_of_its_times_has_come_since(schedule, last, expected):
    assert due(schedule, instant(last) if last else None, MONDAY) is expected


@given(last=INSTANTS, now=INSTANTS, schedule=st.sampled_from([WEEKLY, "@daily", "*/15 * * * *", "@monthly"]))
def test_due_is_a_time_of_the_schedule_between_last_and_now(last, now, schedule):
    newest = croniter(schedule, now + timedelta(microseconds=1)).get_prev(datetime)
    assert due(schedule, instant(last), now) is (newest > last)
