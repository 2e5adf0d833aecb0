"""A consumer's SQLite database.

SQLite has no exact decimals, dates or times: they are stored as text (ISO 8601), so that nothing is rounded; objects,
arrays and maps are JSON text.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from crossdock.connections import Connection
from crossdock.delivery.databases import (
    Alteration,
    Copy,
    Database,
    Table,
    Value,
    deleting_listed,
    quoted,
    quoted_names,
)
from crossdock.delivery.files import json_texts
from crossdock.errors import ConsumerRefused, ConsumerUnavailable, CrossdockError, Transient

_PATIENCE = 30.0  # seconds to wait for another writer
_TRANSIENT = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL}
)

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)'
# What we make a table with, and what SQLite makes of that when columns come and go.
_OURS = re.compile(
    rf"CREATE TABLE {_NAME} ?\((?:(?:{_NAME} (?:INTEGER|REAL|TEXT)|PRIMARY KEY \({_NAME}(?:, {_NAME})*\))(?:, |(?=\))))+\)",
    re.ASCII,
)
_CONSTRAINTS = {
    "NOTNULL": "not_null",
    "FOREIGNKEY": "foreign_key",
    "UNIQUE": "unique",
    "PRIMARYKEY": "unique",
    "CHECK": "check",
    "DATATYPE": "type",
    "TRIGGER": "trigger",
}


@contextmanager
def open_sqlite(connection: Connection) -> Iterator[Database]:
    """Opens the database file that the connection's host (or schema) names; see `open_database`."""
    path = Path(connection.host or connection.schema)
    where = f"connection {connection.id}"
    if not path.parent.is_dir():
        raise ConsumerUnavailable(
            "The folder of the SQLite database is not there.", where=where, fix="Mount it, or mend the connection."
        )
    try:
        with closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as session:
            yield _Sqlite(where, session)
    except sqlite3.Error as error:
        raise _translated(error, where) from None


