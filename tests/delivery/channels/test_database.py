"""The database channel: tables it makes, takes and refuses, and every type in SQLite and PostgreSQL."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.connections import Connection
from crossdock.contracts.model import Column
from crossdock.delivery import dialects, postgres
from crossdock.delivery.channels import database
from crossdock.delivery.channels.channel import deliver
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from delivery.consumers import ServerConsumer, consumer, index_names
from delivery.samples import CONTRACT, SCHEMA, held, person, shipment, snapshot

PEOPLE = [person(n) for n in range(3)]


@pytest.fixture(params=["sqlite", "postgres", "mariadb", "mysql", "dialect"])
def system(request, tmp_path):
    return consumer(request.param, tmp_path, request)


def test_every_type_arrives_exactly(system, tmp_path):
    nothing = dict.fromkeys(SCHEMA.names) | {"resident_id": "x"}
    agreed = system.agreed(columns=SCHEMA.names)
    deliver(shipment(tmp_path / "1", agreed, [person(1), nothing]), system.connection)
    (row,) = system.query("SELECT * FROM population WHERE resident_id <> 'x'")
    wanted = tuple(person(1).values())
    if system.connection.type == "sqlite":
        wanted = (
            *wanted[:3], "1990-01-02", "520103", "1.50", 1, 1.51, 1, "2026-01-01 08:01:00.000000Z",
            "2026-01-01 08:00:00.000123", "08:30:00.000000",
        )  # fmt: skip
    if system.connection.type == "mysql":
        at, opens = datetime.fromisoformat("2026-01-01 08:01:00"), timedelta(hours=8, minutes=30)
        wanted = (*wanted[:9], at, wanted[10], opens)
    assert row == wanted
    assert system.query("SELECT * FROM population WHERE resident_id = 'x'") == [("x", *[None] * 11)]


def test_the_table_has_the_agreed_columns_only(system, tmp_path):
    deliver(shipment(tmp_path / "1", system.agreed(columns=("name",)), PEOPLE), system.connection)
    assert system.query("SELECT * FROM population") == [(p["name"],) for p in PEOPLE]


@pytest.mark.parametrize(
    "columns",
    [
        "resident_id TEXT, name TEXT",
        "resident_id TEXT, name TEXT, phone TEXT, own TEXT",
        "resident_id TEXT, name TEXT, phone BIGINT",
    ],
)
def test_another_table_is_refused_and_untouched(system, tmp_path, columns):
    system.query(f"CREATE TABLE population ({columns})")
    with pytest.raises(ConsumerRefused, match="other columns than agreed"):
        deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    assert system.query("SELECT * FROM population") == []


def test_a_table_of_the_consumer_is_taken_when_empty(system, tmp_path):
    system.query("CREATE TABLE population (phone VARCHAR(20), name TEXT, resident_id VARCHAR(64) PRIMARY KEY)")
    first = shipment(tmp_path / "1", system.agreed("changes"), PEOPLE)
    deliver(first, system.connection)
    index_names(system)
    later = shipment(tmp_path / "2", system.agreed("changes"), PEOPLE[1:], sequence=2, previous=held(first.prepared))
    deliver(later, system.connection)
    assert set(system.rows()) == {p["resident_id"] for p in PEOPLE[1:]}


def test_rows_of_others_are_never_replaced(system, tmp_path):
    system.query("CREATE TABLE population (resident_id TEXT, name TEXT, phone TEXT)")
    system.query("INSERT INTO population VALUES ('theirs', NULL, NULL)")
    with pytest.raises(ConsumerRefused, match="did not deliver"):
        deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    assert set(system.rows()) == {"theirs"}


def test_a_table_belongs_to_one_agreement(system, tmp_path):
    deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    other = system.agreed(id="health/patients/tax")
    with pytest.raises(ConsumerRefused, match="another agreement"):
        deliver(shipment(tmp_path / "2", other, [], sequence=2, delivery_id="d9"), system.connection)
    assert len(system.rows()) == 3


def test_full_keeps_the_table_itself(system, tmp_path):
    deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    system.query("CREATE VIEW names AS SELECT name FROM population")
    deliver(shipment(tmp_path / "2", system.agreed(), PEOPLE[:1], sequence=2), system.connection)
    assert system.query("SELECT * FROM names") == [(PEOPLE[0]["name"],)]


def test_the_marker_tells_what_arrived(system, tmp_path):
    sent = shipment(tmp_path / "1", system.agreed(), PEOPLE)
    receipt = deliver(sent, system.connection)
    rows = "`rows`" if system.connection.type == "mysql" else "rows"  # a reserved word there
    found = system.query(f"SELECT delivery_id, agreement, {rows}, digest, delivered_at FROM crossdock_delivery")
    assert found == [("d1", sent.agreement.id, 3, sent.digest, receipt.delivered_at)]


def test_changes_touch_only_what_differs(tmp_path, request):
    """A consumer's trigger sees what changed and nothing else, also where its row was already as it shall be."""
    system = consumer("sqlite", tmp_path, request)
    first = shipment(tmp_path / "1", system.agreed("changes"), PEOPLE)
    deliver(first, system.connection)
    ids = [p["resident_id"] for p in PEOPLE]
    system.query("UPDATE population SET name = 'new' WHERE resident_id = ?", ids[0])
    system.query("CREATE TABLE seen (what TEXT, id TEXT)")
    for what, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        system.query(
            f"CREATE TRIGGER on_{what} AFTER {what} ON population BEGIN "
            f"INSERT INTO seen VALUES ('{what}', {row}.resident_id); END"
        )
    after = [PEOPLE[0] | {"name": "new"}, PEOPLE[1] | {"name": "other"}, person(7)]
    later = shipment(tmp_path / "2", system.agreed("changes"), after, sequence=2, previous=held(first.prepared))
    deliver(later, system.connection)
    assert set(system.query("SELECT * FROM seen")) == {
        ("UPDATE", ids[1]), ("INSERT", after[2]["resident_id"]), ("DELETE", ids[2])
    }  # fmt: skip


