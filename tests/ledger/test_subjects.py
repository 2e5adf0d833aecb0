from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.errors import ObjectMissing, WrongUse
from crossdock.ledger.subjects import who

PERSON, OTHER = "11010119900307123X", "110101199003075678"
ENTERPRISE = "91310000MA1K35Q12X"


def ask(world, subject: str):
    return who(world.state, world.store, world.keys, subject)


def test_a_person_finds_where_they_are_the_record_and_where_a_record_is_about_them(world):
    world.deliver(PERSON, OTHER)
    world.deliver(OTHER, consumer="health")
    world.deliver("flight-1", "flight-2", "flight-3", dataset="transport/flights", subjects=[PERSON, OTHER, PERSON])
    world.deliver("x", updated=[PERSON], deleted=[OTHER], consumer="health", day=1)
    found = ask(world, PERSON)
    assert [(r.consumer, r.dataset, r.operation, r.records) for r in found] == [
        ("tax", "public_security/population", "insert", 1),
        ("tax", "transport/flights", "insert", 2),
        ("health", "public_security/population", "update", 1),
    ]
    assert [(r.consumer, r.operation) for r in ask(world, OTHER)][-1] == ("health", "delete")
    first = found[0].to_dict()
    assert first["purpose"] == "核定税额"
    assert first["legal_basis"] == "税收征收管理法 第六条"
    assert first["columns"] == ("resident_id", "name")
    assert str(first["delivered_at"]).startswith("2026-03-01T12:00:01")


def test_an_enterprise_is_found_as_such(world):
    world.deliver(ENTERPRISE, kind="enterprise", dataset="market_regulation/enterprises")
    assert [r.dataset for r in ask(world, ENTERPRISE)] == ["market_regulation/enterprises"]


@pytest.mark.parametrize("typed", [PERSON.lower(), f"  {PERSON}\n", "１１０１０１１９９００３０７１２３Ｘ"])
def test_the_way_it_is_typed_does_not_matter(world, typed):
    world.deliver(PERSON)
    assert len(ask(world, typed)) == 1


def test_a_snapshot_with_a_small_x_is_found_too(world):
    world.deliver(PERSON.lower())
    assert len(ask(world, PERSON)) == 1


def test_nobody_received_a_stranger(world):
    world.deliver(OTHER)
    world.deliver()
    assert ask(world, PERSON) == []


def test_a_record_key_of_a_dataset_is_nobody(world):
    world.deliver(PERSON, subjects=[OTHER])
    assert ask(world, PERSON) == []


def test_an_incomplete_answer_is_none(world):
    entry = world.deliver(PERSON)
    world.store.delete(entry.body.events.key)
    with pytest.raises(ObjectMissing) as raised:
        ask(world, PERSON)
    assert PERSON not in str(raised.value)


def test_an_empty_subject_is_wrong_use(world):
    with pytest.raises(WrongUse):
        ask(world, "  ")


def test_no_identifier_is_in_any_file_of_the_ledger(world):
    world.deliver(PERSON, subjects=[OTHER])
    written = b"".join(path.read_bytes() for path in world.root.rglob("*") if path.is_file())
    assert PERSON.encode() not in written
    assert OTHER.encode() not in written


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from("ABCDEFGH"), unique=True), max_size=5))
def test_who_finds_exactly_what_was_delivered(worlds, made):
    world = worlds()
    for names in made:
        world.deliver(*names)
    for name in "ABCDEFGH":
        assert len(ask(world, name)) == sum(name in names for names in made)
