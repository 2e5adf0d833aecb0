"""A consumer's PostgreSQL database."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from adbc_driver_manager import AdbcStatusCode, Error
from adbc_driver_postgresql import dbapi

from crossdock.connections import Connection
from crossdock.delivery.databases import (
    MARKER,
    Alteration,
    Copy,
    Database,
    Table,
    Tally,
    Value,
    deleting_listed,
    quoted,
    quoted_names,
)
from crossdock.delivery.files import json_texts, with_json_texts
from crossdock.errors import ConsumerRefused, ConsumerUnavailable, CrossdockError
from crossdock.postgres_access import address, turned_away

_LOCK = f"SELECT pg_advisory_xact_lock(hashtext('{MARKER}'))"
# Of our transactions: the server gives us up when we are gone without a word, or our lock would keep out who comes next;
# and who comes next waits for a while, and is tried again.
_SETTINGS = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    "tcp_user_timeout": "90000",
    "lock_timeout": "10min",
}
_PATIENCE = 30  # seconds to wait until nobody uses a table that is to be altered
# Seconds (and milliseconds) until a server that is gone without a word is given up; a slow one answers to this meanwhile.
_ALIVE = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "90000",
}
# Connection failures, resources, operator intervention, deadlock and serialization failure.
_TRANSIENT = ("08", "53", "57P", "40", "55P03")

# The unique indexes of a table without triggers, by their columns.
_UNIQUE = """SELECT i.indexrelid::text, a.attname::text
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = to_regclass(?) AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
        AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = i.indrelid AND NOT t.tgisinternal)"""
# Types that COPY writes in the form of their column's type (`type_of`); an INSERT finds its way from others too.
_COPIED = (
    pa.types.is_string,
    pa.types.is_int64,
    pa.types.is_float64,
    pa.types.is_boolean,
    pa.types.is_date32,
    pa.types.is_time64,
    pa.types.is_timestamp,
    pa.types.is_decimal,
)
_CONSTRAINTS = {
    "23502": "not_null",
    "23503": "foreign_key",
    "23505": "unique",
    "23514": "check",
    "23P01": "exclusion",
    "22001": "too_long",
    "22003": "out_of_range",
}


@contextmanager
def open_postgres(connection: Connection) -> Iterator[Database]:
    """Opens a session; see `open_database`."""
    where = f"connection {connection.id}"
    try:
        session = dbapi.connect(address(connection, _ALIVE))
    except Error:
        raise _not_let_in(connection, where) from None
    try:
        with session, session.cursor() as cursor:
            yield _Postgres(where, session, cursor)
    except Error as error:
        raise _translated(error, where) from None


class _Postgres:
    """ADBC is always in a transaction; until `begin` it only stages into temporary tables of this session."""

    differs = "IS DISTINCT FROM"
    updates_from = True
    ddl_commits = False

    def __init__(self, name: str, session: dbapi.Connection, cursor: dbapi.Cursor) -> None:
        self.name, self._session, self._cursor = name, session, cursor

    def stage(self, name: str, schema: pa.Schema, rows: Iterator[pa.RecordBatch], scratch: Path) -> None:  # noqa: ARG002 - the protocol's signature
        texts = (
            pa.RecordBatch.from_arrays([json_texts(column) for column in batch.columns], schema=with_json_texts(schema))
            for batch in rows
        )
        reader = pa.RecordBatchReader.from_batches(with_json_texts(schema), texts)
        self._cursor.adbc_ingest(f"crossdock_staged_{name}", reader, mode="create", temporary=True)
        for field in schema:
            if pa.types.is_nested(field.type):
                column = '"' + field.name.replace('"', '""') + '"'
                self.execute(f"ALTER TABLE {self.staged(name)} ALTER COLUMN {column} TYPE jsonb USING {column}::jsonb")
        # Staging can be long: what follows must not work on the state of the table before it.
        self._session.commit()

    def copier(self, table: Table, schema: pa.Schema) -> Copy | None:
        if not all(any(is_such(field.type) for is_such in _COPIED) for field in schema):
            return None
        # COPY passes by rules, and row security forbids it.
        found = self.execute(
            """SELECT relkind IN ('r', 'p') AND NOT relhasrules AND NOT row_security_active(oid)
               FROM pg_class WHERE oid = to_regclass(?)""",
            (str(table),),
        )
        if found and not found[0][0]:
            return None

        def copy(rows: Iterator[pa.RecordBatch]) -> object:
            reader = pa.RecordBatchReader.from_batches(schema, rows)
            return self._cursor.adbc_ingest(table.name, reader, mode="append", db_schema_name=table.schema or None)

        return copy

    def staged(self, name: str) -> str:
        return f"pg_temp.crossdock_staged_{name}"

    def begin(self) -> None:
        self._session.commit()  # of what was asked before: the isolation is set first in a transaction, or not at all
        # Whatever the role's default: after waiting for the lock we must see what the other delivery committed.
        self.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        settings = ", ".join([f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items()])
        self.execute(f"SELECT {settings}")
        self.execute(_LOCK)

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        head, *rest = sql.split("?") if values else [sql]
        numbered = head + "".join(f"${i}{part}" for i, part in enumerate(rest, 1))
        self._cursor.execute(numbered, tuple(values) or None)
        return [tuple(row) for row in self._cursor.fetchall()] if self._cursor.description else []

    def commit(self) -> None:
        self._session.commit()

    def rollback(self) -> None:
        self._session.rollback()

    def index(self, name: str, column: str) -> None:
        self.execute(f'CREATE INDEX ON {self.staged(name)} ("{column}")')

    def deleting(self, table: Table, rows: str, key: Sequence[str], part: str) -> str:
        return deleting_listed(table, rows, key, part)

    def upserts(self, table: Table, key: Sequence[str]) -> bool:
        # A trigger of the consumer's own would see an insert where there is a change.
        found = self.execute(_UNIQUE, (str(table),))
        indexes = {index: {name for other, name in found if other == index} for index, _ in found}
        return set(key) in indexes.values()

    def tally(self, table: Table) -> Tally | None:
        # Only such a table tells by `xmax` whether a row was put in or changed; a trigger could make other changes.
        plain = self.execute(
            """SELECT 1 FROM pg_class c WHERE oid = to_regclass(?) AND relkind = 'r' AND NOT relhasrules AND NOT EXISTS (
               SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)""",
            (str(table),),
        )
        # Finding the changes takes longer: nobody is in a hurry, and the server's processors are not ours.
        self.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        rows = self.execute(f"SELECT count(*) FROM {table}")[0][0] if plain else None  # noqa: S608 - a quoted name
        self._session.commit()  # what comes next may be long in coming, and nobody should wait for this session
        return None if rows is None else _Tally(self, int(rows))

    def constraint(self, error: Exception) -> str | None:
        return _CONSTRAINTS.get(error.sqlstate or "") if isinstance(error, Error) else None

    def attempt(self, statements: Sequence[str]) -> str | None:
        # The driver knows no savepoints: it gives a transaction up at the first error. A block has one of its own.
        mark = f"$crossdock_{secrets.token_hex(8)}$"
        self.execute("CREATE TEMP TABLE IF NOT EXISTS crossdock_objection (state text)")
        self.execute("DELETE FROM pg_temp.crossdock_objection")
        known = " OR ".join(f"SQLSTATE '{state}'" for state in _CONSTRAINTS)
        self.execute(
            f"DO {mark} BEGIN {'; '.join(statements)}; EXCEPTION WHEN {known} THEN "  # noqa: S608 - our own words only
            f"INSERT INTO pg_temp.crossdock_objection VALUES (SQLSTATE); END {mark}"
        )
        found = self.execute("SELECT state FROM pg_temp.crossdock_objection")
        return _CONSTRAINTS[str(found[0][0])] if found else None

    def columns(self, table: Table) -> list[tuple[str, str]] | None:
        found = self.execute(
            """SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped""",
            (str(table),),
        )
        return [(str(name), self.comparable(str(kind))) for name, kind in found] or None

    def primary_key(self, table: Table) -> frozenset[str]:
        found = self.execute(
            """SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
               WHERE i.indrelid = to_regclass(?) AND i.indisprimary""",
            (str(table),),
        )
        return frozenset(str(name) for (name,) in found)

    def alters_key(self, table: Table) -> bool:  # noqa: ARG002 - the protocol's signature
        return True

    def alter(self, table: Table, change: Alteration) -> str | None:
        # Whoever reads the table for long must not make all others wait behind us.
        self.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")
        clauses = [f"DROP COLUMN {quoted(name)}" for name in change.lost]
        clauses += [f"ADD COLUMN {quoted(name)} {kind}" for name, kind in change.gained.items()]
        clauses += [f"ALTER COLUMN {quoted(n)} TYPE {kind} USING NULL::{kind}" for n, kind in change.retyped.items()]
        try:
            self._drop_key(table, change)
            if clauses:
                self.execute(f"ALTER TABLE {table} {', '.join(clauses)}")
            if change.rekeyed is not None and change.key:
                self.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({quoted_names(change.key)})")
        except Error as error:
            if _passes(error):
                raise
            return f"SQLSTATE {error.sqlstate or 'unknown'}"
        return None

    def _drop_key(self, table: Table, change: Alteration) -> None:
        if not change.rekeyed:
            return
        found = self.execute(
            "SELECT conname::text FROM pg_constraint WHERE conrelid = to_regclass(?) AND contype = 'p'", (str(table),)
        )
        self.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quoted(str(found[0][0]))}")
        for name in change.rekeyed:  # that it made them NOT NULL outlives it
            self.execute(f"ALTER TABLE {table} ALTER COLUMN {quoted(name)} DROP NOT NULL")

    def type_of(self, given: pa.DataType, *, key: bool = False) -> str:  # noqa: ARG002 - the protocol's signature
        if pa.types.is_decimal(given):
            return f"numeric({given.precision},{given.scale})"
        if pa.types.is_timestamp(given):
            return "timestamp with time zone" if given.tz else "timestamp without time zone"
        for matches, name in (
            (pa.types.is_nested, "jsonb"),
            (pa.types.is_integer, "bigint"),
            (pa.types.is_floating, "double precision"),
            (pa.types.is_boolean, "boolean"),
            (pa.types.is_date, "date"),
            (pa.types.is_time, "time without time zone"),
        ):
            if matches(given):
                return name
        return "text"

    def comparable(self, sql_type: str) -> str:
        return "text" if sql_type.startswith("character varying") else sql_type


_MORE = {"DELETE": "-1", "UPDATE": "0", "INSERT": "CASE WHEN xmax = 0 THEN 1 ELSE 0 END"}  # rows, per row returned


class _Tally:
    def __init__(self, session: _Postgres, rows: int) -> None:
        self._session, self.rows = session, rows

    def run(self, statement: str) -> None:
        more = _MORE[statement.partition(" ")[0]]
        counted = f"WITH done AS ({statement} RETURNING {more} AS more) SELECT coalesce(sum(more), 0)::bigint FROM done"  # noqa: S608 - quoted names
        self.rows += int(self._session.execute(counted)[0][0] or 0)


def _not_let_in(connection: Connection, where: str) -> CrossdockError:
    """Tells a login that is wrong from a server that is not there."""
    state = turned_away(connection, patience=int(_ALIVE["connect_timeout"]))
    if state:
        return ConsumerRefused(
            f"The PostgreSQL database does not let us in (SQLSTATE {state}).",
            where=where,
            fix="Check login, password and database name in the connection, and what the server lets this login do.",
        )
    return ConsumerUnavailable(
        "No connection to the PostgreSQL database.", where=where, fix="Check its address, login and network."
    )


def _passes(error: Error) -> bool:
    """A server that restarts says nothing that has a code."""
    gone = error.sqlstate is None and error.status_code is AdbcStatusCode.IO
    return gone or (error.sqlstate or "").startswith(_TRANSIENT)


def _translated(error: Error, where: str) -> CrossdockError:
    state = error.sqlstate or ""
    if _passes(error):
        why = f"SQLSTATE {state}" if state else "it ended the session"
        return ConsumerUnavailable(
            f"The PostgreSQL database is not usable now ({why}).", where=where, fix="Try again later."
        )
    return ConsumerRefused(
        f"The PostgreSQL database refused the delivery (SQLSTATE {state or 'unknown'}).",
        where=where,
        fix="Look the code up in PostgreSQL's list of error codes; check the table and our rights on it.",
    )
