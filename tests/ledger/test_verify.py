from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.errors import ObjectMissing, Transient
from crossdock.identity import canonical
from crossdock.keys import Keys
from crossdock.ledger import verify as module
from crossdock.ledger.book import append
from crossdock.ledger.counts import count
from crossdock.ledger.heads import sign_heads
from crossdock.ledger.subjects import who
from crossdock.ledger.verify import verify
from crossdock.storage.tables import delivery, ledger_entry

FIRST, SECOND = "ledger/heads/2026-03-01.json", "ledger/heads/2026-03-02.json"


def fill(world):
    """Five deliveries on two days, both signed."""
    world.deliver("a", "b", updated=["c"], deleted=["d"])
    world.deliver("e", consumer="health", unchanged=2, filtered=1)
    world.deliver()
    world.deliver("f", "g", subjects=["p", "q"], day=1)
    world.deliver("h", consumer="public", day=1)
    sign_heads(world.state, world.store, world.keys)
    return world


@pytest.fixture
def filled(world):
    return fill(world)


def check(world):
    return verify(world.state, world.store, world.keys.public())


def execute(world, statement):
    with world.state.begin() as connection:
        connection.execute(sa.text(statement) if isinstance(statement, str) else statement)


def entries(world):
    with world.state.connect() as connection:
        return connection.execute(ledger_entry.select().order_by(ledger_entry.c.seq)).mappings().all()


def damage(world, key: str, change) -> None:
    path = world.store.root / key
    path.write_bytes(change(path.read_bytes()))


