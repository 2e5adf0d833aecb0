"""Share statistics are a dataset like any other: pulled from the ledger, judged, published; small counts suppressed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import yaml

from crossdock import pipeline
from crossdock.errors import WrongUse
from crossdock.ledger.counts import count
from crossdock.lint import lint
from crossdock.publishing.disclosure import rounded
from crossdock.storage.records import latest_snapshot
from hamlet import agreement, column, contract, found, open_rows, write_yaml

SHARES = "town_hall/shares"
COLUMNS = ["day", "department", "dataset", "theme", "sharing", "consumer", "shares", "deliveries", "suppressed"]


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path)
    assert not made.sweep().failures
    return made


def add(hamlet, **source):
    kinds = {"day": "date", "shares": "integer", "deliveries": "integer", "suppressed": "boolean"}
    properties = [column(name, kinds.get(name, "string")) for name in COLUMNS]
    for position, name in enumerate(("day", "dataset", "consumer"), 1):
        properties[COLUMNS.index(name)] |= {"required": True, "primaryKey": True, "primaryKeyPosition": position}
    document = contract("shares", properties, source={"kind": "ledger", **source})
    write_yaml(hamlet.home / "contracts" / SHARES / "contract.odcs.yaml", document)
    write_yaml(hamlet.agreement("shares", "public"), agreement("shares", "public", COLUMNS, licence="CC0-1.0"))


def after(exchange, days=3):
    now = exchange.clock()
    return replace(exchange, clock=lambda: now + timedelta(days=days))


def pull(exchange):
    verdict = pipeline.validate(exchange, pipeline.pull(exchange, SHARES).id)
    assert verdict.outcome == "accepted", verdict.findings
    file = exchange.dataset(latest_snapshot(exchange.state, SHARES).key)
    return {(row["dataset"], row["consumer"]): row for row in file.to_table(columns=COLUMNS).to_pylist()}


def test_every_share_is_in_the_statistics_or_too_few_to_be_told(hamlet):
    add(hamlet, smallest=10)
    exchange = after(hamlet.open())
    rows = pull(exchange)
    counted = count(exchange.state, exchange.store, by=("dataset", "consumer", "day", "theme", "sharing"))
    assert len(rows) == len(counted.groups)
    assert {row["suppressed"] for row in rows.values()} == {True, False}
    for group in counted.groups:
        row = rows[group["dataset"], group["consumer"]]
        assert row["suppressed"] or not 0 < group["shares"] < 10
        assert row["shares"] == (None if row["suppressed"] else rounded(group["shares"], 10))
        assert row["deliveries"] == group["deliveries"]
        assert str(row["day"]) == group["day"]
        assert (row["theme"], row["sharing"]) == (group["theme"], group["sharing"])
        assert row["department"] == "town_hall"


def test_they_are_published(hamlet):
    add(hamlet)
    exchange = after(hamlet.open())
    rows = pull(exchange)
    outcome = pipeline.publish(exchange, f"{SHARES}/public")
    assert outcome.status == "delivered"
    published = open_rows(exchange, SHARES)
    assert len(published) == len(rows)
    assert not [row for row in published if row["shares"] and 0 < row["shares"] < 10]


@pytest.mark.parametrize(("days", "rows"), [(0, False), (1, False), (2, True)])
def test_a_day_is_told_when_it_ended_a_day_ago(hamlet, days, rows):
    add(hamlet)
    assert bool(pull(after(hamlet.open(), days))) == rows


def test_the_smallest_count_that_is_told_is_the_contracts(hamlet):
    add(hamlet, smallest=1)
    assert not any(row["suppressed"] for row in pull(after(hamlet.open())).values())
    add(hamlet, smallest=1_000_000)
    assert not any(row["shares"] for row in pull(after(hamlet.open())).values())


def test_what_is_withheld_is_in_no_row_before_its_day(hamlet):
    file = hamlet.agreement("residents", "school")
    document = yaml.safe_load(file.read_text())
    until = (hamlet.open().clock() + timedelta(days=30)).date().isoformat()
    document["customProperties"][0]["value"]["withheld"] = {"legalBasis": "刑事诉讼法", "until": until}
    write_yaml(file, document)
    add(hamlet)
    withheld = ("town_hall/residents", "school")
    told = pull(after(hamlet.open()))
    assert withheld not in told
    assert told
    assert withheld in pull(after(hamlet.open(), 40))


def test_a_watermark_brings_the_days_after_the_last_that_is_held(hamlet):
    add(hamlet, watermark="day")
    exchange = hamlet.open()
    rows = pull(after(exchange))
    again = pipeline.pull(after(exchange, 5), SHARES)
    assert again.rows == 0
    assert again.incremental
    assert len(pull(after(exchange, 5))) == len(rows)


@pytest.mark.parametrize("smallest", [0, -1, "ten", True, 1.5, 10_000_000])
def test_no_other_threshold_is_taken(hamlet, smallest):
    add(hamlet, smallest=smallest)
    exchange = hamlet.open()
    problems = lint(hamlet.home / "contracts", transforms=hamlet.home / "transforms").problems
    assert [p.path.rpartition(".")[2] for p in problems] == ["smallest"]
    with pytest.raises(WrongUse, match="smallest count"):
        pipeline.pull(exchange, SHARES)


def test_an_option_that_it_does_not_have_is_named(hamlet):
    add(hamlet, table="ledger_entry")
    with pytest.raises(WrongUse, match="'table'"):
        pipeline.pull(hamlet.open(), SHARES)
