"""The backlog: who is owed what, since when, and what fails."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from crossdock import pipeline
from crossdock.backlog import backlog, give_up
from crossdock.cli import app
from crossdock.errors import ConsumerRefused, WrongUse
from crossdock.exchange import open_exchange
from crossdock.ledger.counts import count
from crossdock.retention import expire
from crossdock.storage.given_up import given_up_by_id
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


def later(exchange, **by):
    return replace(exchange, clock=lambda: datetime.now(UTC) + timedelta(**by))


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
    tomorrow = later(exchange, days=1)
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


def overtaken(hamlet):
    """The tax department may have got it, and gets the next one at its new database."""
    lost, exchange = killed_before_it_was_booked(hamlet), hamlet.open()
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    assert pipeline.push(exchange, TAX).status == "delivered"
    return lost, exchange


def test_what_may_have_arrived_where_the_connection_led_before_is_named_until_it_is_found(hamlet):
    lost, exchange = overtaken(hamlet)
    pulled(hamlet, exchange, P0002=["P0002", "A third", "5.00", ""])
    assert pipeline.push(exchange, TAX).status == "delivered"  # nothing waits for what is lost
    named = owed(exchange)[TAX]
    assert (named.state, named.maybe_at, named.since) == ("astray", str(hamlet.tax), lost.intended_at)
    hamlet.add_connection("tax_database", {"conn_type": "sqlite", "host": str(hamlet.tax)})
    pipeline.push(hamlet.open(), TAX)
    assert delivery_by_id(exchange.state, lost.id).status == "delivered"
    assert TAX not in owed(hamlet.open())
    assert pipeline.check(hamlet.open()).sound


def test_what_is_astray_is_owed_until_somebody_gives_it_up(hamlet):
    lost, exchange = overtaken(hamlet)
    assert owed(exchange)[TAX].delivery == lost.id
    told = give_up(exchange, lost.id, reason="The server was scrapped.", by="Li")
    assert (told.maybe_at, told.given_up_by) == (str(hamlet.tax), "Li")
    assert TAX not in owed(exchange)
    assert give_up(later(exchange, days=1), lost.id, reason="Again.", by="Wang") == told
    shares = count(exchange.state, exchange.store, by=()).shares
    hamlet.add_connection("tax_database", {"conn_type": "sqlite", "host": str(hamlet.tax)})  # it was there all the time
    pipeline.push(hamlet.open(), TAX)
    assert delivery_by_id(exchange.state, lost.id).status == "delivered"
    assert count(exchange.state, exchange.store, by=()).shares == shares + 88
    assert pipeline.check(hamlet.open()).sound


def test_what_was_given_up_and_never_arrived_is_forgotten_like_others(hamlet):
    lost, exchange = overtaken(hamlet)
    give_up(exchange, lost.id, reason="The server was scrapped.", by="Li")
    hamlet.tax.unlink()  # its address is in use again, by a new and empty one
    hamlet.add_connection("tax_database", {"conn_type": "sqlite", "host": str(hamlet.tax)})
    pipeline.push(hamlet.open(), TAX)
    assert delivery_by_id(exchange.state, lost.id).status == "superseded"
    assert expire(later(hamlet.open(), days=40)) >= 1
    assert delivery_by_id(exchange.state, lost.id) is None
    assert given_up_by_id(exchange.state, lost.id) is None


def test_giving_up_on_the_command_line(hamlet, monkeypatch):
    monkeypatch.setenv("CROSSDOCK_HOME", str(hamlet.home))
    lost = killed_before_it_was_booked(hamlet)

    def crossdock(*words):
        return CliRunner().invoke(app, ["deliveries", *words])

    named = next(each for each in json.loads(crossdock("backlog", "--json").stdout)["backlog"] if each["delivery"])
    assert (named["delivery"], named["state"]) == (lost.id, "astray")
    told = json.loads(crossdock("give-up", lost.id, "--reason", "Scrapped.", "--by", "Li", "--json").stdout)["given_up"]
    assert (told["id"], told["maybe_at"], told["reason"]) == (lost.id, str(hamlet.tax), "Scrapped.")
    assert "given up by Li" in crossdock("give-up", lost.id, "--reason", "Again.").stdout
    assert "given up by Li" in crossdock("show", lost.id).stdout
    assert json.loads(crossdock("show", lost.id, "--json").stdout)["given_up"] == told
    assert not [each for each in json.loads(crossdock("backlog", "--json").stdout)["backlog"] if each["delivery"]]
    assert crossdock("give-up", "nothing", "--reason", "x").exit_code == 2


def test_only_what_is_astray_is_given_up_and_with_a_reason(hamlet):
    exchange = hamlet.open()
    arrived = pipeline.push(exchange, TAX).delivery
    with pytest.raises(WrongUse, match="not astray"):
        give_up(exchange, arrived, reason="Why not.", by="Li")
    with pytest.raises(WrongUse, match="no delivery 'x'"):
        give_up(exchange, "x", reason="Why not.", by="Li")
    with pytest.raises(WrongUse, match="needs a reason"):
        give_up(exchange, arrived, reason=" ", by="Li")


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
