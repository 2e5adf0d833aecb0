"""What needs somebody: what is late, what fails, what ends; on a hamlet whose clock is turned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import yaml

from crossdock.identity import instant, now
from crossdock.ledger.counts import count
from crossdock.storage.records import deliveries, intend_delivery
from crossdock.storage.usage import Use, record_uses
from crossdock.web.dashboard import View, dashboard, this_year
from hamlet import RESIDENT_FAULTS, found, write_yaml

DAILY = [{"property": "frequency", "value": 1, "unit": "d"}]


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path / "hamlet")
    for dataset in ("residents", "permits"):
        path = made.contract(dataset)
        write_yaml(path, yaml.safe_load(path.read_text("utf-8")) | {"slaProperties": DAILY})
    return made


def look(exchange, party=None, later=timedelta()):
    exchange = replace(exchange, clock=lambda: now() + later)
    return dashboard(View(exchange=exchange, party=party, period=this_year(now())))


def numbers(shown):
    return {english: number for _, english, number in shown["counters"]}


def test_counters_are_those_of_the_ledger(hamlet):
    hamlet.sweep()
    exchange = hamlet.open()
    counted = count(exchange.state, exchange.store, by=("consumer",))
    all_of_it = numbers(look(exchange))
    assert (all_of_it["shares"], all_of_it["deliveries"]) == (counted.shares, counted.deliveries)
    assert (all_of_it["departments"], all_of_it["datasets"], all_of_it["interfaces (agreements in force)"]) == (4, 3, 5)
    assert (all_of_it["downloads"], all_of_it["visits"], all_of_it["users of open data"]) == (0, 0, 0)
    tax = next(group["shares"] for group in counted.groups if group["consumer"] == "tax")
    assert numbers(look(exchange, "tax"))["shares received"] == tax
    assert numbers(look(exchange, "town_hall"))["shares provided"] == counted.shares
    assert sum(flow.shares for flow in look(exchange)["flows"]["shown"]) == counted.shares


def test_downloads_are_those_of_the_period_and_the_department(hamlet):
    exchange = hamlet.open()
    year = f"{now():%Y}"
    record_uses(exchange.state, [
        Use(id=f"{n:032}", day=day, department="town_hall", dataset="town_hall/streets", kind=kind, user=user)
        for n, (day, kind, user) in enumerate([
            (f"{year}-01-01", "download", "a"), (f"{year}-12-31", "download", "a"), (f"{year}-06-01", "visit", "b"),
            (f"{int(year) - 1}-12-31", "download", "c"),
        ])
    ])  # fmt: skip
    for party, expected in ((None, (2, 1, 2)), ("town_hall", (2, 1, 2)), ("tax", (0, 0, 0))):
        found = numbers(look(exchange, party))
        assert (found["downloads"], found["visits"], found["users of open data"]) == expected


def test_a_dataset_is_late_once_its_time_has_passed_without_a_pull(hamlet):
    assert {row.dataset for row, *_ in look(hamlet.open())["late"]["rows"]} == {
        "town_hall/residents",
        "town_hall/permits",
    }
    hamlet.sweep()
    assert look(hamlet.open())["late"]["rows"] == []
    late = look(hamlet.open(), later=timedelta(days=1, hours=2))["late"]
    assert (late["count"], {schedule for _, schedule, _ in late["rows"]}) == (2, {"@daily"})
    assert look(hamlet.open(), "tax", timedelta(days=3))["late"]["count"] == 0


def test_a_delivery_that_does_not_arrive_and_a_refusal_are_failing(hamlet):
    hamlet.sweep()
    exchange = hamlet.open()
    one = deliveries(exchange.state)[0]
    begun = replace(
        one, id="begun", status="intended", intended_at=instant(now()), delivered_at=None, counts=None, receipt=None
    )
    intend_delivery(exchange.state, begun)
    failing = look(exchange)["failing"]
    assert failing["unfinished"] == []  # it has only begun
    assert [each.agreement for each in failing["refused"]] == ["town_hall/residents/court"]
    later = look(exchange, later=timedelta(hours=1))["failing"]
    assert [each.id for each in later["unfinished"]] == ["begun"]
    assert look(exchange, "school", timedelta(hours=1))["failing"]["refused"] == []


def test_agreements_that_end_are_shown_before_they_do(hamlet):
    path = hamlet.agreement("permits", "tax")
    ends = {"endTimestamp": instant(now() + timedelta(days=80))}
    write_yaml(path, yaml.safe_load(path.read_text("utf-8")) | ends)
    shown = look(hamlet.open())["expiring"]
    assert [(each.id, ended) for each, ended in shown["rows"]] == [
        ("town_hall/residents/court", True),
        ("town_hall/permits/tax", False),
    ]
    assert look(hamlet.open(), "school")["expiring"]["count"] == 0


def test_quality_is_what_the_newest_verdicts_say(hamlet):
    hamlet.sweep()
    quality = look(hamlet.open())["quality"]
    assert quality["rows"] - quality["accepted"] == len(RESIDENT_FAULTS) + 2
    assert sum(rows for _, rows in quality["reasons"]) >= len(RESIDENT_FAULTS) + 2
    assert quality["ages"][0][1] == 3
    aged = look(hamlet.open(), later=timedelta(days=8))["quality"]
    assert [number for _, number in aged["ages"]] == [0, 0, 3, 0, 0]
    assert look(hamlet.open(), "tax")["quality"]["rate"] is None
