"""What is kept of deliveries goes when it is of no use, and when its agreed life has passed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from crossdock import pipeline, recalls
from crossdock.errors import WrongUse
from crossdock.exchange import open_exchange
from crossdock.retention import expire
from crossdock.storage.records import deliveries, delivery_by_id, supersede_delivery, unfinished_deliveries
from hamlet import found, permits, school_files, tax_rows
from killing import KILLED, code, until

TAX, SCHOOL = "town_hall/permits/tax", "town_hall/permits/school"


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path)
    agree(made, dataLife="P1M")
    exchange = made.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    return made


def agree(hamlet, **terms):
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"] |= terms
    file.write_text(yaml.safe_dump(document))


def pulled(hamlet, exchange, **changed):
    hamlet.write_permits(permits(**changed))
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)


def is_kept(exchange, delivery):
    return exchange.store.exists(delivery_by_id(exchange.state, delivery).received_key)


def test_only_the_newest_is_kept(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    assert expire(exchange) == 0
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    second = pipeline.push(exchange, TAX).delivery
    assert [expire(exchange) for _ in range(2)] == [1, 0]
    assert [is_kept(exchange, each) for each in (first, second)] == [False, True]
    pulled(hamlet, exchange, P0002=["P0002", "A third", "5.00", ""])
    assert pipeline.push(exchange, TAX).counts["updated"] == 1
    assert pipeline.check(exchange).sound


def test_what_the_consumer_had_to_delete_is_brought_anew(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    later = replace(exchange, clock=lambda: datetime.now(UTC) + timedelta(days=32))
    assert expire(later) == 1
    assert not is_kept(exchange, first)
    with pytest.raises(WrongUse, match="life is over"):
        recalls.recall(exchange, first, reason="Late.", by="steward")
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    again = pipeline.push(later, TAX)
    assert again.counts["inserted"] == 88
    assert len(tax_rows(hamlet, "permits")) == 88
    assert pipeline.check(exchange).sound


def test_a_delivery_that_was_begun_goes_on_when_what_it_was_compared_with_is_forgotten(hamlet):
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    assert code(until("handover.prepared", _push, hamlet.home)) == KILLED
    later = replace(exchange, clock=lambda: datetime.now(UTC) + timedelta(days=32))
    assert expire(later) == 1
    assert pipeline.push(later, TAX).counts["inserted"] == 88
    assert len(tax_rows(hamlet, "permits")) == 88
    assert pipeline.push(later, TAX).status == "unchanged"
    assert pipeline.check(exchange).sound


def _push(home, agreement=TAX):
    pipeline.push(open_exchange(home), agreement)


def test_the_last_at_a_place_that_was_left_is_kept_while_it_can_be_recalled(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    second = pipeline.push(exchange, TAX).delivery
    table = {"channel": "database", "connection": "tax_database", "mode": "changes", "table": "elsewhere"}
    agree(hamlet, delivery=table)
    moved = pipeline.push(hamlet.open(), TAX).delivery
    assert [expire(hamlet.open()) for _ in range(2)] == [1, 0]
    assert [is_kept(exchange, each) for each in (first, second, moved)] == [False, True, True]
    back = recalls.recall(hamlet.open(), second, reason="By mistake.", by="steward").delivery
    assert expire(hamlet.open()) == 1
    assert [is_kept(exchange, each) for each in (second, back, moved)] == [False, True, True]
    later = replace(hamlet.open(), clock=lambda: datetime.now(UTC) + timedelta(days=32))
    assert expire(later) == 2


# what never arrived


def kept_of(exchange, delivery):
    """What our store holds of a delivery."""
    return [key for folder in ("ledger/events/", "outbox/") for key in exchange.store.list(folder) if delivery in key]


def a_month_on(hamlet):
    return replace(hamlet.open(), clock=lambda: datetime.now(UTC) + timedelta(days=31))


@pytest.fixture
def overtaken(hamlet):
    """The hamlet, and a delivery that was prepared when its process was killed, after which a newer one arrived."""
    agree(hamlet, dataLife="P1Y")
    assert code(until("handover.prepared", _push, hamlet.home)) == KILLED
    exchange = hamlet.open()
    (begun,) = unfinished_deliveries(exchange.state, TAX)
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    for _ in range(2):
        pipeline.push(exchange, TAX)  # the second pass sees that it can't arrive any more
    assert delivery_by_id(exchange.state, begun.id).status == "superseded"
    return hamlet, begun.id


def test_of_what_never_arrived_nothing_is_kept_after_a_month(overtaken):
    hamlet, begun = overtaken
    exchange = hamlet.open()
    assert (expire(exchange), len(kept_of(exchange, begun))) == (0, 3)
    rest = {d.id: kept_of(exchange, d.id) for d in deliveries(exchange.state) if d.id != begun}
    later = a_month_on(hamlet)
    assert [expire(later) for _ in range(2)] == [1, 0]
    assert (kept_of(later, begun), delivery_by_id(later.state, begun)) == ([], None)
    assert {each: kept_of(later, each) for each in rest} == rest
    assert pipeline.push(later, TAX).status == "unchanged"
    assert pipeline.check(later).sound


@pytest.mark.parametrize("away", [False, True])
def test_what_it_left_at_its_consumer_goes_too_when_that_can_be_reached(hamlet, away):
    assert code(until("delivery.folder.copied", _push, hamlet.home, SCHOOL)) == KILLED
    exchange = hamlet.open()
    (begun,) = unfinished_deliveries(exchange.state, SCHOOL)
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    for _ in range(2):
        pipeline.push(exchange, SCHOOL)
    shown = {name: content for name, content in school_files(hamlet).items() if begun.id not in name}
    left = list(hamlet.school.rglob(f".incoming/{begun.id}-*"))
    assert len(left) == 1
    if away:
        hamlet.school.rename(hamlet.school.with_name("unmounted"))
        assert (expire(a_month_on(hamlet)), len(kept_of(exchange, begun.id))) == (0, 4)
        hamlet.school.with_name("unmounted").rename(hamlet.school)
    assert expire(a_month_on(hamlet)) == 1
    assert (kept_of(exchange, begun.id), school_files(hamlet)) == ([], shown)


def test_killed_while_it_is_forgotten_it_is_forgotten_the_next_time(overtaken):
    hamlet, begun = overtaken
    assert code(until("retention.deleted", _expire, hamlet.home)) == KILLED
    later = a_month_on(hamlet)
    assert delivery_by_id(later.state, begun)
    assert (expire(later), expire(later)) == (1, 0)
    assert (kept_of(later, begun), delivery_by_id(later.state, begun)) == ([], None)
    assert pipeline.check(later).sound


def _expire(home):
    expire(replace(open_exchange(home), clock=lambda: datetime.now(UTC) + timedelta(days=31)))


def test_what_may_be_tried_again_under_the_same_name_is_kept(hamlet):
    """Nothing newer has arrived: the same records may be taken the next time."""
    exchange = hamlet.open()
    assert code(until("handover.prepared", _push, hamlet.home)) == KILLED
    (begun,) = unfinished_deliveries(exchange.state, TAX)
    supersede_delivery(exchange.state, begun)
    assert (expire(a_month_on(hamlet)), len(kept_of(exchange, begun.id))) == (0, 3)
    assert pipeline.push(hamlet.open(), TAX).delivery == begun.id
    assert pipeline.check(hamlet.open()).sound
