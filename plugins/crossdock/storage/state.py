"""The state database: opened, migrated to the current tables, and its two kinds of transaction."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, Engine

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_ID = 0x63726F7373646F63  # names crossdock's migration lock among PostgreSQL's advisory locks
_OPENED: dict[str, Engine] = {}
_OPENING = threading.Lock()


@dataclass(frozen=True, slots=True)
class State:
    """The database of extracts, verdicts, deliveries and ledger entries (SQLite, or PostgreSQL in production)."""

    engine: Engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Opens the database of an SQLAlchemy URL and brings its tables up to date; one engine per process and URL."""
        with _OPENING:
            if url not in _OPENED:
                engine = _engine(sa.make_url(url))
                _migrate(engine)
                _OPENED[url] = engine
            return cls(_OPENED[url])

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Gives a connection in a write transaction: committed at the end, rolled back on an error."""
        with self.engine.connect().execution_options(crossdock_write=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Gives a connection for reading."""
        with self.engine.connect() as connection:
            yield connection


def _engine(url: sa.URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, connect_args={"timeout": 30})
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.get_driver_name() == "psycopg2" and "+" not in url.drivername:
        url = url.set(drivername="postgresql+psycopg")
    return sa.create_engine(url, pool_pre_ping=True)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # SQLAlchemy, not the driver, begins transactions: see _begin_sqlite.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Takes the write lock at the start of a write: a read that turns into a write could fail as busy half-way."""
    writes = connection.get_execution_options().get("crossdock_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with _alone(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Gives a connection while no other process migrates the same database."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        with Path(f"{engine.url.database}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with engine.begin() as connection:
                yield connection
        return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:id)"), {"id": _LOCK_ID})
        yield connection
