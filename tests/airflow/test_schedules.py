"""Which agreements a run asks for, by what started it."""

from enum import StrEnum
from types import SimpleNamespace

import pytest

from crossdock.airflow.schedules import is_asked, kind_of_run
from crossdock.contracts.agreement import AT_CHANGES

KINDS = ["manual", "scheduled", "asset_triggered"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frequency", sorted(AT_CHANGES))
def test_what_goes_when_something_changed_is_asked_for_in_every_run(kind, frequency):
    assert is_asked(frequency, run=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_its_own_times_is_not_asked_for_by_a_change(kind):
    assert is_asked("0 6 * * 1", run=kind) is (kind != "asset_triggered")


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_run_is_read_as_text_and_as_airflows_enumeration(kind):
    kinds = StrEnum("DagRunType", {name.upper(): name for name in KINDS})
    for run_type in (kind, kinds(kind)):
        assert kind_of_run({"dag_run": SimpleNamespace(run_type=run_type)}) == kind
