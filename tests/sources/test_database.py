"""Databases: real SQLite and PostgreSQL, and PostgreSQL again through SQLAlchemy as any other dialect."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.connections import Connection
from crossdock.errors import SourceInvalid, SourceUnavailable, WrongUse
from crossdock.sources.source import read
from sources.made import column, contract, rows, table


def lite(path, *statements, many=None) -> Connection:
    with closing(sqlite3.connect(path)) as session:
        for statement in statements:
            session.execute(statement)
        if many:
            session.executemany(*many)
        session.commit()
    return Connection(id="dept", type="sqlite", host=str(path))


def pulled(made, connection, since=None):
    return read(made, lambda _: connection, since=since)


def of(*columns, table="t", **given):
    return contract(*columns, kind="database", table=table, **given)


# --- SQLite ---


def test_sqlite_gives_every_value_as_text_whatever_the_column_says(tmp_path):
    connection = lite(
        tmp_path / "a b?c%.db",
        'CREATE TABLE "t ""x""" (n INTEGER, s VARCHAR(20), "select" REAL, more BLOB)',
        many=(
            'INSERT INTO "t ""x""" VALUES (?, ?, ?, ?)',
            [
                (None, None, None, None),
                (1, "007", 0.1, b"\x00\xff"),
                ("x", "a\0b", 1 / 3, "é"),
                (2**63 - 1, "", 1e300, None),
            ],
        ),
    )
    made = of("s", column("n"), column("f", source_name="select"), "more", "gone", table='t "x"')
    got = pulled(made, connection)
    assert got.missing == ("gone",)
    data = table(got)
    assert data.column_names == ["s", "n", "f", "more"]
    assert data["s"].to_pylist() == [None, "007", "a\0b", ""]
    assert data["n"].to_pylist() == [None, "1", "x", str(2**63 - 1)]
    assert data["f"].to_pylist()[:2] == [None, "0.1"]
    assert [float(text) for text in data["f"].to_pylist()[1:]] == [0.1, 1 / 3, 1e300]
    assert data["more"].to_pylist() == [None, "X'00FF'", "é", None]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.lists(
        st.none()
        | st.integers(-(2**63), 2**63 - 1)
        | st.text(st.characters(codec="utf-8"))
        | st.floats(allow_nan=False, allow_infinity=False),
        max_size=20,
    )
)
def test_sqlite_values_come_back(tmp_path, values):
    path = tmp_path / "x.db"
    path.unlink(missing_ok=True)
    connection = lite(path, "CREATE TABLE t (v)", many=("INSERT INTO t VALUES (?)", [(v,) for v in values]))
    for value, got in zip(values, rows(pulled(of("v"), connection)), strict=True):
        assert (float(got["v"]) if isinstance(value, float) else got["v"]) == (
            str(value) if type(value) is int else value
        )


def test_sqlite_types_do_not_depend_on_the_first_rows(tmp_path):
    values = [(None,)] * 150_000 + [("late",)]
    connection = lite(tmp_path / "x.db", "CREATE TABLE t (v INTEGER)", many=("INSERT INTO t VALUES (?)", values))
    data = table(pulled(of("v"), connection))
    assert data.num_rows == 150_001
    assert data["v"][-1].as_py() == "late"


def test_sqlite_reads_views_and_empty_tables(tmp_path):
    connection = lite(tmp_path / "x.db", "CREATE TABLE t (v, w)", "CREATE VIEW seen AS SELECT w FROM t")
    assert rows(pulled(of("v"), connection)) == []
    assert pulled(of("v", "w", table="main.seen"), connection).missing == ("v",)


WATERMARKS = [
    # kind of the column, what the contract adds, values in order, the watermark, how many are beyond it
    ("timestamp", {}, ["2026-01-01", "2026-01-01 08:00", "2026-01-01T08:00:00", "2026-01-01 08:00:00.5", "2026-01-01T08:00:01"], "2026-01-01T08:00:00", 2),
    ("timestamp", {}, ["2026-01-01T08:00:00.123456", "2026-01-01T08:00:00.1234567", "2026-01-01T16:00:00+07:00"], "2026-01-01T08:00:00.123456", 1),
    ("timestamp", {"timezone": True}, ["2026-01-01T08:00:00+08:00", "2026-01-01T00:00:00.000001Z", "2026-01-01T08:00:00.9995+08:00"], "2026-01-01T00:00:00+00:00", 2),
    ("timestamp", {"formats": ("%Y%m%d%H%M%S",)}, ["20260101080000", "20260101080001"], "2026-01-01T08:00:00", 1),
    ("date", {}, ["2025-12-31", "2026-01-01", "2026-01-02"], "2026-01-01", 1),
    ("date", {"formats": ("%Y年%m月%d日",)}, ["2025年12月31日", "2026年01月01日", "2026年01月02日"], "2026-01-01", 1),
    ("date", {"formats": ("%d/%m/%Y",)}, ["31/12/2025", "02/01/2026"], "2026-01-01", 2),
    ("integer", {}, ["9", "10", "11"], "10", 1),
    ("string", {}, ["a", "B", "b", "ba"], "b", 1),
    ("number", {}, ["1.5", "2.5"], "2.0", 2),
]  # fmt: skip


