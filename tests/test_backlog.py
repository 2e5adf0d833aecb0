"""The backlog: who is owed what, since when, and what fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from crossdock import pipeline
from crossdock.backlog import backlog
from crossdock.errors import ConsumerRefused
from hamlet import found, permits

TAX, SCHOOL = "town_hall/permits/tax", "town_hall/permits/school"


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path)
    exchange = made.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    return made


def owed(exchange):
    return {each.agreement: each for each in backlog(exchange)}


def pulled(hamlet, exchange, **changed):
    hamlet.write_permits(permits(**changed))
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)


def test_who_has_the_newest_is_owed_nothing(hamlet):
    exchange = hamlet.open()
    assert {(each.agreement, each.state, each.snapshots) for each in backlog(exchange)} == {
        (TAX, "due", 1), (SCHOOL, "due", 1),
    }  # fmt: skip
    pipeline.push(exchange, TAX)
    assert owed(exchange).keys() == {SCHOOL}


def test_the_age_is_that_of_the_first_snapshot_that_did_not_go(hamlet):
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    for name in ("One", "Two"):
        pulled(hamlet, exchange, P0002=["P0002", name, "5.00", ""])
    tomorrow = replace(exchange, clock=lambda: datetime.now(UTC) + timedelta(days=1))
    found = owed(tomorrow)
    assert found[TAX].snapshots == 2
    assert found[SCHOOL].snapshots == 3
    assert 86_400 < found[TAX].age_seconds < found[SCHOOL].age_seconds
    assert backlog(tomorrow)[0].agreement == SCHOOL


def test_what_was_tried_and_did_not_arrive_fails(hamlet):
    hamlet.tax.write_bytes(b"this is no database, and never was one" * 100)
    exchange = hamlet.open()
    with pytest.raises(ConsumerRefused):
        pipeline.push(exchange, TAX)
    assert owed(exchange)[TAX].state == "failing"
    assert owed(exchange)[TAX].tried_at
    hamlet.tax.unlink()
    pipeline.push(exchange, TAX)
    assert TAX not in owed(exchange)


@pytest.mark.parametrize(("frequency", "state"), [("0 0 1 1 *", "waiting"), ("once", None)])
def test_a_frequency_lets_it_wait(hamlet, frequency, state):
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["frequency"] = frequency
    file.write_text(yaml.safe_dump(document))
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    found = owed(exchange).get(TAX)
    assert (found and found.state) == state


def test_what_is_not_allowed_is_not_owed(hamlet):
    file = hamlet.agreement("permits", "tax")
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"status": "suspended"}))
    assert owed(hamlet.open()).keys() == {SCHOOL}
