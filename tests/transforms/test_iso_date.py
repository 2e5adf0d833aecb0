from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from authored import transformed

WAYS = (
    lambda d: f"{d.year:04}年{d.month}月{d.day}日",
    lambda d: f"{d.year:04}年{d.month:02}月{d.day:02}日",
    lambda d: f"{d.year:04}/{d.month}/{d.day}",
    lambda d: f"{d.year:04}.{d.month:02}.{d.day:02}",
    lambda d: f"{d.year:04}{d.month:02}{d.day:02}",
    lambda d: f" {d.isoformat()} ",
)


@given(st.lists(st.dates(min_value=date(1000, 1, 1)), min_size=1), st.sampled_from(WAYS))
def test_every_way_to_write_a_date_becomes_iso_8601(days, way):
    assert transformed("iso_date", [*map(way, days), None]) == [*(day.isoformat() for day in days), None]


def test_what_is_no_date_stays_for_the_contract_to_judge():
    values = ["不详", "", "2024", "2024-13-45T00:00", "20240", "05/01/2024", None]
    assert transformed("iso_date", values) == values


def test_a_day_that_the_calendar_lacks_is_rewritten_but_not_moved():
    assert transformed("iso_date", ["2023年2月30日", "20231301"]) == ["2023-02-30", "2023-13-01"]
