"""A PostgreSQL server by its connection: its address for drivers, and whether it is our login that it does not take."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import sqlalchemy as sa

from crossdock.connections import Connection
from crossdock.coroutines import run

TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
# Wrong password, no such login or not from here, no such database, no right to connect to it.
_STRANGER = ("28P01", "28000", "3D000", "42501")


def address(connection: Connection, options: Mapping[str, str]) -> str:
    """Returns the URI of a connection's database, with options of libpq and what the connection says of TLS."""
    login = quote(connection.login, safe="")
    secret = ":" + quote(connection.password, safe="") if connection.password else ""
    query = dict(options) | {name: str(connection.extra[name]) for name in TLS if name in connection.extra}
    place = f"{connection.host}:{connection.port or 5432}/{quote(connection.schema, safe='')}"
    return f"postgresql://{login}{secret}@{place}?{urlencode(query)}"


def turned_away(connection: Connection, *, patience: int) -> str:
    """Asks a server that let us not in for its reason; libpq, and so ADBC and psycopg, keep it to themselves.

    Args:
        connection: to the server.
        patience: seconds to wait for its answer.

    Returns:
        The SQLSTATE when it is our login that is wrong, which trying again may lock; "" when it is not, or nobody answers.
    """
    state = run(_refusal(address(connection, {}), patience))
    return state if state in _STRANGER else ""


def turned_away_from(url: sa.URL, *, patience: int) -> str:
    """Does what `turned_away` does for a URL of SQLAlchemy's, whose driver may have kept the reason to itself.

    Returns:
        "" also for a database of another kind, and for one that the URL names no server of.
    """
    if url.get_backend_name() != "postgresql" or not url.host:
        return ""
    connection = Connection(
        id="",
        type="postgres",
        host=url.host,
        port=url.port,
        login=url.username or "",
        password=url.password or "",
        schema=url.database or "",
        extra={name: value for name, value in url.query.items() if isinstance(value, str)},
    )
    state = turned_away(connection, patience=patience)
    return f"SQLSTATE {state}" if state else ""


async def _refusal(uri: str, patience: int) -> str:
    import asyncpg

    try:
        session = await asyncpg.connect(uri, timeout=patience)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return ""
    await session.close(timeout=patience)
    return ""
