"""When datasets are due and agreements are served, by what started the run."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import SimpleNamespace

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from crossdock.airflow.schedules import ON_CHANGE, due, kind_of_run, leaves
from crossdock.identity import instant

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
EARLY, LATE = timedelta(seconds=-10), timedelta(seconds=10)
WEEKLY = "0 6 * * 1"
KINDS = ["manual", "scheduled", "asset_triggered"]
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last", [None, instant(MONDAY)])
def test_what_goes_on_change_goes_in_every_run(kind, last):
    assert leaves(ON_CHANGE, run=kind, last=last, now=MONDAY)


@pytest.mark.parametrize(
    ("kind", "last", "expected"),
    [
        ("manual", MONDAY + LATE, True),
        ("scheduled", MONDAY + LATE, False),
        ("scheduled", MONDAY + EARLY, True),
        ("scheduled", None, True),
        ("asset_triggered", MONDAY + EARLY, False),
        ("asset_triggered", None, False),
    ],
)
def test_what_has_its_own_times_goes_at_those_or_by_hand(kind, last, expected):
    assert leaves(WEEKLY, run=kind, last=instant(last) if last else None, now=MONDAY) is expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_run_is_read_as_text_and_as_airflows_enumeration(kind):
    kinds = StrEnum("DagRunType", {name.upper(): name for name in KINDS})
    for run_type in (kind, kinds(kind)):
        assert kind_of_run({"dag_run": SimpleNamespace(run_type=run_type)}) == kind
