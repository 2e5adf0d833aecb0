"""Rows that go to a database server while the rest of their delivery is made: they arrive as others do, or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat

import pyarrow as pa
import pytest

from crossdock.delivery.channels import database
from crossdock.delivery.channels.channel import deliver
from crossdock.delivery.databases import Table, open_database
from crossdock.delivery.files import batches
from crossdock.delivery.rejections import RecordsRejected
from crossdock.errors import ConsumerRefused, LedgerBroken
from delivery.consumers import consumer
from delivery.samples import SCHEMA, held, person, shipment

PEOPLE = [person(n) for n in range(3)]


@pytest.fixture(params=["postgres", "mariadb", "mysql"])
def system(request, tmp_path):
    return consumer(request.param, tmp_path, request)


@pytest.fixture
def postgres_consumer(request, tmp_path):
    return consumer("postgres", tmp_path, request)


@contextmanager
def begun(made, system, folder, rows=None):
    """Has rows, by default the shipment's, sent ahead."""
    with database.ahead(made.order, system.connection, folder) as ahead:
        rows = batches(made.prepared.rows) if rows is None else rows
        ahead.take(made.prepared.goods, rows)
        yield ahead


def sent(folder, system, agreed, rows, *, sequence=1):
    made = shipment(folder, agreed, rows, sequence=sequence)
    with begun(made, system, folder) as ahead:
        return deliver(made, system.connection, ahead)


@contextmanager
def changing(made, system, folder):
    """Has a shipment's changes put in ahead."""
    with database.ahead(made.order, system.connection, folder) as ahead:
        ahead.look()
        ahead.change(made.prepared.goods, made.prepared.rows, made.prepared.deletes)
        yield ahead


def copies(system, schema=SCHEMA):
    with open_database(system.connection) as opened:
        return opened.copier(Table(name="population"), schema) is not None


def test_every_type_arrives_as_if_it_had_been_staged(system, tmp_path):
    rows = [person(1), dict.fromkeys(SCHEMA.names) | {"resident_id": "x"}]
    agreed = system.agreed(columns=SCHEMA.names)
    deliver(shipment(tmp_path / "1", agreed, rows), system.connection)
    staged = system.query("SELECT * FROM population ORDER BY resident_id")
    system.query("DELETE FROM population")
    sent(tmp_path / "2", system, agreed, rows, sequence=2)
    assert system.query("SELECT * FROM population ORDER BY resident_id") == staged
    assert len(staged) == 2


@pytest.mark.parametrize("mode", ["full", "changes"])
def test_what_replaces_takes_the_place_of_what_was_there_and_a_repetition_changes_nothing(mode, system, tmp_path):
    first = sent(tmp_path / "1", system, system.agreed("changes"), PEOPLE)
    assert sent(tmp_path / "again", system, system.agreed("changes"), PEOPLE) == first
    agreed = system.agreed(mode)
    sent(tmp_path / "2", system, agreed, PEOPLE[1:], sequence=2)
    assert set(system.rows()) == {each["resident_id"] for each in PEOPLE[1:]}
    assert len(system.query("SELECT * FROM crossdock_delivery")) == 2


def test_postgres_takes_rows_into_the_table_itself_where_that_is_an_insert(postgres_consumer, tmp_path):
    assert copies(postgres_consumer)
    assert not copies(postgres_consumer, pa.schema([("lives", pa.list_(pa.string()))]))
    assert not copies(postgres_consumer, pa.schema([("children", pa.int32())]))  # its column is wider
    sent(tmp_path / "1", postgres_consumer, postgres_consumer.agreed(), PEOPLE)
    assert copies(postgres_consumer)
    postgres_consumer.query("CREATE VIEW seen AS SELECT * FROM population")
    with open_database(postgres_consumer.connection) as opened:
        assert opened.copier(Table(name="seen"), SCHEMA) is None


def test_rules_of_a_table_are_heeded(postgres_consumer, tmp_path):
    sent(tmp_path / "1", postgres_consumer, postgres_consumer.agreed(), PEOPLE)
    postgres_consumer.query("CREATE TABLE seen (name text)")
    postgres_consumer.query("CREATE RULE telling AS ON INSERT TO population DO ALSO INSERT INTO seen VALUES (NEW.name)")
    assert not copies(postgres_consumer)
    sent(tmp_path / "2", postgres_consumer, postgres_consumer.agreed(), PEOPLE, sequence=2)
    assert len(postgres_consumer.query("SELECT * FROM seen")) == len(PEOPLE)


def test_a_table_with_row_security_is_filled(postgres_consumer, tmp_path):
    system = postgres_consumer
    sent(tmp_path / "1", system, system.agreed(), PEOPLE)
    role = system.connection.schema + "_writer"
    system.query(f"CREATE ROLE {role} LOGIN")
    system.query(f"GRANT SELECT, INSERT, UPDATE, DELETE ON population, crossdock_delivery TO {role}")
    system.query("ALTER TABLE population ENABLE ROW LEVEL SECURITY")
    system.query("CREATE POLICY everything ON population USING (true) WITH CHECK (true)")
    system.connection = replace(system.connection, login=role)
    assert not copies(system)
    sent(tmp_path / "2", system, system.agreed(), PEOPLE[:1], sequence=2)
    assert len(system.rows()) == 1


