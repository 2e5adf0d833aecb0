from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.errors import LedgerBroken, ObjectMissing, WrongUse
from crossdock.ledger.counts import GROUPS, count, mismatch
from crossdock.ledger.distinct import with_subjects
from crossdock.storage.tables import ledger_entry

DATASETS = ("transport/flights", "public_security/population")
CONSUMERS = ("tax", "health", "public")


def test_shares_are_inserts_and_updates_by_group(world):
    world.deliver("a", "b", updated=["c"], deleted=["d", "e"], unchanged=7)
    world.deliver("a", consumer="public", dataset="transport/flights", day=1)
    counted = count(world.state, world.store, by=("consumer",))
    assert counted.to_dict() == {
        "shares": 4,
        "deliveries": 2,
        "interfaces": 2,
        "groups": [
            {"consumer": "public", "shares": 1, "deliveries": 1, "interfaces": 1},
            {"consumer": "tax", "shares": 3, "deliveries": 1, "interfaces": 1},
        ],
    }
    by_two = count(world.state, world.store, by=("day", "department"), recount=True)
    assert by_two.groups == (
        {"day": "2026-03-01", "department": "public_security", "shares": 3, "deliveries": 1, "interfaces": 1},
        {"day": "2026-03-02", "department": "transport", "shares": 1, "deliveries": 1, "interfaces": 1},
    )


def test_days_bound_the_count_on_both_sides(world):
    for day in range(3):
        world.deliver(*"abc"[: day + 1], day=day)
    for recount in (False, True):
        counted = count(world.state, world.store, by=(), since="2026-03-02", until="2026-03-02", recount=recount)
        assert counted.to_dict() == {"shares": 2, "deliveries": 1, "interfaces": 1, "groups": []}


def test_months_and_years(world):
    for day in (0, 10, 40, 400):
        world.deliver("a", day=day)
    for recount in (False, True):
        months = count(world.state, world.store, by=("month",), recount=recount).groups
        assert [(g["month"], g["shares"]) for g in months] == [("2026-03", 2), ("2026-04", 1), ("2027-04", 1)]
        years = count(world.state, world.store, by=("year", "sharing"), recount=recount).groups
        assert [(g["year"], g["sharing"], g["shares"]) for g in years] == [
            ("2026", "conditional", 3),
            ("2027", "conditional", 1),
        ]


def test_different_subjects_in_all_and_in_each_group(world):
    world.deliver("ann", "bob", updated=["cid"], deleted=["dan"])
    world.deliver("ann", consumer="health")
    world.deliver("row 1", "row 2", subjects=["ann", "eve"], consumer="health", dataset="health/visits", day=1)
    world.deliver("flight", consumer="public", dataset="transport/flights", kind="")
    counted = count(world.state, world.store, by=("consumer",))
    found = with_subjects(counted, world.state, world.store, world.keys)
    assert {g["consumer"]: g["subjects"] for g in found.groups} == {"tax": 3, "health": 2, "public": 0}
    assert found.to_dict()["subjects"] == 4
    nothing = count(world.state, world.store, by=(), since="2026-03-02")
    assert with_subjects(nothing, world.state, world.store, world.keys, since="2026-03-02").subjects == 2
    assert nothing.subjects is None


def test_nothing_shared_counts_nothing(world):
    for recount in (False, True):
        counted = count(world.state, world.store, by=("day",), recount=recount)
        assert counted.to_dict() == {"shares": 0, "deliveries": 0, "interfaces": 0, "groups": []}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(DATASETS), st.sampled_from(CONSUMERS), st.integers(0, 3),
            st.integers(0, 9), st.integers(0, 4), st.integers(0, 4),
        ),
        max_size=6,
    ),
    st.sets(st.sampled_from(GROUPS)),
)  # fmt: skip
def test_the_rollup_and_the_event_files_count_alike(worlds, made, groups):
    world = worlds()
    expected: Counter[str] = Counter()
    for dataset, consumer, day, inserted, updated, deleted in made:
        names = [str(n) for n in range(20)]
        world.deliver(
            *names[:inserted], updated=names[:updated], deleted=names[:deleted],
            dataset=dataset, consumer=consumer, day=day,
        )  # fmt: skip
        expected[consumer] += inserted + updated
    by = sorted(groups)
    booked, recounted = (count(world.state, world.store, by=by, recount=r) for r in (False, True))
    assert booked == recounted
    assert booked.shares == expected.total()
    assert booked.deliveries == len(made)
    by_consumer = {g["consumer"]: g["shares"] for g in count(world.state, world.store, by=["consumer"]).groups}
    assert by_consumer == dict(expected)


def test_wrong_words_are_answered_with_the_right_ones(world):
    with pytest.raises(WrongUse, match="'consumer'"):
        count(world.state, world.store, by=("consumr",))
    with pytest.raises(WrongUse, match="YYYY-MM-DD"):
        count(world.state, world.store, by=(), since="1 March")


