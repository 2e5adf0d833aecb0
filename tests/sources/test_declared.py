"""What databases say of their columns, from real ones."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crossdock.connections import Connection
from crossdock.errors import SourceInvalid, SourceUnavailable
from crossdock.sources.databases.declared import Declared, declared
from crossdock.sources.databases.query import Table

TABLE = Table(schema="", name="people")


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "100% ours?#.db"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE people (name VARCHAR(40), id TEXT, year INTEGER, fee NUMERIC(8,2), rate REAL, x,"
            " PRIMARY KEY (year, id));"
            "CREATE VIEW known AS SELECT name, id FROM people;"
        )
    database.close()
    return Connection(id="c", type="sqlite", host=str(path))


def test_sqlite(sqlite):
    assert declared(sqlite, TABLE) == (
        Declared(name="name", text=True, length=40),
        Declared(name="id", text=True, key_position=2),
        Declared(name="year", number=True, key_position=1),
        Declared(name="fee", number=True, precision=8, scale=2),
        Declared(name="rate", number=True),
        Declared(name="x"),
    )
    assert [c.name for c in declared(sqlite, Table(schema="", name="known"))] == ["name", "id"]


def test_sqlite_without_the_table_or_the_file(sqlite, tmp_path):
    with pytest.raises(SourceInvalid, match="Did you mean 'people'"):
        declared(sqlite, Table(schema="", name="peopel"))
    with pytest.raises(SourceUnavailable):
        declared(replace(sqlite, host=str(tmp_path / "none.db")), TABLE)
    assert not (tmp_path / "none.db").exists()


def test_postgres(postgres):
    connection, url = postgres.new_database()
    engine = sa.create_engine(url)
    with engine.begin() as session:
        for statement in (
            "CREATE SCHEMA s",
            "CREATE TABLE s.people (code char(6), amount numeric(12,2), free numeric, n bigint, born date, PRIMARY KEY (n, code))",
            "COMMENT ON COLUMN s.people.code IS '行政区划'",
            "CREATE VIEW s.known AS SELECT code, n FROM s.people",
        ):
            session.execute(sa.text(statement))
    engine.dispose()
    assert declared(connection, Table(schema="s", name="people")) == (
        Declared(name="code", text=True, length=6, key_position=2, comment="行政区划"),
        Declared(name="amount", number=True, precision=12, scale=2),
        Declared(name="free", number=True),
        Declared(name="n", number=True, key_position=1),
        Declared(name="born"),
    )
    assert [c.name for c in declared(connection, Table(schema="s", name="known"))] == ["code", "n"]
    with pytest.raises(SourceUnavailable):
        declared(replace(connection, port=1), TABLE)
