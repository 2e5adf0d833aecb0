"""SQLite, through ADBC. Any column may hold any type there, so every value is read as text, by SQL.

Floats get as many digits as bring the same float back; blobs become SQL literals (X'00FF').
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
from adbc_driver_manager import Error, OperationalError
from adbc_driver_sqlite import dbapi

from crossdock.connections import Connection
from crossdock.errors import CrossdockError, SourceInvalid, SourceUnavailable
from crossdock.sources.databases.query import Query, Table, quoted
from crossdock.sources.source import BATCH_ROWS

_PATIENCE_MS = 2_000  # while another process writes
_SAFE = "/!$&'()*+,;=:@-._~"


def column_names(connection: Connection, table: Table) -> list[str]:
    """Returns the names of a table's columns.

    Raises:
        SourceInvalid: there is no such file or table.
        SourceUnavailable: the file is locked.
    """
    with _opened(connection) as cursor:
        cursor.execute(
            "SELECT name FROM pragma_table_xinfo(?, ?) WHERE hidden <> 1", (table.name, table.schema or "main")
        )
        names = [str(name) for (name,) in cursor.fetchall()]
        if not names:
            cursor.execute(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
            )
            raise table.missing(f"connection {connection.id}", [str(name) for (name,) in cursor.fetchall()])
        return names


def stream(connection: Connection, query: Query) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Returns the rows' schema (all text) and the rows, in the order the database gives them."""
    schema = pa.schema([pa.field(name, pa.string()) for _, name in query.columns])
    return schema, _batches(connection, query, schema)


def _batches(connection: Connection, query: Query, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    # ADBC takes a column's type from its first rows: a row of empty texts before them makes every column text.
    head = ", ".join(f"'' AS {quoted(name)}" for _, name in query.columns)
    values = ", ".join(_as_text(quoted(source)) for source, _ in query.columns)
    where, bound = _condition(query)
    sql = f"SELECT {head} UNION ALL SELECT {values} FROM {query.table}{where}"  # noqa: S608 - quoted names only
    with _opened(connection) as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
        cursor.execute(sql, bound)
        with cursor.fetch_record_batch() as reader:
            first = True
            for batch in reader:
                rows = batch.slice(1) if first else batch
                first = False
                yield pa.RecordBatch.from_arrays(_checked(rows, connection).columns, schema=schema)


def _as_text(column: str) -> str:
    plain = f"CAST({column} AS TEXT)"
    same = f"CAST({plain} AS REAL) = {column}"
    real = f"CASE WHEN {same} THEN {plain} ELSE printf('%!.17g', {column}) END"
    return f"CASE typeof({column}) WHEN 'real' THEN {real} WHEN 'blob' THEN quote({column}) ELSE {plain} END"


def _condition(query: Query) -> tuple[str, tuple[str, ...] | None]:
    """Returns the WHERE that leaves out rows up to the watermark, where it can be sure of that."""
    if query.watermark is None:
        return "", None
    column = quoted(query.watermark.source_name)
    kind = query.watermark.type
    if query.spelled is not None:
        return f" WHERE CAST({column} AS TEXT) > ?", (query.spelled,)
    if kind == "integer":
        return f" WHERE CAST({column} AS INTEGER) > CAST(? AS INTEGER)", (query.since,)
    if kind == "timestamp" and not query.watermark.formats:
        return f" WHERE {_in_utc(column)} > ?", (f"{query.moment:%Y-%m-%d %H:%M:%S.%f}",)
    return "", None


def _in_utc(column: str) -> str:
    """Spells an ISO 8601 text with or without fraction and offset in UTC with microseconds (null if it is none)."""
    rest = f"substr({column}, 20)"
    offset = f"ltrim({rest}, '.0123456789')"
    fraction = f"ltrim(substr({rest}, 1, length({rest}) - length({offset})), '.')"
    return f"datetime(substr({column}, 1, 19) || {offset}) || '.' || substr({fraction} || '000000', 1, 6)"


def _checked(batch: pa.RecordBatch, connection: Connection) -> pa.RecordBatch:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        raise SourceInvalid(
            "A text in the database is not UTF-8.",
            where=f"connection {connection.id}",
            fix="Convert it there to UTF-8.",
        ) from None
    return batch


@contextmanager
def _opened(connection: Connection) -> Iterator[dbapi.Cursor]:
    """Opens the file that the connection's host (or schema) names, for reading only."""
    where = f"connection {connection.id}"
    path = Path(connection.host or connection.schema)
    if not path.is_file():
        raise SourceInvalid("There is no such database file.", where=where, fix="Check the path in the connection.")
    try:
        with (
            dbapi.connect(f"file:{quote(str(path.absolute()), safe=_SAFE)}?mode=ro") as session,
            session.cursor() as cursor,
        ):
            cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            yield cursor
    except (Error, OSError, pa.ArrowException) as error:
        raise _translated(error, where) from None


def _translated(error: Exception, where: str) -> CrossdockError:
    # ADBC gives no code for a lock; the second line of its message is the query, which may hold any name.
    reason = str(error).partition("\n")[0]
    if isinstance(error, OperationalError) or reason.endswith(("is locked", "is busy")):
        return SourceUnavailable("The database can't be read now.", where=where, fix="Try again when it is free.")
    return SourceInvalid(
        f"The database can't be read ({type(error).__name__}).",
        where=where,
        fix="Check that it is a SQLite file, whole: PRAGMA integrity_check.",
    )
