from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crossdock.errors import LedgerBroken
from crossdock.identity import RowsDigest, canonical
from crossdock.ledger.book import GENESIS, Body, append, read_entries
from crossdock.ledger.heads import sign_heads
from crossdock.ledger.tree import Tree, leaf_hash
from crossdock.storage.store import Ref
from crossdock.storage.tables import ledger_entry


def test_entries_are_chained_from_the_genesis_root(world):
    entries = [world.deliver("a", "b"), world.deliver("c", consumer="health"), world.deliver()]
    assert [e.seq for e in entries] == [1, 2, 3]
    previous = GENESIS
    for entry in entries:
        assert entry.previous_root == previous
        previous = hashlib.sha256((previous + entry.body.to_json()).encode()).hexdigest()
        assert entry.root == previous
    assert list(read_entries(world.state)) == entries


def test_a_body_survives_its_json_and_keeps_chinese_readable(world):
    body = world.body(inserted=["a"], filtered=3, subjects=["110101199001011237"])
    assert Body.parse(body.to_json()) == body
    assert "税收征收管理法" in body.to_json()
    assert json.loads(body.to_json())["day"] == "2026-03-01"


def test_entries_of_some_days(world):
    for day in range(4):
        world.deliver("a", day=day)
    assert [e.seq for e in read_entries(world.state, since="2026-03-02", until="2026-03-03")] == [2, 3]
    assert [e.seq for e in read_entries(world.state, since="2026-03-04")] == [4]


def test_pages_are_read_to_the_end(world, monkeypatch):
    monkeypatch.setattr("crossdock.ledger.book._PAGE", 2)
    for _ in range(5):
        world.deliver("a")
    assert [e.seq for e in read_entries(world.state)] == [1, 2, 3, 4, 5]


FITTING = {"accepted": 5, "inserted": 2, "updated": 0, "deleted": 0, "unchanged": 1, "filtered": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"counts": FITTING | {"inserted": 1}},
        {"counts": {"inserted": 2}},
        {"counts": FITTING | {"inserted": 3, "updated": -1}},
        {"counts": FITTING | {"deleted": 1}},
        {"counts": FITTING | {"unchanged": 2}},
        {"counts": FITTING | {"filtered": 1}},
        {"counts": FITTING | {"accepted": 6}},
        {"digests": {}},
        {"events": Ref(key="k", rows=1, sha256="0")},
    ],
)
def test_numbers_that_contradict_each_other_are_refused(world, change):
    body = world.body(inserted=["a", "b"], unchanged=1, filtered=2)
    assert body.counts == FITTING
    body = replace(body, **change)
    with pytest.raises(LedgerBroken, match=body.delivery), world.state.begin() as connection:
        append(connection, body)
    assert list(read_entries(world.state)) == []


def test_a_row_lost_between_snapshot_and_consumer_is_refused(world):
    body = world.body(inserted=["a", "b"])
    accepted = RowsDigest.parse(body.digests["accepted"]) + RowsDigest(1, 2, 3)
    digests = {**body.digests, "accepted": str(accepted)}
    with pytest.raises(LedgerBroken, match="accepted = delivered") as refused, world.state.begin() as connection:
        append(connection, replace(body, digests=digests))
    assert not re.search(":[0-9a-f]{16}", str(refused.value))  # the difference would be the row's hash


def test_rows_exchanged_for_others_are_refused_though_the_count_is_right(world):
    body = world.body(inserted=["a", "b"])
    accepted = RowsDigest.parse(body.digests["accepted"])
    digests = {**body.digests, "accepted": str(replace(accepted, low=accepted.low ^ 1))}
    with pytest.raises(LedgerBroken, match="accepted = delivered"), world.state.begin() as connection:
        append(connection, replace(body, digests=digests))


def test_one_delivery_has_one_entry(world):
    entry = world.deliver("a")
    with pytest.raises(LedgerBroken, match="already"), world.state.begin() as connection:
        append(connection, entry.body)


def test_an_entry_comes_and_goes_with_its_transaction(world):
    body = world.body(inserted=["a"])
    world.intend(body)
    with world.state.connect() as connection, connection.begin() as transaction:
        append(connection, body)
        transaction.rollback()
    assert list(read_entries(world.state)) == []
    assert world.deliver("b").seq == 1


def race(world, writers: int, each: int) -> None:
    bodies = [world.body(inserted=[f"r{n}"]) for n in range(writers * each)]
    with ThreadPoolExecutor(writers) as pool:
        entries = list(pool.map(world.book, bodies))
    assert sorted(e.seq for e in entries) == list(range(1, writers * each + 1))
    previous = GENESIS
    for entry in read_entries(world.state):
        assert entry.previous_root == previous
        previous = entry.root


def test_concurrent_appenders_make_one_chain(world):
    race(world, writers=8, each=6)


def test_concurrent_appenders_make_one_chain_on_postgresql(world_on_postgres):
    race(world_on_postgres, writers=6, each=5)


def test_heads_are_signed_per_day_and_replaced_while_the_day_grows(world):
    world.deliver("a")
    world.deliver("b")
    last = world.deliver("c", day=1)
    assert sign_heads(world.state, world.store, world.keys) == ["2026-03-01", "2026-03-02"]
    assert sign_heads(world.state, world.store, world.keys) == []
    head = json.loads(world.store.read("ledger/heads/2026-03-02.json"))
    signature = bytes.fromhex(head.pop("signature"))
    world.keys.public().verify(signature, canonical(head))
    assert head == {"day": "2026-03-02", "entries": 1, "last_seq": 3, "root": last.root, "tree": tree(world)}
    grown = world.deliver("d", day=1)
    assert sign_heads(world.state, world.store, world.keys) == ["2026-03-02"]
    signed = json.loads(world.store.read("ledger/heads/2026-03-02.json"))
    assert (signed["root"], signed["tree"]) == (grown.root, tree(world))


def tree(world) -> list[str]:
    """Returns the perfect subtrees' roots of the tree over all entries' bodies, made from its first leaf on."""
    planted = Tree()
    for entry in read_entries(world.state):
        planted.add(leaf_hash(entry.body.to_json().encode()))
    return [peak.hex() for peak in planted.peaks]


def test_no_head_without_entries(world):
    assert sign_heads(world.state, world.store, world.keys) == []
    assert list(world.store.list("ledger/heads/")) == []


@pytest.mark.parametrize(
    "damage", ["DELETE FROM ledger_entry WHERE seq = 2", "UPDATE ledger_entry SET root = 'x' WHERE seq = 2"]
)
def test_a_changed_book_is_not_signed_over_an_older_head(world, damage):
    world.deliver("a")
    world.deliver("b")
    sign_heads(world.state, world.store, world.keys)
    before = world.store.read("ledger/heads/2026-03-01.json")
    with world.state.begin() as connection:
        connection.execute(sa.text(damage))
    with pytest.raises(LedgerBroken, match="no longer holds"):
        sign_heads(world.state, world.store, world.keys)
    assert world.store.read("ledger/heads/2026-03-01.json") == before


def test_a_head_that_cannot_be_read_is_not_replaced(world):
    world.deliver("a")
    world.store.put_new("ledger/heads/2026-03-01.json", b"{}")
    with pytest.raises(LedgerBroken, match="cannot be read"):
        sign_heads(world.state, world.store, world.keys)


def test_a_body_that_cannot_be_read_is_named(world):
    world.deliver("a")
    with world.state.begin() as connection:
        connection.execute(ledger_entry.update().values(body="{}"))
    with pytest.raises(LedgerBroken, match="entry 1"):
        list(read_entries(world.state))