def deliver_looking(made, connection):
    """Delivers changes as a whole delivery does, which looks at the table while it is made, and changes it then."""
    with database.ahead(made.order, connection, made.prepared.rows.parent) as ahead:
        if ahead:
            ahead.look()
            ahead.change(made.prepared.goods, made.prepared.rows, made.prepared.deletes)
        return deliver(made, connection, ahead)


@pytest.mark.parametrize("way", [deliver, deliver_looking])
@pytest.mark.parametrize(
    "laid_out",
    [
        ["CREATE TABLE population (resident_id TEXT PRIMARY KEY, name TEXT, phone TEXT)"],
        ["CREATE TABLE population (resident_id TEXT, name TEXT, phone TEXT)"],
        [
            "CREATE TABLE population (resident_id TEXT, name TEXT, phone TEXT)",
            "CREATE UNIQUE INDEX ON population (resident_id) WHERE name IS NOT NULL",
            "CREATE UNIQUE INDEX ON population (lower(resident_id))",
            "CREATE UNIQUE INDEX ON population (resident_id, name)",
        ],
        [
            "CREATE TABLE population (resident_id TEXT PRIMARY KEY, name TEXT, phone TEXT)",
            (
                "CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF EXISTS (SELECT FROM population WHERE resident_id = NEW.resident_id) THEN RAISE 'twice'; END IF; "
                "RETURN NEW; END $$"
            ),
            "CREATE TRIGGER once BEFORE INSERT ON population FOR EACH ROW EXECUTE FUNCTION once()",
        ],
        [
            "CREATE TABLE population (resident_id TEXT PRIMARY KEY, name TEXT, phone TEXT) PARTITION BY HASH (resident_id)",
            "CREATE TABLE even PARTITION OF population FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "CREATE TABLE odd PARTITION OF population FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        ],
    ],
    ids=["key", "no key", "other indexes", "trigger", "partitions"],
)
def test_changes_arrive_in_postgres_whatever_indexes_and_triggers_there_are(tmp_path, request, laid_out, way):
    system = consumer("postgres", tmp_path, request)
    for statement in laid_out:
        system.query(statement)
    first = shipment(tmp_path / "1", system.agreed("changes"), PEOPLE)
    deliver(first, system.connection)
    before = dict(system.query("SELECT resident_id, xmin::text FROM population"))
    after = [PEOPLE[0], PEOPLE[1] | {"name": "other"}, person(7)]
    later = shipment(tmp_path / "2", system.agreed("changes"), after, sequence=2, previous=held(first.prepared))
    way(later, system.connection)
    assert dict(system.query("SELECT resident_id, name FROM population")) == {
        p["resident_id"]: p["name"] for p in after
    }
    same = PEOPLE[0]["resident_id"]  # its row was not even written again
    assert dict(system.query("SELECT resident_id, xmin::text FROM population"))[same] == before[same]