def test_a_missing_event_file_cannot_be_recounted(world):
    entry = world.deliver("a")
    assert count(world.state, world.store, by=(), recount=True).shares == 1
    world.store.delete(entry.body.events.key)
    with pytest.raises(ObjectMissing):
        count(world.state, world.store, by=(), recount=True)
    assert count(world.state, world.store, by=()).shares == 1


@pytest.mark.parametrize("body", ["no json", "{}"])
def test_an_unreadable_entry_is_not_counted_as_nothing(world, body):
    world.deliver("a")
    with world.state.begin() as connection:
        connection.execute(ledger_entry.update().values(body=body))
    with pytest.raises(LedgerBroken):
        count(world.state, world.store, by=("consumer",), recount=True)
    if body == "{}":
        assert mismatch(world.state)
    else:
        with pytest.raises(LedgerBroken):
            mismatch(world.state)


def test_an_interface_is_an_agreement_under_which_something_was_delivered(world):
    for day in range(3):
        world.deliver("a", day=day)
        world.deliver("a", consumer="health", day=day)
    world.deliver("a", consumer="tax", dataset="transport/flights", day=40)
    for recount in (False, True):
        counted = count(world.state, world.store, by=("consumer", "month"), recount=recount)
        found = {(g["consumer"], g["month"]): g["interfaces"] for g in counted.groups}
        assert found == {("health", "2026-03"): 1, ("tax", "2026-03"): 1, ("tax", "2026-04"): 1}
        assert counted.interfaces == 3
        assert count(world.state, world.store, by=("year",), recount=recount).groups[0]["interfaces"] == 3


def test_what_went_two_ways_on_one_day_is_one_sum(world):
    for channel in ("database", "bucket", "database"):
        world.book(replace(world.body(inserted=["a", "b"]), channel=channel))
    world.deliver("a", consumer="health")
    for recount in (False, True):
        counted = count(world.state, world.store, by=("dataset", "consumer", "day"), recount=recount)
        assert [(g["consumer"], g["shares"], g["deliveries"]) for g in counted.groups] == [
            ("health", 1, 1),
            ("tax", 6, 3),
        ]


def test_every_two_ways_and_all_of_them_are_counted_alike(world):
    dice = random.Random(19)
    for day in (0, 1, 29, 40, 300):
        for dataset in DATASETS:
            for consumer in dice.sample(CONSUMERS, 2):
                names = [str(n) for n in range(dice.randrange(5))]
                world.deliver(*names, deleted=["z"], dataset=dataset, consumer=consumer, day=day)
    for by in [*combinations(GROUPS, 1), *combinations(GROUPS, 2), GROUPS]:
        for since, until in ((None, None), ("2026-03-02", "2026-04-10")):
            booked, recounted = (
                count(world.state, world.store, by=by, since=since, until=until, recount=r) for r in (False, True)
            )
            assert booked == recounted, by


def test_postgresql_counts_alike(world_on_postgres):
    world = world_on_postgres
    assert count(world.state, world.store, by=()).shares == 0
    world.deliver("a", "b", updated=["c"], deleted=["d"])
    world.deliver("e", consumer="public", day=1)
    for by in ([], ["day", "purpose"], list(GROUPS)):
        booked, recounted = (count(world.state, world.store, by=by, recount=r) for r in (False, True))
        assert booked == recounted
        assert booked.shares == 4
    assert count(world.state, world.store, by=(), since="2026-03-02").shares == 1
    assert mismatch(world.state) == ""
    with world.state.begin() as connection:
        connection.execute(ledger_entry.update().where(ledger_entry.c.seq == 1).values(body="no json"))
    with pytest.raises(LedgerBroken):
        mismatch(world.state)


@pytest.mark.parametrize("where", ["world", "world_on_postgres"])
def test_whatever_a_group_is_called_it_comes_out_so(where, request):
    world = request.getfixturevalue(where)
    odd = ['"', "\\", "a\nb\tc", "[1, {}]", "核定税额 \U0001f4ca", "\u2028", "", "null", "{'x': \"y\"}"]
    for purpose in odd:
        world.book(replace(world.body(inserted=["a"]), purpose=purpose))
    booked, recounted = (count(world.state, world.store, by=("purpose", "day"), recount=r) for r in (False, True))
    assert booked == recounted
    assert [group["purpose"] for group in booked.groups] == sorted(odd)


def test_more_entries_than_are_read_at_a_time_are_all_counted(world, monkeypatch):
    monkeypatch.setattr("crossdock.ledger.brief._PAGE", 2)
    for day in range(4):
        world.deliver("a", "b", day=day)
        assert count(world.state, world.store, by=("day",), recount=True).shares == 2 * (day + 1)
    assert count(world.state, world.store, by=("day",), since="2026-03-02", recount=True).deliveries == 3
