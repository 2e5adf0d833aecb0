"""Working days of China's calendar."""

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from crossdock.contracts.clocks import delivery_due, requested_on, review_due, working_day_after


@pytest.mark.parametrize(
    ("day", "many", "expected"),
    [
        (date(2026, 11, 20), 1, date(2026, 11, 23)),  # over a weekend
        (date(2026, 9, 30), 1, date(2026, 10, 8)),  # over the National Day's week
        (date(2026, 10, 9), 1, date(2026, 10, 10)),  # a Saturday that is worked in exchange
        (date(2026, 11, 23), 10, date(2026, 12, 7)),
        (date(2030, 1, 4), 1, date(2030, 1, 7)),  # not announced yet: ordinary weeks
        (date(2026, 11, 23), 0, date(2026, 11, 23)),
    ],
)
def test_so_many_working_days_after_a_day(day, many, expected):
    assert working_day_after(day, many) == expected


def test_a_request_without_a_day_is_of_the_day_in_china_on_which_the_agreement_begins():
    begins = SimpleNamespace(requested_on=None, start=datetime(2026, 11, 22, 16, tzinfo=UTC))
    assert requested_on(begins) == date(2026, 11, 23)


def test_a_request_is_due_at_the_end_of_its_last_day_in_china():
    asked = date(2026, 11, 23)
    assert review_due("unconditional", asked) == datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert review_due("conditional", asked) == datetime(2026, 12, 7, 16, tzinfo=UTC)
    assert delivery_due(asked) == datetime(2026, 12, 21, 16, tzinfo=UTC)