@pytest.mark.parametrize("way", [deliver, deliver_looking])
@pytest.mark.parametrize(
    ("spoiling", "told"),
    [
        ("DROP TABLE population", "table is gone"),
        ("DELETE FROM population", "1 rows instead of 3"),
        ("INSERT INTO population VALUES ('theirs', NULL, NULL)", "4 rows instead of 3"),
        (
            f"UPDATE population SET resident_id = 'theirs' WHERE resident_id = '{PEOPLE[0]['resident_id']}'",
            "4 rows instead of 3",
        ),
    ],
)
def test_changes_to_a_table_that_others_changed_are_refused_and_a_new_table_is_whole(
    system, tmp_path, spoiling, told, way
):
    first = shipment(tmp_path / "1", system.agreed("changes"), PEOPLE)
    deliver(first, system.connection)
    system.query(spoiling)
    after = [*PEOPLE[1:], person(7)]
    later = shipment(tmp_path / "2", system.agreed("changes"), after, sequence=2, previous=held(first.prepared))
    with pytest.raises(ConsumerRefused, match=told):
        way(later, system.connection)
    assert system.query("SELECT delivery_id FROM crossdock_delivery") == [("d1",)]
    system.options["table"] = "residents"
    anew = shipment(tmp_path / "3", system.agreed("changes"), after, sequence=3, previous=held(first.prepared))
    way(anew, system.connection)
    assert {row[0] for row in system.query("SELECT resident_id FROM residents")} == {p["resident_id"] for p in after}


@pytest.mark.parametrize("table", ["", "a.b.c", "x; DROP TABLE y", 'a"b', "crossdock_delivery", "n" * 64, "1a"])
def test_improper_tables_are_refused(system, tmp_path, table):
    agreed = system.agreed()
    agreed = replace(agreed, delivery=replace(agreed.delivery, options={"table": table}))
    with pytest.raises(ConsumerRefused):
        deliver(shipment(tmp_path / "1", agreed, PEOPLE), system.connection)


def test_a_schema_of_postgres(tmp_path, request):
    system = consumer("postgres", tmp_path, request)
    system.query('CREATE SCHEMA "交换"')
    system.options["table"] = "交换.人口"
    deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    assert len(system.query('SELECT * FROM "交换"."人口"')) == 3
    assert len(system.query('SELECT * FROM "交换".crossdock_delivery')) == 1