@pytest.mark.parametrize("case", WATERMARKS, ids=str)
def test_a_text_watermark_leaves_out_only_what_is_surely_old(tmp_path, postgres, case):
    kind, more, values, since, beyond = case
    made = of(column("id"), column("w", kind, source_name="upd", **more), watermark="w")
    numbered = [(str(n), v) for n, v in enumerate(values)]
    connection = lite(
        tmp_path / "x.db", "CREATE TABLE t (id, upd TEXT)", many=("INSERT INTO t VALUES (?, ?)", numbered)
    )
    assert [row["w"] for row in rows(pulled(made, connection, since))] == values[-beyond:]
    assert len(rows(pulled(made, connection))) == len(values)
    server, _ = with_table(postgres, "CREATE TABLE t (id text, upd text)", "INSERT INTO t VALUES (:id, :upd)", numbered)
    got = [row["w"] for row in rows(pulled(made, server, since))]
    assert got[-beyond:] == values[-beyond:]


def test_sqlite_that_is_missing_wrong_or_locked_is_told(tmp_path):
    connection = lite(
        tmp_path / "x.db",
        "CREATE TABLE persons (v)",
        "CREATE TABLE bad (v)",
        "INSERT INTO bad VALUES (cast(x'ff41' AS TEXT))",
    )
    with pytest.raises(SourceInvalid, match=r"no table or view 'person'.*Did you mean 'persons'"):
        pulled(of("v", table="person"), connection)
    with pytest.raises(SourceInvalid, match="not UTF-8"):
        rows(pulled(of("v", table="bad"), connection))
    with pytest.raises(SourceInvalid, match="lacks the watermark column 'w'"):
        pulled(of("v", "w", table="persons", watermark="w"), connection, since="1")
    with pytest.raises(WrongUse, match="needs the option 'table'"):
        pulled(of("v", table=""), connection)
    with pytest.raises(SourceInvalid, match="no such database file"):
        pulled(of("v"), Connection(id="dept", type="sqlite", host=str(tmp_path / "none.db")))
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to look like one" * 40)
    with pytest.raises(SourceInvalid, match="Check that it is a SQLite file"):
        pulled(of("v"), Connection(id="dept", type="sqlite", host=str(tmp_path / "text.db")))
    # In a process of its own: SQLite's locks do not hold between two copies of the library in one.
    script = "import sqlite3, sys; s = sqlite3.connect(sys.argv[1]); s.execute('BEGIN EXCLUSIVE'); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "x.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(SourceUnavailable, match="can't be read now"):
            pulled(of("v", table="persons"), connection)


def test_a_stream_left_half_way_leaves_nothing_open(tmp_path):
    connection = lite(
        tmp_path / "x.db", "CREATE TABLE t (v)", many=("INSERT INTO t VALUES (?)", [(n,) for n in range(200_000)])
    )
    batches = pulled(of("v"), connection).batches
    next(batches)
    batches.close()
    pulled(of("v"), connection)


# --- PostgreSQL, by ADBC and by SQLAlchemy ---


def with_table(postgres, create, insert=None, values=()):
    connection, url = postgres.new_database()
    engine = sa.create_engine(url)
    with engine.begin() as session:
        session.execute(sa.text(create))
        if values:
            names = [word.strip(" :)") for word in insert.partition("(")[2].split(",")]
            session.execute(sa.text(insert), [dict(zip(names, row, strict=True)) for row in values])
    engine.dispose()
    other = Connection(id="dept", type="other", extra={"sqlalchemy_url": url})
    return connection, other


CREATE = """
CREATE DOMAIN code AS char(4);
CREATE SCHEMA "Reg 1";
CREATE TABLE "Reg 1"."People" ("Id" bigint, name text, amount numeric, income numeric(12,2), ratio double precision, active boolean,
    born date, seen timestamptz, noted timestamp, at time, code code, tags text[], extra jsonb, small smallint);
INSERT INTO "Reg 1"."People" VALUES
    (1, '张三', 12345678901234567890.123456789, 1.50, 0.1, true, '1990-02-28', '2026-01-01 08:00:00.123456+08', '2026-01-01 08:00',
     '08:30', '0012', '{a,b}', '{"k": 1.50}', 7),
    (NULL, '', 'NaN', NULL, 'NaN', NULL, 'infinity', '-infinity', '0044-03-15 12:00 BC', NULL, NULL, NULL, NULL, NULL);
"""
NAMES = ["name", "amount", "income", "ratio", "active", "born", "seen", "noted", "at", "code", "tags", "extra", "small"]


