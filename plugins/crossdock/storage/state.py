"""The state database: opened, migrated to the current tables, and its two kinds of transaction."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool

from crossdock.errors import Permanent, StateDamaged, Transient, WrongUse

MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATING = 0x63726F7373646F63  # crossdock's own names among PostgreSQL's advisory locks
_WRITING = 0x63726F7373646F64
_PATIENCE = 30  # seconds that a writer waits for another
_OPENED: dict[str, Engine] = {}
_OPENING = threading.Lock()
_INHERITED: list[Pool] = []


@dataclass(frozen=True, slots=True)
class State:
    """The database of extracts, verdicts, deliveries and ledger entries (SQLite, or PostgreSQL in production)."""

    engine: Engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Opens the database of an SQLAlchemy URL and brings its tables up to date; one engine per process and URL.

        Raises:
            WrongUse: the URL names no SQLite or PostgreSQL database.
            Transient: the database did not answer.
            StateDamaged: what is there is no database any more.
            Permanent: a newer crossdock made its tables.
        """
        with _OPENING:
            if url not in _OPENED:
                engine = _engine(url)
                with _answering(engine):
                    _migrate(engine)
                _OPENED[url] = engine
            return cls(_OPENED[url])

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Gives a connection in a write transaction: committed at the end, rolled back on an error.

        Write transactions come one after the other, on PostgreSQL as on SQLite: what one has looked up stays true
        until it ends, so keep them short.

        Raises:
            Transient: the database did not answer, or other writers were too slow.
        """
        writing = self.engine.execution_options(crossdock_write=True)
        with _answering(self.engine), writing.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                _wait_for_writers(connection)
            yield connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Gives a connection for reading.

        Raises:
            Transient: the database did not answer.
        """
        with _answering(self.engine), self.engine.connect() as connection:
            yield connection


def _forget_after_fork() -> None:
    """Lets a forked child open connections of its own: one shared with its parent would mix up both's answers."""
    global _OPENING  # noqa: PLW0603 # the parent may have held it while it forked
    _OPENING = threading.Lock()
    for engine in _OPENED.values():
        _INHERITED.append(engine.pool)  # kept, since closing them here would end the parent's too
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_after_fork)


@contextmanager
def _answering(engine: Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        reason = str(error.orig).partition("\n")[0]  # the driver's own words: no statement, no values
        raise Transient(
            f"The state database did not answer ({reason}).",
            where=f"{engine.dialect.name} database {engine.url.database or ''}".strip(),
            fix="Try again; if it stays so, look whether it runs and can be written.",
        ) from error
    except sa.exc.DatabaseError as error:
        if type(error) not in (sa.exc.DatabaseError, sa.exc.InternalError):
            raise  # a statement of ours is wrong, not the database
        raise StateDamaged(
            "The state database is damaged.",
            where=f"{engine.dialect.name} database {engine.url.database or ''}".strip(),
            fix="Restore it from a backup, then run `crossdock ledger verify`.",
        ) from error


def _engine(text: str) -> Engine:
    try:
        url = sa.make_url(text)
        kind = url.get_backend_name()
    except sa.exc.ArgumentError:
        kind = ""  # the error would show the URL, and the password in it
    if kind == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = sa.create_engine(url, connect_args={"timeout": _PATIENCE}, hide_parameters=True)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    if kind == "postgresql":
        return sa.create_engine(
            url.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": _PATIENCE}, pool_pre_ping=True,
            hide_parameters=True,
        )  # fmt: skip
    raise WrongUse(
        "This names no state database.",
        where="CROSSDOCK_STATE",
        fix="Write sqlite:////path/state.db or postgresql://user:password@host/database.",
    )


def _wait_for_writers(connection: Connection) -> None:
    """Waits for other write transactions; one whose client has gone silent is ended by the server."""
    settings = {"lock": f"{_PATIENCE}s", "idle": f"{2 * _PATIENCE}s"}
    limits = (
        "SELECT set_config('lock_timeout', :lock, true), set_config('idle_in_transaction_session_timeout', :idle, true)"
    )
    connection.execute(sa.text(limits), settings)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITING)))


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # SQLAlchemy, not the driver, begins transactions: see _begin_sqlite.
    # The time to wait comes first: making the journal a WAL needs the file alone.
    for pragma in (f"busy_timeout={_PATIENCE * 1000}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
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
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise Permanent(
                "The state database was made by a newer crossdock.",
                where=str(engine.url.database or ""),
                fix="Run that version or a later one.",
            ) from None


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
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:id)"), {"id": _MIGRATING})
        yield connection
