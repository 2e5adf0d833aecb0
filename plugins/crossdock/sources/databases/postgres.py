"""PostgreSQL, through ADBC's COPY: plain types as they are, numeric and everything else as PostgreSQL spells them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_postgresql import dbapi

from crossdock.connections import Connection
from crossdock.errors import CrossdockError, SourceInvalid, SourceUnavailable
from crossdock.postgres_access import address, turned_away
from crossdock.sources.databases.query import Query, Table, quoted

_AS_THEY_ARE = frozenset({"boolean", "smallint", "integer", "bigint", "real", "double precision"})
_MOMENTS = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"})
_TEXTS = frozenset({"text", "character varying", "character"})
_PATIENCE = 10  # seconds until a server that does not answer is given up
# Connection failures, resources, operator intervention, deadlock and serialization failure, lock not available.
_TRANSIENT = ("08", "53", "57", "40", "55P03")
_SESSION = (
    "SET TRANSACTION READ ONLY",
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO'",
    "SET IntervalStyle = 'iso_8601'",
    # An unchanged table gives its rows in one order, so that the same content makes the same extract.
    "SET synchronize_seqscans = off",
    "SET max_parallel_workers_per_gather = 0",
)


def column_names(connection: Connection, table: Table) -> list[str]:
    """Returns the names of a table's columns.

    Raises:
        SourceInvalid: there is no such table for us.
        SourceUnavailable: the server does not answer.
    """
    with _opened(connection) as cursor:
        return list(_types(cursor, table, connection))


def stream(connection: Connection, query: Query) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Returns the rows' schema and the rows, in the order the server gives them."""
    with _opened(connection) as cursor:
        types = _types(cursor, query.table, connection)
        columns = ", ".join(
            f"{_selected(_json(query, source, types[source]), types[source])} AS {quoted(name)}"
            for source, name in query.columns
        )
        sql = f"SELECT {columns} FROM {query.table}"  # noqa: S608 - quoted names only
        given = cursor.adbc_execute_schema(sql)
    schema = pa.schema([pa.field(field.name, field.type) for field in given])
    condition, since = _condition(query, types)
    return schema, _batches(connection, sql + condition, since, schema)


def _batches(connection: Connection, sql: str, since: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with _opened(connection) as cursor:
        # COPY streams but takes no parameters: the watermark travels as a setting of the session.
        cursor.execute("SELECT set_config('crossdock.since', $1, false)", (since,))
        cursor.fetchall()
        cursor.execute(sql)
        try:
            with cursor.fetch_record_batch() as reader:
                for batch in reader:
                    yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        except (OSError, pa.ArrowException):
            raise _broken_off(cursor, connection) from None


def _broken_off(cursor: dbapi.Cursor, connection: Connection) -> CrossdockError:
    """Returns the error for rows that stopped coming: a stream's errors carry no SQLSTATE, so ask if the server lives."""
    try:
        cursor.connection.rollback()
        cursor.execute("SELECT 1")
    except Error as error:
        return _translated(error, f"connection {connection.id}")
    return SourceInvalid(
        "PostgreSQL stopped at a row that the table or view can't give.",
        where=f"connection {connection.id}",
        fix="Read the whole of it once by hand: the server then says why (a view that divides by zero, say).",
    )


def _json(query: Query, source: str, sql_type: str) -> str:
    """PostgreSQL spells arrays and rows in a way of its own; where a column is to hold them, they are JSON."""
    plain = sql_type in ("json", "jsonb", *_TEXTS)
    return quoted(source) if plain or source not in query.as_json else f"to_json({quoted(source)})"


def _selected(column: str, sql_type: str) -> str:
    """Reads a column as it is, or as text: a numeric has no Arrow type, a date may be 'infinity'."""
    return f"{column}::{sql_type if sql_type in _AS_THEY_ARE else 'text'}"


def _condition(query: Query, types: dict[str, str]) -> tuple[str, str]:
    """Returns the WHERE that leaves out rows up to the watermark, where it can be sure of that, and the watermark."""
    if query.watermark is None:
        return "", ""
    column, kind = quoted(query.watermark.source_name), query.watermark.type
    sql_type = types[query.watermark.source_name]
    since = "current_setting('crossdock.since')"
    if sql_type in _TEXTS:
        return ("", "") if query.spelled is None else (f' WHERE {column} COLLATE "C" > {since}', query.spelled)
    moments = kind in ("date", "timestamp") and sql_type in _MOMENTS
    if moments or (kind in ("integer", "number") and sql_type in _NUMBERS):
        return f" WHERE {column} > CAST({since} AS {sql_type})", query.since
    return "", ""


def _types(cursor: dbapi.Cursor, table: Table, connection: Connection) -> dict[str, str]:
    """Returns the columns' types by name; a domain's is the type beneath it."""
    cursor.execute(
        """SELECT attname::text, format_type(coalesce(nullif(typbasetype, 0), atttypid), NULL)
           FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
           WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
        (str(table),),
    )
    types = {str(name): str(kind) for name, kind in cursor.fetchall()}
    if not types:
        cursor.execute(
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p', 'f') AND has_table_privilege(oid, 'SELECT') "
            "AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
        )
        raise table.missing(f"connection {connection.id}", [str(name) for (name,) in cursor.fetchall()])
    return types


@contextmanager
def _opened(connection: Connection) -> Iterator[dbapi.Cursor]:
    where = f"connection {connection.id}"
    try:
        session = dbapi.connect(address(connection, {"connect_timeout": str(_PATIENCE)}))
    except Error:
        raise _not_let_in(connection, where) from None
    try:
        with session, session.cursor() as cursor:
            for statement in _SESSION:
                cursor.execute(statement)
            yield cursor
    except Error as error:
        raise _translated(error, where) from None


def _not_let_in(connection: Connection, where: str) -> CrossdockError:
    """Tells a login that is wrong from a server that is not there."""
    state = turned_away(connection, patience=_PATIENCE)
    if state:
        return SourceInvalid(
            f"The PostgreSQL database does not let us in (SQLSTATE {state}).",
            where=where,
            fix="Check login, password and database name in the connection, and what the server lets this login do.",
        )
    return SourceUnavailable(
        "No connection to the PostgreSQL database.", where=where, fix="Check its address, login and network."
    )


def _translated(error: Error, where: str) -> CrossdockError:
    # The server's message may hold values of the row it stumbled over.
    state = error.sqlstate or ""
    if not state or state.startswith(_TRANSIENT):
        return SourceUnavailable(
            f"PostgreSQL broke off (SQLSTATE {state or 'unknown'}).", where=where, fix="Try again later."
        )
    return SourceInvalid(
        f"PostgreSQL refused to give the rows (SQLSTATE {state}).",
        where=where,
        fix="Look the code up in PostgreSQL's list of error codes; check the table and our rights on it.",
    )
