"""Tables and views of a department's database.

The contract names the table, the connection its address. With a watermark only rows beyond the newest value held are
asked for, where the column's type orders them as we do; elsewhere all rows come, which costs time but loses nothing.
A row whose watermark is null or can't be read is seen by full pulls only.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from types import ModuleType

from crossdock.connections import Connection, Lookup
from crossdock.contracts.model import NESTED, Contract
from crossdock.errors import SourceInvalid
from crossdock.sources.databases.query import Query, Table
from crossdock.sources.source import REQUIRED, Pulled, match_columns, option, spec_of

OPTIONS = {"table": REQUIRED}
_READERS = {"sqlite": "sqlite", "postgres": "postgres", "postgresql": "postgres"}


def pull(contract: Contract, lookup: Lookup, *, since: str | None) -> Pulled:
    """Opens the table of a contract's source; see `sources.source.read`."""
    spec = spec_of(contract)
    table = Table.parse(option(contract, "table"), where=str(contract.path))
    connection = lookup(spec.connection)
    reader = _reader(connection)
    where = f"{connection.id}:{option(contract, 'table')}"
    names = reader.column_names(connection, table)
    match = match_columns(contract, names, where=where)
    columns = tuple((names[position], name) for position, name in zip(match.positions, match.names, strict=True))
    types = {column.name: column.type for column in contract.columns}
    as_json = frozenset(source for source, name in columns if types.get(name) in NESTED)
    query = Query(table=table, columns=columns, as_json=as_json)
    if spec.watermark and since is not None:
        column = contract.column(spec.watermark)
        at_source = {name: source for source, name in columns}
        if column.name not in at_source:
            raise SourceInvalid(
                f"The table lacks the watermark column '{column.source_name}'.", where=where, fix="Mend the contract."
            )
        query = replace(query, watermark=replace(column, source_name=at_source[column.name]), since=since)
    schema, batches = reader.stream(connection, query)
    return Pulled(batches=batches, schema=schema, missing=match.missing, extra=match.extra)


def column_names(connection: Connection, table: Table) -> list[str]:
    """Returns the names of a table's columns.

    Raises:
        SourceInvalid: there is no such table for us.
        SourceUnavailable: the database does not answer.
    """
    names: list[str] = _reader(connection).column_names(connection, table)
    return names


def _reader(connection: Connection) -> ModuleType:
    return import_module(f"crossdock.sources.databases.{_READERS.get(connection.type, 'dialect')}")
