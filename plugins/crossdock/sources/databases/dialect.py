"""Any database that SQLAlchemy has a dialect for: values as text, as its driver gives them.

The connection's extra holds the address as `sqlalchemy_url` (without login and password, which the connection has).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from crossdock.connections import Connection
from crossdock.errors import CrossdockError, SourceInvalid, SourceUnavailable
from crossdock.logins import turned_away
from crossdock.postgres_access import turned_away_from
from crossdock.sources.databases.query import Query, Table

_PATIENCE = 10  # seconds until a server that let us not in must have told why
_CHUNK = 10_000  # rows fetched at a time


def column_names(connection: Connection, table: Table) -> list[str]:
    """Returns the names of a table's columns.

    Raises:
        SourceInvalid: there is no such table for us, the address names no known dialect, or the server does not know us.
        SourceUnavailable: the server does not answer.
    """
    with opened(connection) as session:
        return [str(column["name"]) for column in columns_of(session, connection, table)]


def stream(connection: Connection, query: Query) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Returns the rows' schema (all text) and the rows, in the order the database gives them."""
    schema = pa.schema([pa.field(name, pa.string()) for _, name in query.columns])
    return schema, _batches(connection, query, schema)


def _batches(connection: Connection, query: Query, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    # Columns without a type: SQLAlchemy's own conversions could fail, or change what is there.
    columns: list[sa.ColumnClause[Any]] = [sa.column(source) for source, _ in query.columns]
    table = sa.table(query.table.name, *columns, schema=query.table.schema or None)
    statement = sa.select(*columns).select_from(table)
    with opened(connection) as session:
        found = {str(c["name"]): c["type"] for c in columns_of(session, connection, query.table)}
        value = _watermark(query, found)
        if query.watermark and value is not None:
            statement = statement.where(sa.column(query.watermark.source_name) > value)
        rows = session.execution_options(stream_results=True, yield_per=_CHUNK).execute(statement)
        for chunk in rows.partitions():
            columns_of_text = [pa.array([_text(v) for v in values], pa.string()) for values in zip(*chunk, strict=True)]
            yield pa.RecordBatch.from_arrays(columns_of_text, schema=schema)


def _watermark(query: Query, types: dict[str, sa.types.TypeEngine[Any]]) -> str | int | date | None:
    """Returns the value that newer rows are beyond; None where the database might order it otherwise than we do."""
    if query.watermark is None:
        return None
    kind, given = query.watermark.type, types[query.watermark.source_name]
    if kind == "integer" and isinstance(given, sa.Integer):
        return int(query.since)
    if kind == "date" and isinstance(given, sa.Date):
        return date.fromisoformat(query.since)
    return query.moment if kind == "timestamp" and isinstance(given, sa.DateTime) else None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value.hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)


def columns_of(session: sa.Connection, connection: Connection, table: Table) -> list[Any]:
    """Returns a table's columns as SQLAlchemy reflects them.

    Raises:
        SourceInvalid: there is no such table for us.
    """
    inspector = sa.inspect(session)
    schema = table.schema or None
    try:
        return list(inspector.get_columns(table.name, schema=schema))
    except sa.exc.NoSuchTableError:
        known = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        raise table.missing(f"connection {connection.id}", known) from None


@contextmanager
def opened(connection: Connection) -> Iterator[sa.Connection]:
    """Opens the database that the connection's extra addresses, and turns SQLAlchemy's errors into ours."""
    where = f"connection {connection.id}"
    try:
        url = sa.make_url(str(connection.extra.get("sqlalchemy_url") or ""))
        url = url.set(username=connection.login or url.username, password=connection.password or url.password)
        engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    except (sa.exc.ArgumentError, ImportError):
        raise SourceInvalid(
            f"A database of type '{connection.type}' needs an SQLAlchemy address and its driver.",
            where=where,
            fix='Set "sqlalchemy_url" in its extra (mysql+pymysql://host/database), and install the driver.',
        ) from None
    try:
        with _connected(engine, where) as session:
            yield session
    except sa.exc.SQLAlchemyError as error:
        raise _translated(error, where, engine.dialect.name) from None
    finally:
        engine.dispose()


def _connected(engine: sa.Engine, where: str) -> sa.Connection:
    try:
        return engine.connect()
    except sa.exc.OperationalError:
        if code := turned_away_from(engine.url, patience=_PATIENCE):
            raise _not_let_in(code, where) from None
        raise


def _not_let_in(code: str, where: str) -> SourceInvalid:
    what = f"The database does not let us in ({code})."
    return SourceInvalid(what, where=where, fix="Check login, password and database name in the connection.")


def _translated(error: sa.exc.SQLAlchemyError, where: str, family: str) -> CrossdockError:
    code = turned_away(getattr(error, "orig", None), family)
    if code:
        return _not_let_in(code, where)
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return SourceUnavailable(
            "The database does not answer, or broke off.", where=where, fix="Check its address, login and network."
        )
    return SourceInvalid(
        f"The database refused to give the rows ({type(error).__name__}).",
        where=where,
        fix="Check our rights there.",
    )