def test_a_role_that_may_not_make_tables_delivers_into_one_it_was_given(tmp_path, request):
    system = consumer("postgres", tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    role = system.connection.schema + "_writer"
    system.query(f"CREATE ROLE {role} LOGIN")
    system.query(f"GRANT SELECT, INSERT, UPDATE, DELETE ON population, crossdock_delivery TO {role}")
    system.connection = replace(system.connection, login=role)
    deliver(shipment(tmp_path / "2", system.agreed(), PEOPLE[:1], sequence=2), system.connection)
    assert len(system.rows()) == 1
    system.query(f"REVOKE ALL ON population FROM {role}")
    with pytest.raises(ConsumerRefused, match="SQLSTATE 42501"):
        deliver(shipment(tmp_path / "3", system.agreed(), PEOPLE, sequence=3), system.connection)
    assert len(system.rows()) == 1


def test_a_database_that_does_not_answer(tmp_path):
    gone = Connection(
        id="consumer_tax", type="postgres", host="127.0.0.1", port=1, login="u", password="SECRET", schema="x"
    )
    system = ServerConsumer(gone, "database", {"table": "population"})
    with pytest.raises(ConsumerUnavailable) as caught:
        deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), gone)
    assert "SECRET" not in str(caught.value)
    absent = Connection(id="consumer_tax", type="sqlite", host=str(tmp_path / "no" / "x.db"))
    with pytest.raises(ConsumerUnavailable):
        deliver(shipment(tmp_path / "2", system.agreed(), PEOPLE), absent)
    with pytest.raises(ConsumerRefused, match="Did you mean 'postgres'"):
        deliver(shipment(tmp_path / "3", system.agreed(), PEOPLE), replace(gone, type="postgre"))


@pytest.mark.parametrize("kind", ["mariadb", "mysql", "dialect"])
def test_a_server_that_does_not_know_us(kind, tmp_path, request):
    system = consumer(kind, tmp_path, request)
    sent = shipment(tmp_path / "1", system.agreed(), PEOPLE)
    gone = replace(system.connection, port=1, password="SECRET")
    if kind == "dialect":
        gone = replace(gone, extra={"sqlalchemy_url": "postgresql+psycopg://127.0.0.1:1/x"})
    stranger = replace(system.connection, login="stranger", password="SECRET")
    for connection, error in ((gone, ConsumerUnavailable), (stranger, ConsumerRefused)):
        with pytest.raises(error) as caught:
            deliver(sent, connection)
        assert "SECRET" not in f"{caught.value!r}{caught.value}"
    with pytest.raises(ConsumerRefused, match="driver is not installed"):
        deliver(sent, replace(gone, type="another", extra={"sqlalchemy_url": "nosuch+driver://x"}))


@pytest.mark.parametrize("state", ["28000", "28P01", "3D000"])
def test_a_database_of_any_kind_that_turns_us_away_is_not_tried_again(state, tmp_path, request):
    system = consumer("dialect", tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    system.query(
        f"CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$;"
        "CREATE TRIGGER away BEFORE INSERT ON population FOR EACH ROW EXECUTE FUNCTION away()"
    )
    with pytest.raises(ConsumerRefused, match=f"does not let us in .SQLSTATE {state}"):
        deliver(shipment(tmp_path / "2", system.agreed(), PEOPLE, sequence=2), system.connection)


@pytest.fixture
def guarded(postgres):
    """A database of its own, whose role has a password that the server asks for."""
    connection, url = postgres.new_database()
    role = f"r_{connection.schema}"
    system = ServerConsumer(
        replace(connection, login=role, password="right SECRET"), "database", {"table": "population"}, url
    )
    system.query(f"SET password_encryption = 'scram-sha-256'; CREATE ROLE {role} LOGIN PASSWORD 'right SECRET'")
    system.query(f"GRANT CREATE ON SCHEMA public TO {role}")
    with postgres.asking_for_password(role):
        yield system


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"password": "wrong SECRET"}, "28P01"),
        ({"login": "stranger"}, "28000"),
        ({"schema": "no_such_database"}, "3D000"),
    ],
)
@pytest.mark.parametrize("way", ["own", "dialect"])
def test_postgres_does_not_let_us_in(guarded, change, state, way, tmp_path):
    if way == "dialect":  # psycopg says nothing of why
        url = guarded.url.replace("crossdock@", "@")
        guarded.connection = replace(guarded.connection, type="another", extra={"sqlalchemy_url": url})
        name = change.get("schema", guarded.connection.schema)
        change = change | {"extra": {"sqlalchemy_url": f"{url.rpartition('/')[0]}/{name}"}}
    sent = shipment(tmp_path / "1", guarded.agreed(), PEOPLE)
    with pytest.raises(ConsumerRefused, match=f"let us in .SQLSTATE {state}") as caught:
        deliver(sent, replace(guarded.connection, **change))
    assert "SECRET" not in f"{caught.value!r}{caught.value}"
    deliver(sent, guarded.connection)
    assert len(guarded.rows()) == len(PEOPLE)


