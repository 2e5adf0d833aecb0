"""The rollup is what the entries add up to, however they came, and the audit says when it is not."""

import json

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.ledger.counts import count, mismatch
from crossdock.ledger.rollup import Period, daily, monthly, months
from crossdock.storage.state import MIGRATIONS
from crossdock.storage.tables import ledger_entry, share_count, share_day, share_month

DATASETS = ("transport/flights", "public_security/population")
CONSUMERS = ("tax", "public_security", "public")
EVER = Period(first="0000-00", last="9999-99")
BY = ("month", "dataset", "consumer", "theme", "department")


def of(tallies):
    return {tally.key: (tally.shares, tally.deliveries) for tally in tallies}


def counted(world, *by):
    groups = count(world.state, world.store, by=by).groups
    return {tuple(group[name] for name in by): (group["shares"], group["deliveries"]) for group in groups}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(DATASETS), st.sampled_from(CONSUMERS), st.sampled_from([0, 1, 40]), st.integers(0, 5)
        ),
        max_size=8,
    )
)
def test_the_rollup_and_the_entries_count_alike(worlds, made):
    world = worlds()
    for dataset, consumer, day, records in made:
        world.deliver(*"abcde"[:records], deleted=["z"], dataset=dataset, consumer=consumer, day=day)
    assert of(daily(world.state, EVER, role="provider")) == counted(world, "day")
    assert of(daily(world.state, EVER, role="consumer")) == counted(world, "day")
    for by in (("dataset",), ("department", "consumer"), ("theme",)):
        assert of(monthly(world.state, EVER, by=by)) == counted(world, *by)
    assert mismatch(world.state) == ""


def test_a_period_is_whole_months(world):
    for day in (0, 30, 31):  # 1 March, 31 March and 1 April
        world.deliver("a", day=day)
    march = Period(first="2026-03", last="2026-03")
    assert [tally.key for tally in daily(world.state, march, role="provider")] == [("2026-03-01",), ("2026-03-31",)]
    assert of(monthly(world.state, march, by=("month",))) == {("2026-03",): (2, 2)}
    assert months(world.state) == Period(first="2026-03", last="2026-04")


def test_a_department_sees_what_it_provides_and_what_it_receives(world):
    world.deliver("a", "b", dataset="transport/flights", consumer="tax")
    world.deliver("a", dataset="public_security/population", consumer="transport")
    world.deliver("a", dataset="public_security/population", consumer="tax")
    seen = monthly(world.state, EVER, by=("department", "consumer"), party="transport")
    assert of(seen) == {("transport", "tax"): (2, 1), ("public_security", "transport"): (1, 1)}
    assert of(monthly(world.state, EVER, by=("consumer",), dataset="transport/flights")) == {("tax",): (2, 1)}
    assert sum(t.shares for t in daily(world.state, EVER, role="provider", party="transport")) == 2
    assert sum(t.shares for t in daily(world.state, EVER, role="consumer", party="transport")) == 1


def test_a_long_period_is_summed_in_the_order_of_an_index_and_a_short_one_by_its_months(world):
    for day in (0, 40, 80, 120, 400):
        world.deliver("a", "b", day=day)
        world.deliver("a", consumer="health", dataset="transport/flights", day=day)
    asked = []
    sa.event.listen(world.state.engine, "before_cursor_execute", lambda *event: asked.append(event[2:4]))
    by = ("dataset", "consumer", "department")
    plans = {}
    for last, months_with_some in (("2026-06", 4), ("2026-04", 2), ("9999-99", 5)):
        asked.clear()
        found = of(monthly(world.state, Period(first="2026-03", last=last), by=by))
        assert found == {
            ("public_security/population", "tax", "public_security"): (2 * months_with_some, months_with_some),
            ("transport/flights", "health", "transport"): (months_with_some, months_with_some),
        }
        with world.state.connect() as connection:
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[-1][0]}", asked[-1][1]).all()
        plans[last] = " ".join(step[3] for step in steps)
    assert "ix_share_month_sums" in plans["9999-99"]
    assert "TEMP B-TREE" not in plans["9999-99"]
    assert "ix_share_month_month_dataset" in plans["2026-04"]


def test_nothing_shared_rolls_up_to_nothing(world):
    assert months(world.state) is None
    assert daily(world.state, EVER, role="provider") == []
    assert mismatch(world.state) == ""


@pytest.mark.parametrize("table", [share_day, share_month, share_count])
def test_a_sum_that_went_astray_is_found(world, table):
    world.deliver("a", "b")
    with world.state.begin() as connection:
        connection.execute(table.update().values(shares=3))
    assert mismatch(world.state).startswith(table.name)


@pytest.mark.parametrize("table", [share_month, share_count])
@pytest.mark.parametrize("column", ["department", "dataset", "theme", "consumer", "purpose"])
def test_sums_that_were_put_elsewhere_are_found_though_they_come_to_the_same(world, table, column):
    world.deliver("a", "b")
    world.deliver("a", consumer="health")
    assert mismatch(world.state) == ""
    with world.state.begin() as connection:
        connection.execute(table.update().where(table.c.consumer == "health").values({column: "another"}))
    found = mismatch(world.state)
    assert found.startswith(f"{table.name}: 2026-03")


def test_a_delivery_that_is_missing_from_a_sum_is_found(world):
    world.deliver("a")
    world.deliver(deleted=["a"], day=1)  # no shares, but a delivery
    with world.state.begin() as connection:
        connection.execute(share_day.delete().where(share_day.c.day == "2026-03-02", share_day.c.role == "consumer"))
    assert mismatch(world.state) == "share_day, consumer: 2026-03-02, tax"


def test_what_was_shared_before_there_was_a_rollup_is_in_it(world):
    for day in (0, 0, 40):
        world.deliver("a", "b", day=day)
    expected = of(monthly(world.state, EVER, by=BY))
    damaged = json.dumps({"counts": {}})
    with world.state.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
        connection.execute(ledger_entry.update().where(ledger_entry.c.seq == 3).values(body=damaged))
        command.upgrade(config, "head")
    assert of(monthly(world.state, EVER, by=BY)) == {
        key: value for key, value in expected.items() if key[0] == "2026-03"
    }
    assert of(daily(world.state, EVER, role="consumer", party="tax")) == {("2026-03-01",): (4, 2)}


def test_what_is_asked_for_most_is_read_from_an_index_and_comes_in_its_order(world):
    for day in (3, 0, 1):
        for consumer in ("tax", "health"):
            world.deliver("a", "b", day=day, consumer=consumer)
    asked = []
    sa.event.listen(world.state.engine, "before_cursor_execute", lambda *event: asked.append(event[2:4]))
    groups = counted(world, "department", "dataset", "consumer", "day")
    assert list(groups) == sorted(groups)
    with world.state.connect() as connection:
        (statement,) = {each for each in asked if "json_group_array" in each[0]}
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1]).all()
    assert [step[3] for step in steps] == ["SCAN share_count USING COVERING INDEX ix_share_count_sums"]