def test_a_role_whose_transactions_are_serializable(postgres_consumer, tmp_path):
    system = postgres_consumer
    role = system.connection.schema + "_strict"
    system.query(f"CREATE ROLE {role} LOGIN; ALTER ROLE {role} SET default_transaction_isolation = 'serializable'")
    system.query(f"GRANT CREATE ON SCHEMA public TO {role}")
    system.connection = replace(system.connection, login=role)
    for sequence in (1, 2):
        sent(tmp_path / str(sequence), system, system.agreed(), PEOPLE[:sequence], sequence=sequence)
        assert len(system.rows()) == sequence


def test_other_rows_than_are_delivered_are_taken_back(system, tmp_path):
    sent(tmp_path / "1", system, system.agreed("full"), PEOPLE)
    made = shipment(tmp_path / "2", system.agreed("full"), PEOPLE, sequence=2)
    fewer = [batch.slice(1) for batch in batches(made.prepared.rows)]
    with (
        pytest.raises(LedgerBroken, match="2 rows came ahead where 3"),
        begun(made, system, tmp_path, iter(fewer)) as ahead,
    ):
        deliver(made, system.connection, ahead)
    assert len(system.rows()) == len(PEOPLE)
    assert len(system.query("SELECT * FROM crossdock_delivery")) == 1


def test_a_delivery_that_fails_while_rows_go_ahead_does_not_wait_for_them(postgres_consumer, tmp_path):
    made = shipment(tmp_path / "1", postgres_consumer.agreed("full"), PEOPLE)
    (batch,) = batches(made.prepared.rows)
    with pytest.raises(ZeroDivisionError), begun(made, postgres_consumer, tmp_path, repeat(batch)):  # without an end
        1 / 0  # noqa: B018
    assert postgres_consumer.query("SELECT to_regclass('population')::text") == [(None,)]


def test_a_key_whose_altering_can_not_be_taken_back_waits_until_the_delivery_is_whole(request, tmp_path):
    system = consumer("mariadb", tmp_path, request)
    sent(tmp_path / "1", system, system.agreed("changes"), PEOPLE)
    keyed = "SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'population'"
    made = shipment(tmp_path / "2", system.agreed("full"), PEOPLE[1:], sequence=2)
    with begun(made, system, tmp_path) as ahead:
        assert system.query(keyed)
        deliver(made, system.connection, ahead)
    assert not system.query(keyed)
    assert set(system.rows()) == {each["resident_id"] for each in PEOPLE[1:]}


@pytest.fixture
def changed(system, tmp_path):
    """A delivery of changes after a first one, which has arrived: one row goes, one comes, one is another."""
    agreed = system.agreed("changes")
    first = shipment(tmp_path / "1", agreed, PEOPLE)
    deliver(first, system.connection)
    after = [PEOPLE[0], PEOPLE[1] | {"name": "other"}, person(7)]
    return shipment(tmp_path / "2", agreed, after, sequence=2, previous=held(first.prepared))


def names(system):
    return dict(system.query("SELECT resident_id, name FROM population"))


def test_changes_arrive_once(changed, system, tmp_path):
    with changing(changed, system, tmp_path) as ahead:
        first = deliver(changed, system.connection, ahead)
    told = names(system)
    assert sorted(told.values()) == sorted([PEOPLE[0]["name"], "other", person(7)["name"]])
    with changing(changed, system, tmp_path) as ahead:
        assert deliver(changed, system.connection, ahead) == first
    assert names(system) == told
    assert len(system.query("SELECT * FROM crossdock_delivery")) == 2


def test_changes_that_are_not_sent_are_taken_back(changed, system, tmp_path):
    before = names(system)
    with pytest.raises(ZeroDivisionError), changing(changed, system, tmp_path):
        1 / 0  # noqa: B018
    assert names(system) == before
    assert len(system.query("SELECT * FROM crossdock_delivery")) == 1
    with changing(changed, system, tmp_path) as ahead:
        deliver(changed, system.connection, ahead)
    assert names(system) != before


def test_changes_to_a_table_that_others_have_changed_are_refused_and_taken_back(changed, system, tmp_path):
    system.query(f"DELETE FROM population WHERE resident_id = '{PEOPLE[0]['resident_id']}'")
    before = names(system)
    with pytest.raises(ConsumerRefused, match="changed by others"), changing(changed, system, tmp_path) as ahead:
        deliver(changed, system.connection, ahead)
    assert names(system) == before


def test_changes_that_break_a_constraint_are_named_by_their_place(changed, system, tmp_path):
    before = names(system)
    system.query("ALTER TABLE population ADD CONSTRAINT known CHECK (name <> 'other')")
    with pytest.raises(RecordsRejected) as rejected, changing(changed, system, tmp_path) as ahead:
        deliver(changed, system.connection, ahead)
    assert list(dict(rejected.value.records).values()) == ["check"]
    assert names(system) == before