def test_postgres_keeps_plain_types_and_spells_the_others(postgres):
    connection, _ = with_table(postgres, CREATE)
    got = pulled(of(column("id", source_name="Id"), *NAMES, table="Reg 1.People"), connection)
    assert got.schema.field("id").type == pa.int64()
    assert got.schema.field("ratio").type == pa.float64()
    first, second = rows(got)
    assert first == {
        "id": 1, "name": "张三", "amount": "12345678901234567890.123456789", "income": "1.50", "ratio": 0.1, "active": True,
        "born": "1990-02-28", "seen": "2026-01-01 00:00:00.123456+00", "noted": "2026-01-01 08:00:00", "at": "08:30:00",
        "code": "0012", "tags": "{a,b}", "extra": '{"k": 1.50}', "small": 7,
    }  # fmt: skip
    assert (second["name"], second["amount"], second["born"], second["seen"]) == ("", "NaN", "infinity", "-infinity")


def test_objects_and_arrays_of_postgres_are_json_where_the_contract_has_such_columns(postgres):
    connection, other = with_table(
        postgres,
        "CREATE TABLE t (tags text[], extra jsonb, kept json, words text);"
        """INSERT INTO t VALUES ('{a,"b c"}', '{"k": 1.50}', '[1]', '[2]'), (NULL, NULL, NULL, NULL)""",
    )
    made = of(column("tags", "array"), column("extra", "object"), column("kept", "array"), column("words", "array"))
    first, second = rows(pulled(made, connection))
    assert {name: json.loads(text) for name, text in first.items()} == {
        "tags": ["a", "b c"], "extra": {"k": 1.5}, "kept": [1], "words": [2],
    }  # fmt: skip
    assert set(second.values()) == {None}
    first, _ = rows(pulled(made, other))
    assert [json.loads(first[name]) for name in ("tags", "extra", "kept")] == [["a", "b c"], {"k": 1.5}, [1]]


def test_any_dialect_gives_text(postgres):
    _, connection = with_table(
        postgres,
        CREATE.replace("'infinity'", "NULL").replace("'-infinity'", "NULL").replace("'0044-03-15 12:00 BC'", "NULL"),
    )
    got = rows(pulled(of(column("id", source_name="Id"), *NAMES[:-3], table="Reg 1.People"), connection))
    assert got[0]["income"] == "1.50"
    assert got[0]["amount"] == "12345678901234567890.123456789"
    assert (got[0]["active"], got[0]["born"], got[0]["noted"]) == ("true", "1990-02-28", "2026-01-01T08:00:00")
    assert got[1]["name"] == ""
    assert got[1]["id"] is None


@pytest.mark.parametrize(
    ("sql_type", "made", "values", "since"),
    [
        ("timestamptz", column("w", "timestamp", timezone=True), ["2026-01-01 00:00:00+00", "2026-01-01 00:00:00.000001+00"], "2026-01-01T00:00:00+00:00"),
        ("timestamptz", column("w", "timestamp"), ["2026-01-01 00:00:00+00", "2026-01-01 08:00:01+08"], "2026-01-01T00:00:00"),
        ("timestamp", column("w", "timestamp"), ["2026-01-01 00:00:00", "2026-01-01 00:00:01"], "2026-01-01T00:00:00"),
        ("date", column("w", "date"), ["2026-01-01", "2026-01-02"], "2026-01-01"),
        ("bigint", column("w", "integer"), ["9", "10"], "9"),
        ("numeric(30,10)", column("w", "number", precision=30, scale=10), ["9.0000000001", "9.0000000002"], "9.0000000001"),
        ("text", column("w"), ["B", "a"], "B"),
    ],
)  # fmt: skip
def test_only_rows_beyond_the_watermark_come(postgres, sql_type, made, values, since):
    inserts = ", ".join(f"('{v}')" for v in values)
    both = with_table(postgres, f"CREATE TABLE t (w {sql_type}); INSERT INTO t VALUES {inserts}")
    asked = of(made, watermark="w")
    assert len(rows(pulled(asked, both[0], since))) == 1
    beyond = rows(pulled(asked, both[1], since))
    assert len(beyond) in (1, 2)  # a dialect we know little of may give more, never less
    assert len(rows(pulled(asked, both[0]))) == 2


def test_a_hostile_watermark_stays_a_value(postgres, tmp_path):
    evil = "x'); DROP TABLE t; --"
    both = with_table(postgres, "CREATE TABLE t (w text); INSERT INTO t VALUES ('y')")
    for connection in (*both, lite(tmp_path / "x.db", "CREATE TABLE t (w)", "INSERT INTO t VALUES ('y')")):
        assert len(rows(pulled(of("w", watermark="w"), connection, evil))) == 1
        assert len(rows(pulled(of("w"), connection))) == 1


