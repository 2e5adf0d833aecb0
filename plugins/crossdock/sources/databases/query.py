"""What is asked of a database: columns of one table, and rows beyond a watermark. Never SQL text from a contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise

from crossdock.contracts.model import Column
from crossdock.errors import SourceInvalid, WrongUse, did_you_mean

_IN_ORDER = "YmdHMS"  # a pattern whose parts come in this order sorts as time does


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table or view; `schema` is "" where the connection's own is meant."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str, *, where: str) -> Table:
        """Reads "table" or "schema.table"."""
        schema, _, name = text.rpartition(".")
        if not name or "\0" in text:
            raise WrongUse("The source names no table.", where=where, fix="Write table: NAME or table: SCHEMA.NAME.")
        return cls(schema=schema, name=name)

    def __str__(self) -> str:
        return ".".join(quoted(part) for part in (self.schema, self.name) if part)

    def missing(self, where: str, known: Sequence[str]) -> SourceInvalid:
        """Returns the error that there is no such table."""
        return SourceInvalid(
            f"There is no table or view '{self.name}' that we may read.",
            where=where,
            fix=did_you_mean(self.name, known),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The columns to read, as (name at the source, name in the contract), and where to begin.

    `watermark` is the column as the source has it: its `source_name` is one of the table's. `as_json` are the sources'
    columns that hold objects or arrays, whose text is to be JSON.
    """

    table: Table
    columns: tuple[tuple[str, str], ...]
    watermark: Column | None = None
    since: str = ""
    as_json: frozenset[str] = frozenset()

    @property
    def spelled(self) -> str | None:
        """The watermark as a text column holds it, if texts of that form sort as their values do; else None."""
        if self.watermark is None or self.watermark.type == "string":
            return self.since if self.watermark else None
        if self.watermark.type not in ("date", "timestamp"):
            return None
        if not self.watermark.formats:
            return self.since if self.watermark.type == "date" else None
        form = self.watermark.formats[0]
        parts = [letter for before, letter in pairwise(form) if before == "%" and letter != "%"]
        sortable = len(self.watermark.formats) == 1 and parts == [p for p in _IN_ORDER if p in parts] and "%Y" in form
        return self.moment.strftime(form) if sortable else None

    @property
    def moment(self) -> date | datetime:
        """The watermark of a date or timestamp column; instants in UTC."""
        value = datetime.fromisoformat(self.since)
        return value.astimezone(UTC) if value.tzinfo else value


def quoted(name: str) -> str:
    """Returns a name as an SQL identifier that means exactly it."""
    return '"' + name.replace('"', '""') + '"'
