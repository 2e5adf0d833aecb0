"""What a contract is drafted from: a data file, or a table of a database, read by the readers of every pull."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from crossdock.connections import Connection
from crossdock.contracts.model import Column, Contract, Label, SourceSpec
from crossdock.drafting.layout import find_layout
from crossdock.drafting.naming import propose_names, propose_word
from crossdock.sources import database
from crossdock.sources.databases.declared import Declared, declared
from crossdock.sources.databases.query import Table
from crossdock.sources.files import file_columns, local_file, read_file
from crossdock.sources.source import Pulled

# What no one calls a column: identifiers, dates and numbers.
_VALUE = re.compile(r"[1-8]\d{16}[\dX]|1[3-9]\d{9}|[^@\s]+@[^@\s]+\.\w+|\d{4}-\d\d-\d\d.*|[+-]?\d+\.\d+")
_NUMBER = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Data to draft from. `pull` reads the columns of a contract; `blank` is that contract, with every column as text."""

    word: str  # the dataset's name, unless a person gives one
    blank: Contract
    pull: Callable[[Contract], Pulled]
    declared: Mapping[str, Declared] = field(default_factory=dict)  # by name at the source


def file_origin(path: Path) -> Origin:
    """Finds out how a file is laid out, and its columns.

    Raises:
        SourceInvalid: it can't be read, or its first line holds values.
    """
    file = local_file(path)
    spec = SourceSpec(kind="files", options={"path": path.name, **find_layout(file)})
    blank = _contract(path, spec)
    names = file_columns(path, blank)
    if any(_VALUE.fullmatch(name) for name in names) or all(_NUMBER.fullmatch(name) for name in names):
        raise file.invalid("Its first line holds values, no column names.", "Write the column names in the first line.")
    stem = path.name.partition(".")[0]
    return Origin(word=propose_word(stem), blank=_with_columns(blank, names), pull=lambda c: read_file(path, c))


def table_origin(connection: Connection, table: str) -> Origin:
    """Finds a table's columns, and what the database says of them.

    Raises:
        SourceInvalid: there is no such table.
        SourceUnavailable: the database does not answer.
        WrongUse: that is no table's name.
    """
    where = f"{connection.id}:{table}"
    parsed = Table.parse(table, where=where)
    spec = SourceSpec(kind="database", connection=connection.id, options={"table": table})
    names = [name.strip() for name in database.column_names(connection, parsed)]
    said = {column.name.strip(): column for column in declared(connection, parsed)}
    blank = _with_columns(_contract(Path(where), spec), names)
    return Origin(
        word=propose_word(parsed.name),
        blank=blank,
        pull=lambda contract: database.pull(contract, lambda _: connection, since=None),
        declared=said,
    )


def _with_columns(blank: Contract, names: list[str]) -> Contract:
    columns = zip(propose_names(names), names, strict=True)
    return replace(
        blank, columns=tuple(Column(name=name, source_name=source, type="string") for name, source in columns)
    )


def _contract(path: Path, spec: SourceSpec) -> Contract:
    return Contract(
        id=str(path),
        department="",
        dataset="",
        version="0.1.0",
        status="draft",
        title=Label(zh="", en=""),
        description="",
        theme="",
        sharing="none",
        sharing_basis="",
        subject=None,
        source=spec,
        columns=(),
        rules=(),
        transforms=(),
        path=path,
    )
