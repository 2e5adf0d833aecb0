from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.errors import LedgerBroken, ProofWrong, WrongUse
from crossdock.identity import canonical
from crossdock.keys import Keys
from crossdock.ledger.archive import Archive
from crossdock.ledger.checking import check_proof
from crossdock.ledger.heads import sign_heads
from crossdock.ledger.proofs import prove_continuation, prove_delivery, prove_record
from crossdock.storage.tables import ledger_entry

FIRST, SECOND = "2026-03-01", "2026-03-02"
once = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def signed(world):
    """Seven deliveries on two days, both signed; the third has more events than fit one leaf of their tree."""
    world.deliver("a", "b", updated=["c"], deleted=["d"])
    world.deliver("e", consumer="health")
    world.deliver(*(f"n{n}" for n in range(3_000)))
    sign_heads(world.state, world.store, world.keys)
    world.deliver("f", "g", subjects=["p", "q"], day=1)
    world.deliver("h", consumer="public", day=1)
    world.deliver(day=1)
    world.deliver("i", day=1)
    sign_heads(world.state, world.store, world.keys)
    return world


def delivery(world, seq: int) -> str:
    with world.state.connect() as connection:
        return connection.scalar(ledger_entry.select().with_only_columns(ledger_entry.c.delivery).filter_by(seq=seq))


def proof(world, seq: int, *key: str) -> dict:
    found = prove_delivery(world.state, world.store, delivery(world, seq))
    return prove_record(found, Archive.open(world.state, world.store), world.keys, key) if key else found


def checked(world, document) -> object:
    return check_proof(json.dumps(document).encode(), world.keys.public())


@pytest.mark.parametrize("seq", range(1, 8))
def test_every_delivery_is_proven_by_the_head_of_its_day(signed, seq):
    found = checked(signed, proof(signed, seq))
    assert (found.proves, found.delivery) == ("delivery", delivery(signed, seq))
    assert (found.day, found.entries) == ((FIRST, 3) if seq <= 3 else (SECOND, 7))
    assert found.purpose == "核定税额"


@pytest.mark.parametrize(
    ("seq", "key", "operation"),
    [(1, "a", "insert"), (1, "c", "update"), (1, "d", "delete"), (3, "n0", "insert"), (3, "n2999", "insert")],
)
def test_a_record_is_proven_with_what_was_done(signed, seq, key, operation):
    found = checked(signed, proof(signed, seq, key))
    assert (found.proves, found.operation, found.delivery) == ("record", operation, delivery(signed, seq))


@pytest.mark.parametrize("key", ["f", "q"])
def test_a_record_is_found_by_its_key_and_by_whom_it_is_about(signed, key):
    assert checked(signed, proof(signed, 4, key)).proves == "record"


def test_a_record_that_was_not_delivered_is_not_proven(signed):
    with pytest.raises(WrongUse, match="no event of this record"):
        proof(signed, 3, "a")
    with pytest.raises(WrongUse, match="no event of this record"):
        proof(signed, 6, "a")  # a delivery without events


def test_an_unknown_delivery_and_an_unsigned_one_are_named(signed):
    with pytest.raises(WrongUse, match="no delivery 'x'"):
        prove_delivery(signed.state, signed.store, "x")
    fresh = signed.deliver("z", day=1)
    with pytest.raises(WrongUse, match="not signed yet"):
        prove_delivery(signed.state, signed.store, fresh.body.delivery)


def test_a_missing_entry_is_no_base_for_a_proof(signed):
    with signed.state.begin() as connection:
        connection.execute(ledger_entry.delete().where(ledger_entry.c.seq == 2))
    with pytest.raises(LedgerBroken, match="missing"):
        proof(signed, 5)


def test_one_day_continues_another(signed):
    found = checked(signed, prove_continuation(signed.state, signed.store, FIRST, SECOND))
    assert (found.earlier_day, found.day, found.entries) == (FIRST, SECOND, 7)
    with pytest.raises(WrongUse, match="earlier day first"):
        prove_continuation(signed.state, signed.store, SECOND, FIRST)
    with pytest.raises(WrongUse, match="2026-03-01, 2026-03-02"):
        prove_continuation(signed.state, signed.store, FIRST, "2026-03-09")


def test_a_ledger_rewritten_between_two_days_cannot_be_proven_to_continue(signed):
    honest = prove_continuation(signed.state, signed.store, FIRST, SECOND)
    forged = json.loads(json.dumps(honest))
    head = {k: v for k, v in forged["later"].items() if k != "signature"}
    head["tree"] = ["00" * 32, *head["tree"][1:]]
    forged["later"] = {**head, "signature": signed.keys.sign(canonical(head))}
    with pytest.raises(ProofWrong, match="does not continue"):
        checked(signed, forged)


@pytest.mark.parametrize("make", [lambda w: proof(w, 2), lambda w: prove_continuation(w.state, w.store, FIRST, SECOND)])
def test_another_exchanges_key_proves_nothing(signed, tmp_path, make):
    stranger = Keys.open(tmp_path / "stranger")
    with pytest.raises(ProofWrong, match="not signed by this key"):
        check_proof(json.dumps(make(signed)).encode(), stranger.public())


@once
@given(at=st.integers(0, 100_000), bit=st.integers(0, 7), kind=st.sampled_from(["delivery", "record", "continuation"]))
def test_a_changed_proof_proves_nothing_else(signed, at, bit, kind):
    made = {
        "delivery": lambda: proof(signed, 2),
        "record": lambda: proof(signed, 3, "n7"),
        "continuation": lambda: prove_continuation(signed.state, signed.store, FIRST, SECOND),
    }[kind]()
    octets = bytearray(json.dumps(made, ensure_ascii=False).encode())
    octets[at % len(octets)] ^= 1 << bit
    before = checked(signed, made)
    try:
        after = check_proof(bytes(octets), signed.keys.public())
    except ProofWrong:
        return
    # What is not looked at (a proof's spaces, the case of a hexadecimal digit) may change.
    assert after == before or (before.proves, after.proves) == ("record", "delivery")


def test_events_of_another_delivery_are_refused(signed):
    document = proof(signed, 3, "n7")
    other = proof(signed, 1, "a")["record"]
    with pytest.raises(ProofWrong, match="not those of the delivery"):
        checked(signed, {**document, "record": other})
    absent = {**document["record"], "hash": base64.b16encode(bytes(16)).decode()}
    with pytest.raises(ProofWrong, match="not among the events"):
        checked(signed, {**document, "record": absent})


@pytest.mark.parametrize(
    "junk", [b"", b"{}", b"[]", b"null", b"\xff", b'{"proves": "delivery"}', b'{"proves": 3}', b"[" * 100_000]
)
def test_what_is_no_proof_is_refused(signed, junk):
    with pytest.raises(ProofWrong, match="no proof"):
        check_proof(junk, signed.keys.public())