def test_postgres_may_let_us_in_but_not_into_this_database(guarded, tmp_path):
    guarded.query(f"REVOKE CONNECT ON DATABASE {guarded.connection.schema} FROM public")
    with pytest.raises(ConsumerRefused, match="SQLSTATE 42501"):
        deliver(shipment(tmp_path / "1", guarded.agreed(), PEOPLE), guarded.connection)


@pytest.mark.parametrize("way", ["own", "dialect"])
def test_postgres_with_no_connection_left_is_for_later(guarded, way, tmp_path):
    if way == "dialect":
        guarded.connection = replace(guarded.connection, type="another", extra={"sqlalchemy_url": guarded.url})
    guarded.query(f"ALTER DATABASE {guarded.connection.schema} CONNECTION LIMIT 0")
    with pytest.raises(ConsumerUnavailable):
        deliver(shipment(tmp_path / "1", guarded.agreed(), PEOPLE), guarded.connection)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"R\0\0\0\1", b"E\0\0\0\7C2"])
def test_a_server_that_is_not_postgres_is_for_later(answer, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk():
            with suppress(OSError):
                while True:
                    with listening.accept()[0] as one:
                        one.recv(1024)
                        one.sendall(answer)

        threading.Thread(target=talk, daemon=True).start()
        there = Connection(id="consumer_tax", type="postgres", host="127.0.0.1", port=listening.getsockname()[1])
        system = ServerConsumer(there, "database", {"table": "population"})
        with pytest.raises(ConsumerUnavailable):
            deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), there)


CUT = {
    "postgres": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mariadb": "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
}
CUT["mysql"] = CUT["mariadb"]


@pytest.mark.parametrize("step", ["staged", "changed", "marked"])
@pytest.mark.parametrize("kind", ["postgres", "mariadb", "mysql", "dialect"])
def test_a_server_that_ends_our_session_in_the_middle(kind, step, tmp_path, request, monkeypatch):
    """As one that restarts does: nothing of the delivery is there, and it is for later."""
    system = consumer(kind, tmp_path, request)
    deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE[:1]), system.connection)

    def cut(reached):
        if reached == f"delivery.database.{step}":
            for (number,) in system.query(CUT["postgres" if kind == "dialect" else kind]):
                if kind in ("mariadb", "mysql"):
                    system.query(f"KILL CONNECTION {number}")

    monkeypatch.setattr(database, "reached", cut)
    sent = shipment(tmp_path / "2", system.agreed(), PEOPLE, sequence=2)
    with pytest.raises(ConsumerUnavailable):
        deliver(sent, system.connection)
    assert set(system.rows()) == {PEOPLE[0]["resident_id"]}
    monkeypatch.undo()
    deliver(sent, system.connection)
    assert len(system.rows()) == len(PEOPLE)


def test_who_finds_another_at_work_in_postgres_waits_for_a_while(tmp_path, request, monkeypatch):
    """Such as one that is gone without a word: the server gives it up once that is seen."""
    monkeypatch.setitem(postgres._SETTINGS, "lock_timeout", "200ms")
    system = consumer("postgres", tmp_path, request)
    sent = shipment(tmp_path / "1", system.agreed(), PEOPLE)
    with postgres.open_postgres(system.connection) as other:
        other.begin()
        assert other.execute("SELECT current_setting('tcp_keepalives_idle')") == [("30",)]
        with pytest.raises(ConsumerUnavailable, match="55P03"):
            deliver(sent, system.connection)
        other.rollback()
    deliver(sent, system.connection)
    assert len(system.rows()) == len(PEOPLE)


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_server_that_lets_us_in_and_says_nothing(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(postgres._ALIVE, "connect_timeout", "2")
    monkeypatch.setattr(dialects, "_SILENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = Connection(
            id="consumer_tax", type=kind, host="127.0.0.1", port=silent.getsockname()[1], login="u", password="SECRET"
        )
        system = ServerConsumer(mute, "database", {"table": "population"})
        with pytest.raises(ConsumerUnavailable) as caught:
            deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), mute)
    assert "SECRET" not in str(caught.value)


