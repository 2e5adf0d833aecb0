"""Rows of the state's tables, looked up, added, and spelled from records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from crossdock.identity import RowsDigest
from crossdock.storage import tables


def one(connection: Connection, table: sa.Table, condition: sa.ColumnElement[bool]) -> RowMapping | None:
    """Returns the only row that fulfils a condition, or None."""
    return connection.execute(table.select().where(condition)).mappings().one_or_none()


def tuples(connection: Connection, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
    """Returns a query's rows as the driver gives them: of thousands, SQLAlchemy's own would take a third longer."""
    cursor = connection.execute(query).cursor
    return [] if cursor is None else list(cursor.fetchall())


_VALUES = msgspec.json.Decoder(list)


def by_column(connection: Connection, query: sa.Select[Any]) -> list[list[Any]]:
    """Returns the values of each column of a query: whole numbers, and texts of up to a gigabyte together.

    The database hands over each column as one JSON text: of thousands of rows that takes a third less than asking it for
    one value after the other.
    """
    on_postgres = connection.dialect.name == "postgresql"
    together = sa.func.json_agg if on_postgres else sa.func.json_group_array
    lists = [sa.cast(together(column), sa.Text) for column in query.subquery().c]
    return [_VALUES.decode(values or "[]") for values in connection.execute(sa.select(*lists)).one()]


def add(connection: Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Inserts a row unless its id is known. Nobody can come between: write transactions follow one another."""
    if one(connection, table, table.c.id == values["id"]) is not None:
        return False
    connection.execute(table.insert().values(values))
    return True


def standing(connection: Connection, table: sa.Table, values: Mapping[str, Any]) -> RowMapping:
    """Inserts a row unless its id is known, and returns the one that stands."""
    add(connection, table, values)
    return connection.execute(table.select().where(table.c.id == values["id"])).mappings().one()


def newest_snapshot(connection: Connection, condition: sa.ColumnElement[bool]) -> RowMapping | None:
    """Returns the snapshot that came into force last among those that fulfil a condition, or None."""
    query = tables.snapshot.select().where(condition).order_by(tables.snapshot.c.seq.desc()).limit(1)
    return connection.execute(query).mappings().one_or_none()


def columns_of(record: Any, *, without: str = "") -> dict[str, Any]:
    """Returns a record's fields as column values; digests become their text."""
    fields = {name: getattr(record, name) for name in record.__slots__ if name != without}
    return {name: str(value) if isinstance(value, RowsDigest) else value for name, value in fields.items()}
