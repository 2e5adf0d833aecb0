"""A consumer's database of any kind that SQLAlchemy has a dialect for; MariaDB and MySQL by whole batches in one statement.

Such a database may commit when a table is made, so tables are made before the transaction. One row of a table of ours
is locked by whoever delivers. What changed is taken out by key and put in anew: that is the same SQL everywhere.
MariaDB and MySQL have no instants with a zone: they get UTC.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from crossdock.connections import Connection
from crossdock.delivery.databases import Alteration, Copy, Database, Table, Value, quoted, quoted_names
from crossdock.delivery.dialect_errors import CONSTRAINTS, kind_of, not_let_in, number, refused, translated
from crossdock.delivery.dialect_types import MODE, comparable, literals, type_of
from crossdock.delivery.files import json_texts
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from crossdock.logins import MYSQL_FAMILY
from crossdock.postgres_access import turned_away_from

_LOCK = Table(name="crossdock_delivery_lock")
_ROWS, _BYTES = 2_000, 2 * 1024 * 1024  # of one statement, at most; servers take 16 MiB
_KNOCK = 10  # seconds until a server must have let us in
_SILENCE = 3_600  # seconds until a server that says nothing is given up; a single statement may take long
_PATIENCE = 30  # seconds to wait until nobody uses a table that is to be altered


@contextmanager
def open_dialect(connection: Connection) -> Iterator[Database]:
    """Opens a session; see `open_database`."""
    where = f"connection {connection.id}"
    engine = _engine(connection, where)
    try:
        with _connected(engine, where) as session:
            yield _Dialect(where, session)
    except sa.exc.DBAPIError as error:
        raise translated(error, where, engine.dialect.name) from None
    except sa.exc.SQLAlchemyError as error:
        raise refused(type(error).__name__, where) from None
    finally:
        engine.dispose()


def _connected(engine: sa.Engine, where: str) -> sa.Connection:
    try:
        return engine.connect()
    except sa.exc.OperationalError:
        if code := turned_away_from(engine.url, patience=_KNOCK):
            raise not_let_in(code, where) from None
        raise


def _engine(connection: Connection, where: str) -> sa.Engine:
    options: dict[str, Any] = {}
    try:
        if connection.type in MYSQL_FAMILY:
            url = sa.URL.create(
                "mysql+pymysql",
                username=connection.login or None,
                password=connection.password or None,
                host=connection.host,
                port=connection.port,
                database=connection.schema,
                query={"charset": "utf8mb4"},
            )
            # `local_infile` stays off: with it a server may ask for any file that we can read.
            arguments: dict[str, Any] = {
                "connect_timeout": _KNOCK,
                "read_timeout": _SILENCE,
                "write_timeout": _SILENCE,
                "init_command": f"SET SESSION sql_mode = '{MODE}'",
            }
            options = {"isolation_level": "READ COMMITTED", "connect_args": arguments}
            if isinstance(connection.extra.get("ssl"), dict):
                arguments["ssl"] = connection.extra["ssl"]
        else:
            url = sa.make_url(str(connection.extra["sqlalchemy_url"]))
            url = url.set(username=connection.login or url.username, password=connection.password or url.password)
        return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, **options)
    except (sa.exc.ArgumentError, ImportError):
        raise ConsumerRefused(
            "The connection's sqlalchemy_url is none, or its driver is not installed.",
            where=where,
            fix="Write it as SQLAlchemy does (dialect+driver://host/database), and install the driver.",
        ) from None


class _Dialect:
    """A session in which `?` stands for a value and double quotes are around names."""

    differs = "IS DISTINCT FROM"
    updates_from = False

    def __init__(self, name: str, session: sa.Connection) -> None:
        self.name, self._session = name, session
        self._family = session.dialect.name
        self.ddl_commits = self._family in (*MYSQL_FAMILY, "oracle")
        self._staged: dict[str, str] = {}
        self._kinds: dict[str, str] = {}

    def stage(self, name: str, schema: pa.Schema, rows: Iterator[pa.RecordBatch], scratch: Path) -> None:  # noqa: ARG002 - the protocol's signature
        kind, mark = ("TABLE", "#") if self._family == "mssql" else ("TEMPORARY TABLE", "")
        table = Table(name=f"{mark}crossdock_{name}_{secrets.token_hex(4)}")
        columns = ", ".join(f"{Table(name=field.name)} {self.type_of(field.type)}" for field in schema)
        self._run(f"CREATE {kind} {table} ({columns})")
        put = self._put_together if self._family in MYSQL_FAMILY else self._put_each
        for batch in rows:
            plain = pa.RecordBatch.from_arrays([self._storable(column) for column in batch.columns], schema.names)
            step = max(1, min(_ROWS, _BYTES * plain.num_rows // max(1, plain.nbytes)))
            for start in range(0, plain.num_rows, step):
                put(table, plain.slice(start, step))
        self._session.commit()
        self._staged[name] = str(table)

    def _put_each(self, table: Table, rows: pa.RecordBatch) -> None:
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in rows.schema.names]
        self._session.execute(sa.insert(sa.table(table.name, *columns)), rows.to_pylist())

    def _put_together(self, table: Table, rows: pa.RecordBatch) -> None:
        lines = pc.binary_join_element_wise(*map(literals, rows.columns), ",").to_pylist()
        self._run(f"INSERT INTO {table} VALUES ({'),('.join(lines)})")  # noqa: S608 - literals are escaped

    def _storable(self, values: pa.Array) -> pa.Array:
        if pa.types.is_timestamp(values.type) and values.type.tz and self._family in MYSQL_FAMILY:
            return values.cast(pa.timestamp("us"))
        return json_texts(values)

    def copier(self, table: Table, schema: pa.Schema) -> Copy | None:  # noqa: ARG002 - the protocol's signature
        return None

    def staged(self, name: str) -> str:
        return self._staged[name]

    def begin(self) -> None:
        self._session.rollback()
        if not self._run_if(f"SELECT 1 FROM {_LOCK}"):  # noqa: S608 - quoted names
            # Another process may be making it as well: whoever is second finds it.
            self._run_if(f"CREATE TABLE {_LOCK} (deliveries BIGINT NOT NULL PRIMARY KEY)")
            self._run_if(f"INSERT INTO {_LOCK} VALUES (0)")  # noqa: S608 - quoted names
        self._run(f"UPDATE {_LOCK} SET deliveries = 0")  # noqa: S608 - quoted names

    def _run_if(self, sql: str) -> list[tuple[Value, ...]]:
        """Runs a statement in a transaction of its own, where that is possible."""
        try:
            found = self._run(sql)
            self._session.commit()
        except (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.OperationalError) as error:
            if error.connection_invalidated:  # a new session would know nothing of what was staged in this one
                raise
            self._session.rollback()
            return []
        return found

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        if not values:
            return self._run(sql)
        head, *rest = sql.replace(":", "\\:").split("?")
        named = head + "".join(f":v{place}{part}" for place, part in enumerate(rest))
        return _rows_of(self._session.execute(sa.text(named), {f"v{n}": value for n, value in enumerate(values)}))

    def _run(self, sql: str) -> list[tuple[Value, ...]]:
        # So no driver looks for placeholders in the statement.
        return _rows_of(self._session.exec_driver_sql(sql, execution_options={"no_parameters": True}))

    def commit(self) -> None:
        self._session.commit()

    def rollback(self) -> None:
        self._session.rollback()

    def index(self, name: str, column: str) -> None:
        self._run(f"CREATE INDEX crossdock_parts ON {self.staged(name)} ({Table(name=column)})")
        self._session.commit()

    def deleting(self, table: Table, rows: str, key: Sequence[str], part: str) -> str:
        if self._family in MYSQL_FAMILY:  # their subqueries would look through the whole table once per row
            same = " AND ".join(f"t.{name} = s.{name}" for name in map(quoted, key))
            return f"DELETE t FROM {table} AS t JOIN {rows} AS s ON {same} WHERE {part}"
        same = " AND ".join(f"{quoted(table.name)}.{name} = s.{name}" for name in map(quoted, key))
        return f"DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM {rows} AS s WHERE {same} AND {part})"  # noqa: S608 - quoted names

    def upserts(self, table: Table, key: Sequence[str]) -> bool:  # noqa: ARG002 - the protocol's signature
        return False

    def tally(self, table: Table) -> None:  # noqa: ARG002 - the protocol's signature
        return None

    def constraint(self, error: Exception) -> str | None:
        if not isinstance(error, sa.exc.DBAPIError):
            return None
        return CONSTRAINTS.get(number(error), "integrity" if isinstance(error, sa.exc.IntegrityError) else None)

    def attempt(self, statements: Sequence[str]) -> str | None:
        part = self._session.begin_nested()
        try:
            for statement in statements:
                self._run(statement)
        except sa.exc.DBAPIError as error:
            kind = self.constraint(error)
            if kind is None:
                raise
            part.rollback()
            return kind
        part.commit()
        return None

    def columns(self, table: Table) -> list[tuple[str, str]] | None:
        inspector = sa.inspect(self._session)
        try:
            found = inspector.get_columns(table.name, schema=table.schema or None)
            if self._family in MYSQL_FAMILY:
                self._demand_transactions(inspector.get_table_options(table.name, schema=table.schema or None))
        except sa.exc.NoSuchTableError:
            return None
        return [(self._read(column["name"]), comparable(column["type"])) for column in found]

    def primary_key(self, table: Table) -> frozenset[str]:
        found = sa.inspect(self._session).get_pk_constraint(table.name, schema=table.schema or None)
        return frozenset(map(self._read, found["constrained_columns"]))

    def _read(self, name: object) -> str:
        """Returns a reflected column's name: of MariaDB and MySQL, SQLAlchemy leaves a quote doubled as it stands there."""
        return str(name).replace('""', '"') if self._family in MYSQL_FAMILY else str(name)

    def alters_key(self, table: Table) -> bool:  # noqa: ARG002 - the protocol's signature
        return self._family in MYSQL_FAMILY

    def alter(self, table: Table, change: Alteration) -> str | None:
        clauses = change.clauses()
        if self._family in MYSQL_FAMILY:
            self._run(f"SET SESSION lock_wait_timeout = {_PATIENCE}")
            clauses = [", ".join(_at_once(change))]  # there is no half of it
        try:
            for clause in clauses:
                self._run(f"ALTER TABLE {table} {clause}")
        except sa.exc.DBAPIError as error:
            if isinstance(translated(error, self.name, self._family), ConsumerUnavailable):
                raise
            return kind_of(error)
        return None

    def _demand_transactions(self, options: Mapping[str, Any]) -> None:
        engine = str(next((value for name, value in options.items() if name.endswith("_engine")), ""))
        if engine.lower() != "innodb":
            raise ConsumerRefused(
                f"The table's engine is {engine or 'unknown'}, which has no transactions.",
                where=self.name,
                fix="ALTER TABLE ... ENGINE = InnoDB.",
            )

    def type_of(self, given: pa.DataType, *, key: bool = False) -> str:
        wanted = type_of(given, self._session.dialect, key=key)
        spelled = str(wanted.compile(dialect=self._session.dialect))
        self._kinds[spelled] = comparable(wanted)
        return spelled

    def comparable(self, sql_type: str) -> str:
        return self._kinds[sql_type]


def _rows_of(found: sa.CursorResult[Any] | sa.Result[Any]) -> list[tuple[Value, ...]]:
    return [tuple(row) for row in found] if getattr(found, "returns_rows", False) else []


def _at_once(change: Alteration) -> Iterator[str]:
    """Yields the clauses for MariaDB and MySQL; a column that is or was part of the key keeps what it holds."""
    kept = {name: kind for name, kind in change.retyped.items() if name in change.key} | dict(change.respelled)
    rest = replace(change, retyped={n: kind for n, kind in change.retyped.items() if n not in kept})
    yield from ["DROP PRIMARY KEY"] * bool(change.rekeyed)
    yield from rest.clauses()
    yield from (f"MODIFY {quoted(name)} {kind}" for name, kind in kept.items())
    yield from [f"ADD PRIMARY KEY ({quoted_names(change.key)})"] * (change.rekeyed is not None and bool(change.key))