class _Sqlite:
    """The consumer's file is opened by one library only; staging happens in a file of our own."""

    differs = "IS NOT"
    updates_from = True
    ddl_commits = False

    def __init__(self, name: str, session: sqlite3.Connection) -> None:
        self.name, self._session = name, session

    def stage(self, name: str, schema: pa.Schema, rows: Iterator[pa.RecordBatch], scratch: Path) -> None:
        from adbc_driver_sqlite import dbapi

        path = scratch / f"{name}-{secrets.token_hex(4)}.db"
        empty = _storable_rows(pa.RecordBatch.from_pylist([], schema))
        source = pa.RecordBatchReader.from_batches(empty.schema, map(_storable_rows, rows))
        try:
            with dbapi.connect(str(path)) as staging, staging.cursor() as cursor:
                cursor.adbc_ingest("staged", source, mode="create")
                staging.commit()
        except dbapi.Error as error:
            # The driver gives no code, and quotes its query: only SQLite's own words for this are looked for.
            why = "the disk is full" if "database or disk is full" in str(error) else type(error).__name__
            raise Transient(
                f"Rows could not be put into a file of our own ({why}).",
                where=str(scratch),
                fix="Look whether that disk has room and can be written, then try again.",
            ) from None
        self._session.execute(f"ATTACH ? AS stage_{name}", (str(path),))
        # A transaction over two files that both keep journals leaves a third at the consumer when it fails.
        self._session.execute(f"PRAGMA stage_{name}.journal_mode = MEMORY")

    def copier(self, table: Table, schema: pa.Schema) -> Copy | None:  # noqa: ARG002 - the protocol's signature
        return None

    def staged(self, name: str) -> str:
        return f"stage_{name}.staged"

    def begin(self) -> None:
        self._session.execute("BEGIN IMMEDIATE")

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        return self._session.execute(sql, tuple(values)).fetchall()

    def commit(self) -> None:
        self._session.execute("COMMIT")

    def rollback(self) -> None:
        self._session.execute("ROLLBACK")

    def index(self, name: str, column: str) -> None:
        self._session.execute(f'CREATE INDEX stage_{name}.parts ON staged ("{column}")')

    def deleting(self, table: Table, rows: str, key: Sequence[str], part: str) -> str:
        return deleting_listed(table, rows, key, part)

    def upserts(self, table: Table, key: Sequence[str]) -> bool:  # noqa: ARG002 - the protocol's signature
        return False

    def tally(self, table: Table) -> None:  # noqa: ARG002 - the protocol's signature
        return None

    def constraint(self, error: Exception) -> str | None:
        name = getattr(error, "sqlite_errorname", "")
        return _CONSTRAINTS.get(name.removeprefix("SQLITE_CONSTRAINT_"))

    def attempt(self, statements: Sequence[str]) -> str | None:
        self._session.execute("SAVEPOINT crossdock_attempt")
        try:
            for statement in statements:
                self._session.execute(statement)
        except sqlite3.IntegrityError as error:
            kind = self.constraint(error)
            if kind is None:
                raise
            self._session.execute("ROLLBACK TO crossdock_attempt")
            return kind
        self._session.execute("RELEASE crossdock_attempt")
        return None

    def columns(self, table: Table) -> list[tuple[str, str]] | None:
        found = self._session.execute("SELECT name, type FROM pragma_table_info(?)", (table.name,)).fetchall()
        return [(name, self.comparable(kind)) for name, kind in found] or None

    def primary_key(self, table: Table) -> frozenset[str]:
        found = self._session.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0", (table.name,)).fetchall()
        return frozenset(name for (name,) in found)

    def alters_key(self, table: Table) -> bool:
        return self._is_ours(table)

    def alter(self, table: Table, change: Alteration) -> str | None:
        in_key = self.primary_key(table) & {*change.lost, *change.retyped}
        anew = (change.rekeyed is not None or bool(in_key)) and self._is_ours(table)
        try:
            if anew:  # SQLite alters no key, and no column of one
                self._make_anew(table, ())
            for clause in change.clauses():  # it sees to it that views and triggers keep what they need
                self._session.execute(f"ALTER TABLE {table} {clause}")
            if anew:
                self._make_anew(table, change.key)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in _TRANSIENT:
                raise
            return error.sqlite_errorname
        return None

    def _is_ours(self, table: Table) -> bool:
        """Returns whether the table says nothing that we would not say, and no other table relies on its key."""
        found = self._session.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)", (table.name,)
        ).fetchone()
        relied_on = """SELECT 1 FROM sqlite_schema s, pragma_foreign_key_list(s.name) f
            WHERE s.type = 'table' AND lower(f."table") = lower(?)"""
        return bool(
            found and _OURS.fullmatch(found[0]) and not self._session.execute(relied_on, (table.name,)).fetchone()
        )

    def _make_anew(self, table: Table, key: Sequence[str]) -> None:
        """Puts an empty table of the same columns in the place of one that is `_is_ours`, with its indexes and triggers."""
        columns = self._session.execute("SELECT name, type FROM pragma_table_info(?)", (table.name,)).fetchall()
        built_on = self._session.execute(
            "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND lower(tbl_name) = lower(?) AND sql <> ''",
            (table.name,),
        ).fetchall()
        parts = [f"{quoted(name)} {kind}" for name, kind in columns]
        parts += [f"PRIMARY KEY ({quoted_names(key)})"] if key else []
        self._session.execute(f"DROP TABLE {table}")
        self._session.execute(f"CREATE TABLE {table} ({', '.join(parts)})")
        for (statement,) in built_on:
            self._session.execute(statement)

    def type_of(self, given: pa.DataType, *, key: bool = False) -> str:  # noqa: ARG002 - the protocol's signature
        if pa.types.is_integer(given) or pa.types.is_boolean(given):
            return "INTEGER"
        return "REAL" if pa.types.is_floating(given) else "TEXT"

    def comparable(self, sql_type: str) -> str:
        """Names the affinity, by SQLite's own rules: a consumer may have declared VARCHAR(20)."""
        upper = sql_type.upper()
        if "INT" in upper:
            return "INTEGER"
        if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
            return "TEXT"
        return "REAL" if any(word in upper for word in ("REAL", "FLOA", "DOUB")) else upper


def _storable(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_boolean(kind):
        return values.cast(pa.int64())
    if pa.types.is_nested(kind):
        return json_texts(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_string(kind):
        return values
    return values.cast(pa.string())


def _storable_rows(rows: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_storable(column) for column in rows.columns], names=rows.schema.names)


def _translated(error: sqlite3.Error, where: str) -> CrossdockError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind = getattr(error, "sqlite_errorname", type(error).__name__)
    if code == sqlite3.SQLITE_FULL:
        return ConsumerUnavailable(
            "The disk of the SQLite database is full.", where=where, fix="Make room there, then try again."
        )
    if code in _TRANSIENT:
        return ConsumerUnavailable(
            f"The SQLite database is not usable now ({kind}).", where=where, fix="Try again later."
        )
    return ConsumerRefused(
        f"The SQLite database refused the delivery ({kind}).", where=where, fix="Look at the table there."
    )
