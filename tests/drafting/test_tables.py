"""Drafts of database tables: what the database declares goes before what its values look like."""

from __future__ import annotations

import sqlite3

import pyarrow.dataset as pads
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from confirming import confirmed, resident_id
from crossdock.connections import Connection
from crossdock.contracts.odcs import read_contract
from crossdock.drafting.draft import Names, draft_table
from crossdock.errors import SourceInvalid, WrongUse
from crossdock.sources.landing import land
from crossdock.sources.source import read
from crossdock.validation.judge import Context, judge


def drafted(connection, table, folder):
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return draft_table(connection, table, Names(department="police"), scratch=scratch)


def accepted(draft, connection, folder):
    """Pulls and judges the table as the confirmed draft says; returns the outcome."""
    contract = read_contract(confirmed(draft, folder))
    landed = land(read(contract, lambda _: connection, since=None), folder / "extract.parquet")
    return judge(contract, pads.dataset(landed.path, format="parquet"), context=Context(scratch=folder)).outcome


@pytest.fixture
def register(tmp_path):
    """Makes a SQLite database of statements."""

    def make(*statements, rows=()):
        path = tmp_path / "register.db"
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as database:
            database.executescript(";".join(statements))
            for row in rows:
                database.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(row))})", row)
        database.close()
        return Connection(id="dept_police", type="sqlite", host=str(path))

    return make


def test_a_table_of_sqlite(register, tmp_path):
    connection = register(
        "CREATE TABLE t (id INTEGER, sfzh TEXT, code TEXT, fee NUMERIC(8,2), seen TEXT, note TEXT, PRIMARY KEY (sfzh, id))",
        rows=[(n, resident_id(n), str(1000 + n), n / 4, f"2026-05-0{n % 9 + 1}T08:00:00", None) for n in range(30)],
    )
    draft = drafted(connection, "t", tmp_path)
    assert {c.column.name: (c.type, c.column.key_position) for c in draft.columns} == {
        "id": ("integer", 2), "sfzh": ("string", 1), "code": ("string", None), "fee": ("decimal(8,2)", None),
        "seen": ("timestamp", None), "note": ("string", None),
    }  # fmt: skip
    assert "part of the primary key, as the database declares" in draft.columns[0].question
    source = draft.document["customProperties"][0]["value"]["source"]
    assert source == {"kind": "database", "connection": "dept_police", "table": "t"}
    assert accepted(draft, connection, tmp_path) == "accepted"


def test_a_key_with_gaps_is_none(register, tmp_path):
    connection = register("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)", rows=[(None, 1), (None, 2), ("a", 3)])
    draft = drafted(connection, "t", tmp_path)
    assert read_contract(confirmed(draft, tmp_path)).primary_key == ("n",)
    assert accepted(draft, connection, tmp_path) == "accepted"


def test_an_empty_table_and_a_view(register, tmp_path):
    connection = register("CREATE TABLE t (a TEXT, b INTEGER)", "CREATE VIEW v AS SELECT a FROM t")
    for name, columns in (("t", ["a", "b"]), ("v", ["a"])):
        draft = drafted(connection, name, tmp_path)
        assert [each.column.name for each in draft.columns] == columns
        assert accepted(draft, connection, tmp_path) == "accepted"


def test_no_such_table(register, tmp_path):
    connection = register("CREATE TABLE people (a TEXT)")
    with pytest.raises(SourceInvalid, match="Did you mean 'people'"):
        drafted(connection, "peopel", tmp_path)
    with pytest.raises(WrongUse):
        drafted(connection, "", tmp_path)


cells = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=4), st.binary(max_size=3)
)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(cells, st.integers(0, 9), st.dates().map(str)), max_size=12),
    st.sampled_from(["TEXT", "INTEGER", "NUMERIC(9,2)", ""]),
)
def test_whatever_sqlite_holds_is_accepted(tmp_path_factory, rows, declared):
    folder = tmp_path_factory.mktemp("sqlite")
    with sqlite3.connect(folder / "r.db") as database:
        database.execute(f"CREATE TABLE t (a {declared}, b INTEGER, c TEXT)")
        database.executemany("INSERT INTO t VALUES (?, ?, ?)", [(_storable(a), b, c) for a, b, c in rows])
    database.close()
    connection = Connection(id="c", type="sqlite", host=str(folder / "r.db"))
    assert accepted(drafted(connection, "t", folder), connection, folder) == "accepted"


def _storable(value):
    return value.replace("\0", "") if isinstance(value, str) else value


def test_a_table_of_postgres(postgres, tmp_path):
    connection, url = postgres.new_database()
    engine = sa.create_engine(url)
    with engine.begin() as session:
        for statement in (
            "CREATE SCHEMA s",
            (
                "CREATE TABLE s.people (code char(6), amount numeric(12,2), n bigint PRIMARY KEY, born date, seen timestamptz,"
                " noted timestamp, at time, ratio double precision, ok boolean, tags text[], doc jsonb, free numeric)"
            ),
            "COMMENT ON COLUMN s.people.code IS '行政区划'",
            "COMMENT ON COLUMN s.people.amount IS 'Taxable income'",
            (
                "INSERT INTO s.people SELECT '520102', n * 1.5, n, '2020-01-01', '2020-01-01T08:00Z', '2020-01-01 08:00', '08:30',"
                " n / 3.0, n % 2 = 0, '{a,b}', '{\"k\": 1}', n FROM generate_series(1, 40) n"
            ),
        ):
            session.execute(sa.text(statement))
    engine.dispose()
    draft = drafted(connection, "s.people", tmp_path)
    assert {c.column.name: c.type for c in draft.columns} == {
        "code": "string", "amount": "decimal(12,2)", "n": "integer", "born": "date", "seen": "timestamp with a time zone",
        "noted": "timestamp", "at": "time", "ratio": "number", "ok": "boolean", "tags": "string", "doc": "string",
        "free": "integer",
    }  # fmt: skip
    given_ = {p["name"]: p for p in draft.document["schema"][0]["properties"]}
    assert (given_["code"]["businessName"], given_["amount"]["description"]) == ("行政区划", "Taxable income")
    assert given_["n"]["primaryKey"] is True
    assert accepted(draft, connection, tmp_path) == "accepted"