def test_postgres_streams_many_rows(postgres):
    connection, other = with_table(
        postgres, "CREATE TABLE t AS SELECT n, md5(n::text) AS h FROM generate_series(1, 120000) n"
    )
    made = of(column("n", "integer"), "h")
    assert table(pulled(made, connection)).num_rows == 120_000
    assert table(pulled(made, other)).num_rows == 120_000


def test_postgres_that_is_missing_wrong_or_breaks_off_is_told(postgres):
    connection, other = with_table(
        postgres,
        "CREATE TABLE people (v int); CREATE VIEW broken AS SELECT 100 / (50000 - n) AS v FROM generate_series(1, 60000) n",
    )
    for each in (connection, other):
        with pytest.raises(SourceInvalid, match=r"no table or view 'peple'.*Did you mean 'people'"):
            pulled(of("v", table="peple"), each)
        with pytest.raises(SourceInvalid, match=r"stopped at a row|refused to give the rows"):
            rows(pulled(of("v", table="broken"), each))
    closed = Connection(
        id="dept", type="postgres", host="127.0.0.1", port=1, login="x", password="hush-hush", schema="x"
    )
    with pytest.raises(SourceUnavailable, match="No connection") as caught:
        pulled(of("v"), closed)
    assert "hush" not in repr(caught.value)
    with pytest.raises(SourceInvalid, match="needs an SQLAlchemy address"):
        pulled(of("v"), Connection(id="dept", type="mysql", host="h"))
    with pytest.raises(SourceUnavailable, match="does not answer"):
        pulled(
            of("v"),
            Connection(
                id="dept", type="x", password="hush", extra={"sqlalchemy_url": "postgresql+psycopg://x@127.0.0.1:1/x"}
            ),
        )


@pytest.mark.parametrize(("change", "state"), [({"login": "stranger"}, "28000"), ({"schema": "nowhere"}, "3D000")])
def test_postgres_that_does_not_know_us_is_not_tried_again(postgres, change, state):
    connection, _ = postgres.new_database()
    with pytest.raises(SourceInvalid, match=f"does not let us in .SQLSTATE {state}") as caught:
        pulled(of("v"), replace(connection, password="hush-hush", **change))
    assert "hush" not in repr(caught.value)


@pytest.mark.parametrize(("change", "code"), [({"login": "stranger"}, 1045), ({"schema": "nowhere"}, 1049)])
@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_a_server_that_does_not_know_us_is_not_tried_again(kind, change, code, request):
    connection, url = request.getfixturevalue(kind).new_database()
    address = (
        sa.make_url(url).set(database=change.get("schema", connection.schema)).render_as_string(hide_password=False)
    )
    login = change.get("login", connection.login)
    known = replace(connection, login=login, password="hush-hush" if "login" in change else connection.password)
    with pytest.raises(SourceInvalid, match=f"does not let us in .error {code}") as caught:
        pulled(of("v"), replace(known, extra={"sqlalchemy_url": address}))
    assert "hush" not in repr(caught.value)


@pytest.mark.parametrize(
    ("state", "error"), [("28000", SourceInvalid), ("3D000", SourceInvalid), ("57P03", SourceUnavailable)]
)
def test_a_database_of_any_kind_tells_by_its_code_whether_to_try_again(postgres, state, error):
    _, other = with_table(
        postgres,
        f"CREATE FUNCTION away() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$;"
        "CREATE VIEW people AS SELECT away() AS v",
    )
    with pytest.raises(error):
        rows(pulled(of("v", table="people"), other))


def test_postgres_cut_off_in_the_middle_is_no_complete_extract(postgres):
    connection, url = postgres.new_database()
    engine = sa.create_engine(url)
    with engine.begin() as session:
        session.execute(
            sa.text("CREATE TABLE t AS SELECT n, repeat(md5(n::text), 30) AS h FROM generate_series(1, 200000) n")
        )
    batches = pulled(of(column("n", "integer"), "h"), connection).batches
    next(batches)
    with engine.begin() as session:
        session.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()
    with pytest.raises(SourceUnavailable):
        list(batches)


def test_decimals_of_postgres_are_exact_once_typed(postgres):
    from crossdock.validation.typing import cast_batch

    connection, _ = with_table(
        postgres, "CREATE TABLE t (n numeric); INSERT INTO t VALUES (0.1), (1e-3), (12345678901234567890)"
    )
    made = of(column("n", "number", precision=25, scale=3))
    (batch,) = pulled(made, connection).batches
    assert cast_batch(batch, made)[0]["n"].to_pylist() == [
        Decimal("0.100"),
        Decimal("0.001"),
        Decimal("12345678901234567890.000"),
    ]
