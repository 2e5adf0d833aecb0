"""Consumers' databases: staging by ADBC, one locked transaction, and errors that never repeat a value.

Drivers put row values into their messages ("Key (id)=(...) already exists"), so only the kind of error is passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from crossdock.connections import Connection
from crossdock.errors import ConsumerRefused, did_you_mean
from crossdock.logins import MYSQL_FAMILY

MARKER = "crossdock_delivery"
Value = str | int | None
Copy = Callable[[Iterator[pa.RecordBatch]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table by name; its text is the quoted name."""

    name: str
    schema: str = ""

    def __str__(self) -> str:
        return (f"{quoted(self.schema)}." if self.schema else "") + quoted(self.name)

    def beside(self, name: str) -> Table:
        """Returns another table of the same schema."""
        return Table(name=name, schema=self.schema)


def quoted(name: str) -> str:
    """Returns a name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_names(names: Sequence[str]) -> str:
    """Returns names as a list in SQL."""
    return ", ".join(map(quoted, names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """How a table's columns are to change; its text says so to people."""

    lost: tuple[str, ...]
    gained: Mapping[str, str]  # SQL types by name, here and below
    retyped: Mapping[str, str]
    key: tuple[str, ...]
    respelled: Mapping[str, str]  # that come into the key or leave it, and keep their comparable type
    rekeyed: frozenset[str] | None = None  # the primary key that `key` is to replace; only where `alters_key`

    def __str__(self) -> str:
        parts = [f"drop {quoted(name)}" for name in self.lost]
        parts += [f"add {quoted(name)} {kind}" for name, kind in self.gained.items()]
        parts += [f"let {quoted(name)} be {kind}" for name, kind in self.retyped.items()]
        if self.rekeyed is not None:
            parts.append(f"let the primary key be ({quoted_names(self.key)})" if self.key else "drop the primary key")
        return "; ".join(parts)

    def clauses(self) -> list[str]:
        """Returns what any database understands after `ALTER TABLE`; a column of another type is dropped and added."""
        added = [f"ADD {quoted(name)} {kind}" for name, kind in self.gained.items()]
        again = [f"ADD {quoted(name)} {kind}" for name, kind in self.retyped.items()]
        return [*added, *(f"DROP COLUMN {quoted(name)}" for name in (*self.lost, *self.retyped)), *again]


def deleting_listed(table: Table, rows: str, key: Sequence[str], part: str) -> str:
    """Returns the statement of `Database.deleting` for databases that compare several columns at once."""
    names = quoted_names(key)
    return f"DELETE FROM {table} WHERE ({names}) IN (SELECT {names} FROM {rows} AS s WHERE {part})"  # noqa: S608 - quoted names


class Tally(Protocol):
    """Knows how many rows a table has, from one statement to the next, without counting them again."""

    rows: int

    def run(self, statement: str) -> None:
        """Runs a statement that deletes rows, or puts rows in by their key."""
        ...


class Database(Protocol):
    """One session with a consumer's database."""

    name: str  # for people
    differs: str  # operator: distinct, and a null is not distinct from a null
    updates_from: bool  # knows UPDATE ... FROM; else rows that change are deleted and inserted
    ddl_commits: bool  # making a table ends the transaction

    def stage(self, name: str, schema: pa.Schema, rows: Iterator[pa.RecordBatch], scratch: Path) -> None:
        """Copies rows into a table that only this session sees; a scratch folder of ours is at its disposal."""
        ...

    def copier(self, table: Table, schema: pa.Schema) -> Copy | None:
        """Returns what copies rows into a table at once, in the transaction; None where they have to be staged.

        The table may not be there yet.
        """
        ...

    def staged(self, name: str) -> str:
        """Returns the staged table's name in SQL."""
        ...

    def begin(self) -> None:
        """Starts the write transaction; waits until no other delivery is under way there."""
        ...

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Runs one statement with `?` placeholders, and returns its rows."""
        ...

    def commit(self) -> None:
        """Makes the transaction's changes visible, all at once."""
        ...

    def rollback(self) -> None:
        """Takes back what was not committed; what was staged stays."""
        ...

    def index(self, name: str, column: str) -> None:
        """Makes parts of a staged table fast to find by a column."""
        ...

    def deleting(self, table: Table, rows: str, key: Sequence[str], part: str) -> str:
        """Returns the statement that deletes a table's rows whose key is in a staged table `s`, where a condition holds."""
        ...

    def upserts(self, table: Table, key: Sequence[str]) -> bool:
        """Tells whether inserting a row can change the one that has its key, and nothing but the key decides on it."""
        ...

    def tally(self, table: Table) -> Tally | None:
        """Counts a table's rows; None where there is no such table, or what becomes of them can't be told."""
        ...

    def constraint(self, error: Exception) -> str | None:
        """Returns in one word which kind of constraint a statement broke; None when the error is another."""
        ...

    def attempt(self, statements: Sequence[str]) -> str | None:
        """Runs statements without values in the transaction, all or none; returns the kind of constraint they broke, if any."""
        ...

    def columns(self, table: Table) -> list[tuple[str, str]] | None:
        """Returns a table's columns and comparable types; None when there is no such table."""
        ...

    def primary_key(self, table: Table) -> frozenset[str]:
        """Returns the columns of a table's primary key; none when it has none."""
        ...

    def alters_key(self, table: Table) -> bool:
        """Tells whether `alter` can give the table another primary key."""
        ...

    def alter(self, table: Table, change: Alteration) -> str | None:
        """Changes a table's columns; returns the database's code when it can't or may not.

        Where `ddl_commits` that ends the transaction, else the table has no rows any more.
        """
        ...

    def type_of(self, given: pa.DataType, *, key: bool = False) -> str:
        """Returns the SQL type for a column of the Arrow type, or for one that is part of a primary key."""
        ...

    def comparable(self, sql_type: str) -> str:
        """Returns the form in which `columns` names a type."""
        ...


def works_beside(connection: Connection) -> bool:
    """Returns whether the database is a server, which works while this process does something else."""
    return kind_of(connection) in ("postgres", *MYSQL_FAMILY)


@contextmanager
def open_database(connection: Connection) -> Iterator[Database]:
    """Opens a session; without a commit it leaves nothing behind.

    Raises:
        ConsumerUnavailable: the database did not answer, or is locked.
        ConsumerRefused: it answered with an error, or crossdock cannot deliver to its kind.
    """
    kind = kind_of(connection)
    if kind == "sqlite":
        from crossdock.delivery.sqlite import open_sqlite as opener
    elif kind == "postgres":
        from crossdock.delivery.postgres import open_postgres as opener
    elif kind in MYSQL_FAMILY or "sqlalchemy_url" in connection.extra:
        from crossdock.delivery.dialects import open_dialect as opener
    else:
        raise ConsumerRefused(
            f"crossdock cannot deliver to a database of type '{connection.type}'.",
            where=f"connection {connection.id}",
            fix=did_you_mean(connection.type, ("sqlite", "postgres", *MYSQL_FAMILY)),
        )
    with opener(connection) as database:
        yield database


def kind_of(connection: Connection) -> str:
    """Returns which kind of database it is, by one name for each."""
    return connection.type.replace("postgresql", "postgres")
