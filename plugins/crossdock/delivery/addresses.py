"""Which database a connection leads to, without what could be secret: to be compared, and for people."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa

from crossdock.connections import Connection
from crossdock.delivery.databases import kind_of
from crossdock.logins import MYSQL_FAMILY

# What a URL may tell a driver of the place beside host and database; all else may be a password.
_PLACES = ("dbname", "host", "port", "service_name", "sid", "unix_socket")
_ODBC = re.compile(r"\b(?:server|database|dsn)\s*=[^;]*", re.IGNORECASE)


def address_of(connection: Connection) -> str:
    """Returns server, database and login, which may decide on the schema; of SQLite the file, links resolved."""
    kind = kind_of(connection)
    if kind == "sqlite":
        return str(Path(connection.host or connection.schema).resolve())
    if "sqlalchemy_url" in connection.extra and kind not in ("postgres", *MYSQL_FAMILY):
        return _of_url(connection, str(connection.extra["sqlalchemy_url"]))
    return _spelled(kind, connection.login, (connection.host, connection.port), connection.schema)


def _of_url(connection: Connection, text: str) -> str:
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        return ""  # nothing can be delivered there
    beside = [f"{name}={value}" for name, value in sorted(url.query.items()) if name in _PLACES]
    beside += _ODBC.findall(str(url.query.get("odbc_connect", "")))
    login = connection.login or url.username or ""
    place = _spelled(url.get_backend_name(), login, (url.host, url.port), url.database)
    return " ".join((place, *beside))


def _spelled(kind: str, login: str, server: tuple[str | None, int | None], database: str | None) -> str:
    host, port = server
    return f"{kind}://{login}@{host or ''}{f':{port}' if port else ''}/{database or ''}"
