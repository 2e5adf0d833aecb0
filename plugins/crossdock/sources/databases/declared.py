"""What a database itself says of a table's columns: key, comments, text or number. Only drafting a contract asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from crossdock.connections import Connection
from crossdock.postgres_access import TLS
from crossdock.sources.databases.dialect import columns_of, opened
from crossdock.sources.databases.query import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One column as its table declares it."""

    name: str
    text: bool = False  # its owner says that it is text, whatever it looks like
    number: bool = False
    precision: int | None = None
    scale: int | None = None
    length: int | None = None  # most characters
    key_position: int | None = None  # 1-based
    comment: str = ""


def declared(connection: Connection, table: Table) -> tuple[Declared, ...]:
    """Returns a table's columns in its order.

    Raises:
        SourceInvalid: there is no such table for us.
        SourceUnavailable: the server does not answer.
    """
    with opened(_addressed(connection)) as session:
        columns = columns_of(session, connection, table)
        key = list(sa.inspect(session).get_pk_constraint(table.name, table.schema or None)["constrained_columns"])
    return tuple(_declared(column, key) for column in columns)


def _declared(column: Any, key: list[str]) -> Declared:
    name, type_ = str(column["name"]), column["type"]
    exact = isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float) and type_.precision is not None
    text = isinstance(type_, sa.String)
    return Declared(
        name=name,
        text=text,
        number=isinstance(type_, sa.Integer | sa.Numeric | sa.Float),
        precision=type_.precision if exact else None,
        scale=(type_.scale or 0) if exact else None,
        length=type_.length if text else None,
        key_position=key.index(name) + 1 if name in key else None,
        comment=str(column.get("comment") or ""),
    )


def _addressed(connection: Connection) -> Connection:
    """Returns the connection with the SQLAlchemy address of the kinds that are read without one."""
    if connection.type == "sqlite":
        path = Path(connection.host or connection.schema).absolute()
        url = sa.URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
    elif connection.type in ("postgres", "postgresql"):
        url = sa.URL.create(
            "postgresql+psycopg",
            host=connection.host,
            port=connection.port or 5432,
            database=connection.schema,
            query={name: str(connection.extra[name]) for name in TLS if name in connection.extra},
        )
    else:
        return connection
    return replace(connection, extra={**connection.extra, "sqlalchemy_url": url.render_as_string(hide_password=False)})
