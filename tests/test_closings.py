"""What was told of a day is never told otherwise: over any history of deliveries, withholding, wrong clocks and pulls."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.closings import CLOSED, closed
from crossdock.errors import LedgerBroken
from crossdock.exchange import open_exchange
from crossdock.statistics import _rows

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATASETS, CONSUMERS = ("a/x", "a/y", "b/z"), ("tax", "school", "public")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An exchange without anything, whose ledger takes entries of which nothing was ever delivered."""
    home = tmp_path_factory.mktemp("closings")
    (home / "contracts").mkdir()
    (home / "transforms").mkdir()
    return open_exchange(home)


def write(exchange, statement, *rows):
    """Writes to the state past its keys to other tables."""
    with closing(sqlite3.connect(exchange.home / "var" / "state.db")) as state, state:
        state.executemany(statement, rows)


@dataclass
class History:
    """An exchange from its first day on: what is booked, what is withheld, and every version of the statistics."""

    bare: object
    at: datetime = START
    booked: list[tuple[str, str, str, int]] = field(default_factory=list)
    withheld: dict[str, date] = field(default_factory=dict)
    versions: list[list[dict[str, object]]] = field(default_factory=list)

    @property
    def exchange(self):
        agreements = {
            f"{dataset}/{consumer}": SimpleNamespace(withheld_until=self.withheld.get(f"{dataset}/{consumer}"))
            for dataset in DATASETS
            for consumer in CONSUMERS
        }
        contracts = SimpleNamespace(whole=SimpleNamespace(agreements=agreements))
        return replace(self.bare, clock=lambda: self.at, contracts=contracts)

    def book(self, dataset, consumer, shares, *, ago=0):
        """Books a delivery, today or by a clock that is some days behind."""
        seq, day = len(self.booked) + 1, (self.at - timedelta(days=ago)).date().isoformat()
        agreement = f"{dataset}/{consumer}"
        until = self.withheld.get(agreement)
        body = {
            "delivery": f"{seq:032}", "dataset": dataset, "consumer": consumer, "theme": f"t{shares % 2}", "sharing": "conditional",
            "agreement": agreement, "withheld_until": until.isoformat() if until else "", "counts": {"inserted": shares, "updated": 0},
        }  # fmt: skip
        row = (seq, body["delivery"], day, json.dumps(body), "", f"{seq:064}")
        write(
            self.bare,
            "INSERT INTO ledger_entry (seq, delivery, day, body, previous_root, root) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
        self.booked.append((day, dataset, consumer, shares))

    def withhold(self, agreement, days):
        """Withholds an agreement's deliveries for some days; for none, they may be told at once."""
        self.withheld.pop(agreement, None)
        if days:
            self.withheld[agreement] = self.at.date() + timedelta(days=days)

    def publish(self, smallest=10):
        return list(_rows(self.exchange, smallest, None))


DELIVERIES = st.tuples(
    st.just("book"), st.sampled_from(DATASETS), st.sampled_from(CONSUMERS), st.integers(0, 40), st.sampled_from([0, 0, 0, 1, 3, 5])
)  # fmt: skip
WITHHOLDING = st.tuples(
    st.just("withhold"), st.sampled_from([f"{d}/{c}" for d in DATASETS for c in CONSUMERS[:2]]), st.sampled_from([0, 1, 3, 8, 30])
)  # fmt: skip
STEPS = st.lists(
    DELIVERIES | WITHHOLDING | st.tuples(st.just("sleep"), st.integers(1, 4)) | st.just(("publish",)), max_size=25
)


@pytest.fixture(scope="module")
def history(bare):
    def begin():
        write(bare, "DELETE FROM ledger_entry", ())
        bare.store.delete(CLOSED)
        return History(bare)

    return begin


def rows_by_cell(rows):
    found = {(row["day"], row["dataset"], row["consumer"]): row for row in rows}
    assert len(found) == len(rows)
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_no_version_tells_of_a_day_what_another_does_not(history, steps):
    told = history()
    exactly = {}
    for step, *given_ in [*steps, ("publish",)]:
        if step == "book":
            *what, ago = given_
            told.book(*what, ago=ago)
        elif step == "withhold":
            told.withhold(*given_)
        elif step == "sleep":
            told.at += timedelta(days=given_[0])
        else:
            told.versions.append(told.publish())
            before, exactly = exactly, rows_by_cell(told.publish(smallest=1))
            fresh = exactly.keys() - before.keys()
            assert before.items() <= exactly.items()
            assert {f"{d}/{c}" for _, d, c in fresh}.isdisjoint(
                agreement for agreement, until in told.withheld.items() if until > told.at.date()
            )
    newest = rows_by_cell(told.versions[-1])
    for version in told.versions:
        last = max((row["day"] for row in version), default=date.min)
        assert [row for row in told.versions[-1] if row["day"] <= last] == version
        assert all(newest[cell] == row for cell, row in rows_by_cell(version).items())
    told.withheld.clear()
    told.at += timedelta(days=100)  # in the end every share is told, once
    rows = told.publish(smallest=1)
    assert sum(row["shares"] for row in rows) == sum(shares for *_, shares in told.booked)
    assert sum(row["deliveries"] for row in rows) == len(told.booked)


def test_what_was_withheld_is_counted_on_a_later_day(history):
    told = history()
    told.book("a/x", "tax", 100)
    told.withhold("a/x/tax", 5)
    told.book("a/x", "tax", 3)
    told.withhold("a/x/tax", 0)
    told.book("a/x", "school", 50)
    told.withhold("a/x/tax", 5)
    told.at += timedelta(days=2)
    assert [(row["consumer"], row["shares"]) for row in told.publish(1)] == [("school", 50)]
    told.at += timedelta(days=10)
    after = [(str(row["day"]), row["consumer"], row["shares"]) for row in told.publish(1)]
    assert after == [("2026-03-01", "school", 50), ("2026-03-11", "tax", 103)]


def test_a_day_on_which_the_theme_changed_has_one_row(history):
    told = history()
    told.book("a/x", "tax", 20)
    told.book("a/x", "tax", 31)
    told.at += timedelta(days=2)
    (row,) = told.publish(1)
    assert (row["shares"], row["deliveries"], row["theme"]) == (51, 2, "t1")


def test_the_same_days_are_closed_once(history):
    told = history()
    told.book("a/x", "tax", 20)
    told.at += timedelta(days=2)
    first = closed(told.exchange)
    told.book("a/x", "tax", 30, ago=2)
    assert closed(told.exchange) == first
    told.at -= timedelta(days=9)  # the clock went back
    assert closed(told.exchange) == first
    assert [row["shares"] for row in told.publish(1)] == [20]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"until": "2026-03-01", "seq": "x", "moved": {}}'])
def test_what_can_not_be_read_is_told(history, content):
    told = history()
    told.bare.store.swap(CLOSED, content, expected=None)
    with pytest.raises(LedgerBroken, match="closed"):
        closed(told.exchange)
