"""Requests: in force once approved as worded, by deadlines, and the answer is on record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from crossdock import pipeline
from crossdock.errors import WrongUse
from crossdock.explanation import explain
from crossdock.reviews import answer, demand_wording, request, requests
from crossdock.storage.records import refusals
from hamlet import found

TAX = "town_hall/permits/tax"


def ask(hamlet, *, on="2026-11-23", **header):
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text()) | {"status": "requested"} | header
    document["customProperties"][0]["value"]["requestedOn"] = on
    file.write_text(yaml.safe_dump(document))


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path)
    ask(made)
    exchange = made.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    return made


def said(exchange, *, approved=True, reason="Fine."):
    return answer(exchange, TAX, approved=approved, reason=reason, by="provider")


def test_nothing_leaves_before_it_was_reviewed(hamlet):
    exchange = hamlet.open()
    outcome = pipeline.push(exchange, TAX)
    assert outcome.status == "refused"
    assert outcome.reason == "It was requested, and has to be reviewed by 2026-11-25 00:00, Beijing time."
    assert len(refusals(exchange.state)) == 1
    assert not explain(exchange, TAX).allowed


def test_what_was_approved_leaves(hamlet):
    exchange = hamlet.open()
    assert said(exchange).review.reviewed_by == "provider"
    assert pipeline.push(exchange, TAX).status == "delivered"
    assert said(exchange, reason="Again.").review.reason == "Fine."


def test_the_answer_is_for_the_wording(hamlet):
    exchange = hamlet.open()
    said(exchange)
    ask(hamlet, version="1.1.0")
    assert pipeline.push(hamlet.open(), TAX).status == "refused"
    said(hamlet.open())
    assert pipeline.push(hamlet.open(), TAX).status == "delivered"


def test_what_was_rejected_does_not_leave_and_is_told_why(hamlet):
    exchange = hamlet.open()
    with pytest.raises(WrongUse, match="needs a reason"):
        said(exchange, approved=False, reason=" ")
    said(exchange, approved=False, reason="No legal basis.")
    assert pipeline.push(exchange, TAX).reason == "The request was rejected: No legal basis."
    with pytest.raises(WrongUse, match="It was rejected by provider already"):
        said(exchange)


def test_an_approval_is_bound_by_the_agreement_all_the_same(hamlet):
    ask(hamlet, endTimestamp="2026-02-01T00:00:00+08:00")
    exchange = hamlet.open()
    said(exchange)
    assert "expired" in pipeline.push(exchange, TAX).reason


def test_only_a_request_is_answered(hamlet):
    with pytest.raises(WrongUse, match="Its status is 'approved'"):
        answer(hamlet.open(), "town_hall/permits/school", approved=True, reason="", by="x")


def test_requests_have_deadlines(hamlet):
    exchange = hamlet.open()
    (asked,) = requests(exchange)
    assert (asked.agreement, asked.requested_on) == (TAX, "2026-11-23")
    assert asked.due_at.startswith("2026-11-24T16:00")
    assert asked.deliver_by.startswith("2026-12-21T16:00")
    late = replace(exchange, clock=lambda: datetime(2026, 12, 8, tzinfo=UTC))
    assert [each.overdue for each in requests(late)] == [True]
    said(late)
    assert [each.overdue for each in requests(late)] == [False]


def test_an_answer_is_for_the_wording_that_was_shown(hamlet):
    shown = hamlet.open().agreement(TAX).digest
    ask(hamlet, version="1.1.0")
    exchange = hamlet.open()
    with pytest.raises(WrongUse, match="worded otherwise now"):
        demand_wording(exchange, TAX, shown)
    demand_wording(exchange, TAX, exchange.agreement(TAX).digest)


def test_what_was_approved_and_not_delivered_in_time_is_late_too(hamlet):
    exchange = replace(hamlet.open(), clock=lambda: datetime(2026, 12, 22, tzinfo=UTC))
    said(exchange)
    assert request(exchange, TAX).overdue
    pipeline.push(exchange, TAX)
    asked = request(exchange, TAX)
    assert (asked.overdue, asked.delivered_at[:10]) == (False, "2026-12-22")
    assert request(exchange, "town_hall/permits/school") is None


def test_what_was_rejected_is_never_late(hamlet):
    exchange = replace(hamlet.open(), clock=lambda: datetime(2027, 12, 22, tzinfo=UTC))
    said(exchange, approved=False, reason="No legal basis.")
    assert not request(exchange, TAX).overdue


def test_of_two_who_answer_at_once_one_is_heard_and_the_other_is_told(hamlet):
    exchanges = [hamlet.open() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(answer, exchange, TAX, approved=bool(n % 2), reason=f"Reason {n}.", by=f"provider {n}")
            for n, exchange in enumerate(exchanges)
        ]
    stands = request(hamlet.open(), TAX).review
    for n, given in enumerate(answers):
        if bool(n % 2) is stands.approved:
            assert given.result().review == stands
        else:
            with pytest.raises(WrongUse, match=f"by {stands.reviewed_by} already"):
                given.result()