def flip(data: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[at % len(data)] ^= 1 << bit
    return bytes(changed)


def test_a_sound_ledger_has_no_breaks(filled):
    assert check(filled) == []


def test_an_empty_ledger_is_sound(world):
    assert check(world) == []


def test_a_ledger_that_was_never_signed_is_sound(world):
    world.deliver("a")
    assert check(world) == []


def test_postgresql_is_verified_alike(world_on_postgres):
    fill(world_on_postgres)
    assert check(world_on_postgres) == []
    execute(world_on_postgres, "UPDATE ledger_entry SET body = replace(body, '\"tax\"', '\"tex\"') WHERE seq = 4")
    assert [(b.seq, b.where) for b in check(world_on_postgres)] == [(4, "ledger_entry.root")]


def test_a_store_on_s3_is_verified_alike(world_on_s3):
    world = fill(world_on_s3)
    assert check(world) == []
    assert count(world.state, world.store, by=["day"], recount=True) == count(world.state, world.store, by=["day"])
    assert [r.consumer for r in who(world.state, world.store, world.keys, "e")] == ["health"]
    gone = json.loads(entries(world)[1]["body"])["events"]["key"]
    world.store.delete(gone)
    assert [(b.seq, b.where) for b in check(world)] == [(2, gone)]
    with pytest.raises(ObjectMissing):
        count(world.state, world.store, by=[], recount=True)


def test_many_pages_make_one_chain(filled, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 2)
    assert check(filled) == []


once = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@once
@given(
    seq=st.integers(1, 5),
    column=st.sampled_from(["delivery", "day", "body", "previous_root", "root"]),
    at=st.integers(0, 10_000),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_in_the_book_is_found_and_named(filled, seq, column, at, bit):
    before = entries(filled)[seq - 1][column].encode()
    overwrite(filled, seq, column, flip(before, at, bit))
    breaks = check(filled)
    overwrite(filled, seq, column, before)
    assert breaks[0].seq == seq
    assert check(filled) == []


@once
@given(
    seq=st.integers(1, 5), column=st.sampled_from(delivery.c.keys()), at=st.integers(0, 10_000), bit=st.integers(0, 7)
)
def test_a_flipped_bit_in_what_the_state_tells_of_a_delivery_is_found_and_named(filled, seq, column, at, bit):
    name = entries(filled)[seq - 1]["delivery"]
    before = octets(filled, name, column)
    after = flip(before, at, bit) if before else b"something"
    overwrite(filled, name, column, after, table="delivery", key="id")
    breaks = check(filled)
    name = after.decode(errors="surrogateescape") if column == "id" else name
    overwrite(filled, name, column, before, table="delivery", key="id")
    assert breaks[0].seq == seq
    assert breaks[0].where == "delivery"
    assert check(filled) == []


def octets(world, name, column):
    with closing(sqlite3.connect(world.root / "state.db")) as raw:
        return raw.execute(f"SELECT CAST({column} AS BLOB) FROM delivery WHERE id = ?", (name,)).fetchone()[0]


def overwrite(world, which, column, octets, *, table="ledger_entry", key="seq"):
    """Writes as one who opens the file does: no foreign keys, and texts that are none."""
    if isinstance(which, str):
        which = which.encode(errors="surrogateescape")
        key = f"CAST({key} AS BLOB)"
    with closing(sqlite3.connect(world.root / "state.db")) as raw, raw:
        cast = "NULL" if octets is None else "CAST(? AS TEXT)"
        values = (which,) if octets is None else (octets, which)
        assert raw.execute(f"UPDATE {table} SET {column} = {cast} WHERE {key} = ?", values).rowcount == 1


def test_an_index_that_misses_entries_is_found(filled):
    """Counting by day asks the index, so its damage must not go unseen."""
    filled.state.engine.dispose()
    with closing(sqlite3.connect(filled.root / "state.db")) as raw, raw:
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("UPDATE sqlite_master SET sql = replace(sql, '(day)', '(root)') WHERE name = 'ix_ledger_entry_day'")
    assert [(b.seq, b.where) for b in check(filled)] == [(0, "state")]


@once
@given(
    kind=st.sampled_from(["ledger/events/", "outbox/", "ledger/heads/"]),
    which=st.integers(0, 4),
    at=st.integers(0, 100_000),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_in_any_object_is_found_and_named(filled, kind, which, at, bit):
    keys = list(filled.store.list(kind))
    key = keys[which % len(keys)]
    data = filled.store.read(key)
    damage(filled, key, lambda _: flip(data, at, bit))
    breaks = check(filled)
    damage(filled, key, lambda _: data)
    assert key in {found.where for found in breaks}
    if kind != "ledger/heads/":
        owners = [r["seq"] for r in entries(filled) if key in r["body"]]
        assert sorted({found.seq for found in breaks}) == owners


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"\n", lambda _: b"", lambda d: d.upper()])
@pytest.mark.parametrize("kind", ["ledger/events/", "outbox/tax/", "ledger/heads/"])
def test_an_object_of_other_length_or_spelling_is_found(filled, kind, change):
    key = next(iter(filled.store.list(kind)))
    damage(filled, key, change)
    assert key in {found.where for found in check(filled)}


@pytest.mark.parametrize("kind", ["ledger/events/", "outbox/tax/"])
def test_a_missing_object_is_found(filled, kind):
    key = json.loads(entries(filled)[0]["body"])["events"]["key"] if "events" in kind else entries_key(filled)
    filled.store.delete(key)
    found = check(filled)
    assert [(b.seq, b.where) for b in found] == [(1, key)]
    assert "missing" in found[0].what
    assert found[0].delivery == entries(filled)[0]["delivery"]


def entries_key(world) -> str:
    return json.loads(entries(world)[0]["body"])["manifest_key"]


def test_an_entry_missing_in_the_middle_is_found(filled):
    execute(filled, "DELETE FROM ledger_entry WHERE seq = 3")
    found = check(filled)
    assert found[0].seq == 3
    assert "Entries 3 to 3 are missing" in found[0].what
    assert found[-1].what.startswith("It was delivered")


def test_a_cut_tail_is_found_by_the_signed_head(filled):
    execute(filled, "DELETE FROM ledger_entry WHERE seq > 3")
    execute(filled, "UPDATE delivery SET status = 'intended' WHERE id NOT IN (SELECT delivery FROM ledger_entry)")
    assert [(b.seq, b.where) for b in check(filled)] == [(4, SECOND)]


def test_a_cut_tail_is_found_by_the_deliveries_without_a_head(world):
    world.deliver("a")
    last = world.deliver("b")
    execute(world, "DELETE FROM ledger_entry WHERE seq = 2")
    assert [(b.seq, b.delivery) for b in check(world)] == [(0, last.body.delivery)]


def test_an_entry_without_a_completed_delivery_is_found(world):
    body = world.body(inserted=["a"])
    world.intend(body)
    with world.state.begin() as connection:
        append(connection, body)
    assert [(b.seq, b.where) for b in check(world)] == [(1, "delivery")]


def rewrite(world, seq: int, change) -> None:
    """Changes a body as a careful forger would: every later root is made anew."""
    rows = entries(world)
    root = rows[seq - 1]["previous_root"]
    for row in rows[seq - 1 :]:
        text = canonical(change(json.loads(row["body"]))).decode() if row["seq"] == seq else row["body"]
        previous, root = root, hashlib.sha256(f"{root}{text}".encode()).hexdigest()
        update = ledger_entry.update().where(ledger_entry.c.seq == row["seq"])
        execute(world, update.values(body=text, previous_root=previous, root=root))


@pytest.mark.parametrize(("seq", "named"), [(2, (3, FIRST, "1 to 3")), (5, (5, SECOND, "4 to 5"))])
def test_a_carefully_rewritten_chain_is_found_by_the_signed_heads(filled, seq, named):
    rewrite(filled, seq, lambda body: body | {"purpose": "something else"})
    first = check(filled)[0]
    assert (first.seq, first.where, first.what) == (*named[:2], f"Entries {named[2]} are not what was signed.")


def test_a_head_that_was_signed_with_another_tree_is_named(filled):
    key = filled.store.root / SECOND
    head = {name: value for name, value in json.loads(key.read_bytes()).items() if name != "signature"}
    head["tree"] = ["00" * 32, *head["tree"][1:]]
    key.write_bytes(canonical({**head, "signature": filled.keys.sign(canonical(head))}))
    (found,) = check(filled)
    assert (found.seq, found.where, found.what) == (5, SECOND, "The signed tree is not that over entries 1 to 5.")


def test_fewer_events_than_booked_are_found_though_all_hashes_fit(filled):
    key = json.loads(entries(filled)[0]["body"])["events"]["key"]
    path = filled.store.root / key
    events = pq.read_table(path)
    inserted = events["operation"].to_pylist().index("insert")
    pq.write_table(events.take([place for place in range(events.num_rows) if place != inserted]), path)
    fresh = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(filled, 1, lambda body: body | {"events": body["events"] | {"sha256": fresh}})
    told = [b.what for b in check(filled) if b.where == key]
    assert told == [
        "The event file holds 1 insert, 1 update, 1 delete; the entry says 2 insert, 1 update, 1 delete.",
        "The event file holds 3 events; the entry says 4.",
        "The Merkle tree over the events is not the one that was booked.",
    ]


@pytest.mark.parametrize(
    "counts", [{"inserted": 3}, {"filtered": 1}, {"accepted": 4}, {"deleted": 2}, {"unchanged": 9, "accepted": 12}]
)
def test_counts_that_do_not_add_up_are_found_in_the_book(filled, counts):
    rewrite(filled, 1, lambda body: body | {"counts": body["counts"] | counts})
    assert "accepted = delivered + unchanged + filtered does not hold." in {b.what for b in check(filled)}


def test_a_manifest_signed_by_another_is_found(filled, tmp_path):
    stranger = Keys.open(tmp_path / "stranger")
    key = entries_key(filled)
    manifest = json.loads(filled.store.read(key))
    del manifest["signature"]
    forged = canonical({**manifest, "signature": stranger.sign(canonical(manifest))})
    damage(filled, key, lambda _: forged)
    fresh = hashlib.sha256(forged).hexdigest()
    rewrite(filled, 1, lambda body: body | {"manifest_sha256": fresh})
    execute(filled, delivery.update().where(delivery.c.manifest_key == key).values(manifest_sha256=fresh))
    assert "not signed by this exchange" in next(b.what for b in check(filled) if b.where == key)


def test_a_manifest_of_another_delivery_is_found(world):
    one, other = world.body(inserted=["a"]), world.body(inserted=["b", "c"])
    world.book(replace(one, manifest_key=other.manifest_key, manifest_sha256=other.manifest_sha256))
    told = [b.what for b in check(world)]
    assert told == [f"The manifest and the entry do not agree on '{name}'." for name in ("delivery", "counts")]


def test_a_head_signed_by_another_proves_nothing(filled, tmp_path):
    filled.store.delete(SECOND)
    sign_heads(filled.state, filled.store, Keys.open(tmp_path / "stranger"))
    assert {(b.where, b.what.split(",")[0]) for b in check(filled)} >= {(SECOND, "The signed head was changed")}


def test_a_missing_head_before_others_is_found(filled):
    filled.store.delete(FIRST)
    assert [(b.seq, b.where) for b in check(filled)] == [(3, FIRST)]


def test_a_day_that_grew_after_it_was_signed_is_sound(filled):
    filled.deliver("z", day=1)
    filled.deliver("y", day=2)
    assert check(filled) == []
    sign_heads(filled.state, filled.store, filled.keys)
    assert check(filled) == []


def test_an_entry_dated_back_after_signing_is_sound(filled):
    filled.deliver("late", day=0)
    assert check(filled) == []
    sign_heads(filled.state, filled.store, filled.keys)
    assert check(filled) == []


def test_entries_moved_to_another_day_are_found(filled):
    execute(filled, "UPDATE ledger_entry SET day = '2026-03-01' WHERE seq = 4")
    assert {b.where for b in check(filled)} == {"ledger_entry.delivery, .day", SECOND}


def test_a_store_that_does_not_answer_is_not_called_broken(filled, monkeypatch):
    class Silent:
        def open_input_file(self, _):
            raise ConnectionError

    monkeypatch.setattr(type(filled.store), "filesystem", lambda _: (Silent(), "x"))
    with pytest.raises(Transient):
        check(filled)


def test_a_damaged_database_file_is_a_break(filled):
    filled.state.engine.dispose()
    path = filled.root / "state.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ledger_entry'").fetchone()[0]
        size = raw.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray(path.read_bytes())
    data[(page - 1) * size : page * size] = bytes([0xFF]) * size
    path.write_bytes(data)
    assert "The state database is damaged." in {b.what for b in check(filled)}