def test_a_table_without_transactions_is_refused(tmp_path, request):
    system = consumer("mariadb", tmp_path, request)
    system.query("CREATE TABLE population (resident_id TEXT, name TEXT, phone TEXT) ENGINE = MyISAM")
    with pytest.raises(ConsumerRefused, match="MyISAM, which has no transactions"):
        deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.none(), min_size=1, max_size=60))
def test_any_text_arrives_in_mariadb_as_it_is(texts, tmp_path_factory, request):
    """Whole batches are one statement of literals there: nothing in them may end one."""
    folder = tmp_path_factory.mktemp("texts")
    system = consumer("mariadb", folder, request)
    people = [
        person(n, name=text)
        for n, text in enumerate([*texts, "\\", "'", "\\'", "''); DROP TABLE population; --", "%s"])
    ]
    deliver(shipment(folder / "1", system.agreed(), people), system.connection)
    assert system.rows() == {p["resident_id"]: (p["resident_id"], p["name"], p["phone"]) for p in people}


def test_a_locked_sqlite_file_is_unavailable(tmp_path, request, monkeypatch):
    monkeypatch.setattr("crossdock.delivery.sqlite._PATIENCE", 0.1)
    system = consumer("sqlite", tmp_path, request)
    with closing(sqlite3.connect(system.connection.host, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConsumerUnavailable, match="SQLITE_BUSY"):
            deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)


def test_no_database_at_all_is_refused(tmp_path, request):
    system = consumer("sqlite", tmp_path, request)
    (tmp_path / "tax.db").write_bytes(b"not a database, but long enough to be taken for one" * 20)
    with pytest.raises(ConsumerRefused, match="SQLITE_NOTADB"):
        deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)


NESTED = pa.struct([("City", pa.string()), ("since", pa.list_(pa.date32()))])
WITH_OBJECT = replace(
    CONTRACT, columns=(CONTRACT.columns[0], Column(name="address", source_name="address", type="object"))
)


def lives(number, **address):
    return {"resident_id": str(number), "address": address or None}


def moved(folder, agreed, rows, **more):
    schema = pa.schema([pa.field("resident_id", pa.string(), nullable=False), pa.field("address", NESTED)])
    given = snapshot(folder / "in", rows, schema=schema)
    return shipment(folder, agreed, given, contract=WITH_OBJECT, **more)


def test_objects_arrive_as_json_and_change(system, tmp_path):
    agreed = system.agreed(columns=("resident_id", "address"), mode="changes")
    first = moved(tmp_path / "1", agreed, [lives(1, City="a", since=[date(2026, 1, 31)]), lives(2, City="b"), lives(3)])
    deliver(first, system.connection)
    rows = [lives(1, City="a", since=[date(2026, 1, 31)]), lives(2, City="c"), lives(3)]
    second = moved(tmp_path / "2", agreed, rows, sequence=2, previous=held(first.prepared))
    assert second.prepared.counts.updated == 1
    deliver(second, system.connection)
    found = system.query("SELECT resident_id, address FROM population ORDER BY resident_id")
    seen = {key: json.loads(value) if isinstance(value, str) else value for key, value in found}
    assert seen == {"1": {"City": "a", "since": ["2026-01-31"]}, "2": {"City": "c", "since": None}, "3": None}


def test_an_object_is_jsonb_in_postgres(tmp_path, request):
    system = consumer("postgres", tmp_path, request)
    agreed = system.agreed(columns=("resident_id", "address"))
    deliver(moved(tmp_path / "1", agreed, [lives(1, City="a")]), system.connection)
    assert system.query("SELECT address ->> 'City' FROM population WHERE address @> '{\"City\": \"a\"}'") == [("a",)]
