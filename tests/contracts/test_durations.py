"""Lengths of time added to instants by the calendar."""

from datetime import UTC, datetime

import pytest

from crossdock.contracts.durations import later

LAST_OF_JANUARY = datetime(2024, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("P1M", datetime(2024, 2, 29, 8, tzinfo=UTC)),
        ("P1Y1M", datetime(2025, 2, 28, 8, tzinfo=UTC)),
        ("P2W", datetime(2024, 2, 14, 8, tzinfo=UTC)),
        ("P90D", datetime(2024, 4, 30, 8, tzinfo=UTC)),
        ("PT36H", datetime(2024, 2, 1, 20, tzinfo=UTC)),
    ],
)
def test_later_by_the_calendar(duration, expected):
    assert later(LAST_OF_JANUARY, duration) == expected


@pytest.mark.parametrize("duration", ["P9999Y", "P99999999999W"])
def test_beyond_the_calendar(duration):
    with pytest.raises(OverflowError):
        later(LAST_OF_JANUARY, duration)
