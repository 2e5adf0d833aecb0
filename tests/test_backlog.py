"""The backlog: who is owed what, since when, and what fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from crossdock import pipeline
from crossdock.backlog import backlog
from crossdock.errors import ConsumerRefused
from crossdock.exchange import open_exchange
from crossdock.storage.records import delivery_by_id, unfinished_deliveries
from hamlet import found, permits, tax_rows
from killing import KILLED, code, until

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


def push_tax(home):
    pipeline.push(open_exchange(Path(home)), TAX)


def killed_before_it_was_booked(hamlet):
    """The tax department got it, and then its connection leads to another database."""
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["delivery"]["mode"] = "full"
    file.write_text(yaml.safe_dump(document))
    assert code(until("handover.sent", push_tax, str(hamlet.home))) == KILLED
    assert len(tax_rows(hamlet, "permits")) == 88
    hamlet.add_connection("tax_database", {"conn_type": "sqlite", "host": str(hamlet.tax.with_name("other.db"))})
    (lost,) = unfinished_deliveries(hamlet.open().state, TAX)
    return lost


def test_what_may_have_arrived_where_the_connection_led_before_is_named_until_it_is_found(hamlet):
    lost = killed_before_it_was_booked(hamlet)
    exchange = hamlet.open()
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    assert pipeline.push(exchange, TAX).status == "delivered"
    pulled(hamlet, exchange, P0002=["P0002", "A third", "5.00", ""])
    assert pipeline.push(exchange, TAX).status == "delivered"  # nothing waits for what is lost
    named = owed(exchange)[TAX]
    assert (named.state, named.maybe_at, named.since) == ("astray", str(hamlet.tax), lost.intended_at)
    hamlet.add_connection("tax_database", {"conn_type": "sqlite", "host": str(hamlet.tax)})
    pipeline.push(hamlet.open(), TAX)
    assert delivery_by_id(exchange.state, lost.id).status == "delivered"
    assert TAX not in owed(hamlet.open())
    assert pipeline.check(hamlet.open()).sound


def test_what_is_sent_anew_elsewhere_tells_where_else_it_may_be(hamlet):
    lost = killed_before_it_was_booked(hamlet)
    exchange = hamlet.open()
    assert pipeline.push(exchange, TAX).delivery == lost.id
    receipt = delivery_by_id(exchange.state, lost.id).receipt
    assert (receipt["address"], receipt["maybe_at"]) == (str(hamlet.tax.with_name("other.db")), str(hamlet.tax))
    assert TAX not in owed(exchange)
    assert pipeline.check(exchange).sound


def test_where_it_was_refused_it_has_not_arrived(hamlet):
    hamlet.tax.write_bytes(b"this is no database, and never was one" * 100)
    with pytest.raises(ConsumerRefused):
        pipeline.push(hamlet.open(), TAX)
    other = str(hamlet.tax.with_name("other.db"))
    hamlet.add_connection("tax_database", {"conn_type": "sqlite", "host": other})
    made = pipeline.push(hamlet.open(), TAX).delivery
    receipt = delivery_by_id(hamlet.open().state, made).receipt
    assert (receipt["address"], "maybe_at" in receipt) == (other, False)


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
