"""A DuckDB that knows one table and nothing else: no file, no network, no extension, no setting can be reached from it.

What is asked of it has been parsed by `queries` before; the locks here hold whatever that overlooks.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from crossdock.contracts.arrow import arrow_type
from crossdock.contracts.model import Column
from crossdock.contracts.zone import CHINA
from crossdock.errors import Permanent

MEMORY = "512MB"
SECONDS = 30.0
_ROWS = "crossdock_rows"  # what the views below are made of; queries may not name it
_CLOCK = ("now", "get_current_timestamp", "transaction_timestamp")
_DAY = ("today", "current_date")
TIMES = frozenset({*_CLOCK, *_DAY, "current_timestamp"})  # what a query may ask the time by; the judge's clock answers
Result = int | float | Decimal | None


class QueryFailed(Permanent):
    """A query of a contract came to no result; what DuckDB says of it is not told, for it may hold values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows that may be asked, with columns c0, c1, ... in the order of `columns`, and the names they go by."""

    rows: pads.Dataset
    names: Sequence[str]
    columns: Sequence[Column]

    @classmethod
    def empty(cls, names: Sequence[str], columns: Sequence[Column]) -> Self:
        """Returns a table without rows: enough to see whether a query can be asked at all."""
        schema = pa.schema([pa.field(f"c{index}", arrow_type(column)) for index, column in enumerate(columns)])
        return cls(rows=pads.dataset(schema.empty_table()), names=names, columns=columns)

    def paths(self) -> Iterator[tuple[str, ...]]:
        """Yields the table's names as [database, [schema,]] table; those that differ only by case are one."""
        seen = set()
        for name in self.names:
            parts = tuple(name.split(".")) if re.fullmatch(r"[^\W\d][\w$]*(\.[^\W\d][\w$]*){0,2}", name) else (name,)
            key = tuple(part.lower() for part in parts)
            if key not in seen and not {"system", "temp", "memory", _ROWS} & {*key}:
                seen.add(key)
                yield parts

    def called(self) -> dict[str, str]:
        """Returns, by the names that a query may use, the column that is meant: its own name, else that at the source."""
        known = {column.name.lower() for column in self.columns}
        names = {column.name: f"c{index}" for index, column in enumerate(self.columns)}
        for index, column in enumerate(self.columns):
            if column.source_name.lower() not in known:
                known.add(column.source_name.lower())
                names[column.source_name] = f"c{index}"
        return names


class Sandbox:
    """One table to be asked, until it is closed.

    Args:
        table: what there is.
        now: what "now" and "today" are; the days are China's.
        spill: the folder into which DuckDB may write when memory runs out; None for nowhere.
    """

    def __init__(self, table: Table, *, now: datetime, spill: str | None = None) -> None:
        self._database = duckdb.connect(
            config={
                "memory_limit": MEMORY,
                "threads": 2,
                "temp_directory": spill or "",
                "max_temp_directory_size": "4GB" if spill else "0KB",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "python_enable_replacements": False,
            }
        )
        self._database.register(_ROWS, table.rows)
        self._name(table)
        self._set_clock(now)
        for setting in ("enable_external_access = false", "lock_configuration = true"):
            self._database.execute(f"SET {setting}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    def number(self, sql: str, *, where: str) -> Result:
        """Returns the first column of a query's first row: a number, True and False as 1 and 0; None for none.

        Raises:
            QueryFailed: it takes too long or too much memory, or something in the data makes it fail.
        """
        try:
            with self._within(SECONDS):
                row = self._database.execute(sql).fetchone()
        except duckdb.Error as error:
            raise _failed(error, where) from None
        value = row[0] if row else None
        return int(value) if isinstance(value, bool) else value

    def type_of(self, sql: str) -> str:
        """Returns the type of a query's first column without running it ("bigint").

        Raises:
            duckdb.Error: it can't be asked of this table.
        """
        with self._within(SECONDS):
            return str(self._database.sql(sql).types[0].id)

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._database.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _name(self, table: Table) -> None:
        shown = ", ".join(f"{inside} AS {quoted(name)}" for name, inside in table.called().items())
        for path in table.paths():
            if len(path) == 3:
                self._database.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {quoted(path[0])}")
            if len(path) > 1:
                self._database.execute(f"CREATE SCHEMA IF NOT EXISTS {'.'.join(map(quoted, path[:-1]))}")
            view = ".".join(map(quoted, path))
            self._database.execute(f"CREATE VIEW {view} AS SELECT {shown} FROM temp.main.{_ROWS}")  # noqa: S608 - quoted

    def _set_clock(self, now: datetime) -> None:
        """A verdict has to come out the same again: the time is that of the verdict, not of the query."""
        self._database.execute(f"SET TimeZone = '{CHINA.key}'")
        for name in _CLOCK:
            self._database.execute(f"CREATE MACRO main.{name}() AS TIMESTAMPTZ '{now.isoformat()}'")
        for name in _DAY:
            self._database.execute(f"CREATE MACRO main.{name}() AS CAST(TIMESTAMPTZ '{now.isoformat()}' AS DATE)")


def quoted(name: str) -> str:
    """Returns a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _failed(error: duckdb.Error, where: str) -> QueryFailed:
    what, fix = _FAILURES.get(
        type(error).__name__,
        (
            f"The query fails on this extract ({type(error).__name__}).",
            "Let it allow for values such as these: TRY_CAST for CAST, nullif() below a division line.",
        ),
    )
    return QueryFailed(what, where=where, fix=fix)


_FAILURES: dict[str, tuple[str, str]] = {
    "InterruptException": (f"The query took longer than {SECONDS:.0f} seconds.", "Ask for less, or join on equality."),
    "OutOfMemoryException": (f"The query needs more than {MEMORY} of memory.", "Ask for less at a time."),
}


def parsed_by(sql: str) -> Any:
    """Returns DuckDB's own parse tree of a SELECT as JSON text, and how many statements there are of which kind.

    Raises:
        duckdb.Error: it is no SQL.
    """
    with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as parser:
        kinds = [statement.type for statement in parser.extract_statements(sql)]
        if kinds != [duckdb.StatementType.SELECT]:
            return None
        found = parser.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        return found[0] if found else None


def unsteady_functions() -> frozenset[str]:
    """Returns the names of functions that may answer otherwise when they are asked again."""
    with duckdb.connect() as database:
        found = database.execute("SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'")
        return frozenset(str(name) for (name,) in found.fetchall())
