"""Records of JSON as columns of text: numbers keep the digits they were written with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from crossdock.contracts.json_text import spelled_json
from crossdock.contracts.model import Contract
from crossdock.errors import SourceInvalid
from crossdock.sources.formats.file import text_schema
from crossdock.sources.source import Pulled, keeps

Record = dict[str, Any]

_ROWS = 16_384  # records in memory at a time, each of them a dictionary


NAMED_TWICE = "an object that names a key twice"


def pull_records(records: Iterable[Record], contract: Contract, *, where: str) -> Pulled:
    """Returns records as batches of every contract column; a key that a record lacks is null in it.

    A column that no record names is reported as missing at the end (unless there was no record at all). Of keys that
    the contract does not know, those of the first records can be kept.
    """
    remaining = iter(records)
    first = list(islice(remaining, _ROWS)) if contract.new_columns == "evolve" else []
    keys = _keys(contract)
    known = {name for names in keys.values() for name in names}
    keys |= {name: (name,) for row in first for name in row if name not in known and keeps(contract, name)}
    pulled = Pulled(batches=iter(()), schema=text_schema(tuple(keys)))
    pulled.batches = _batches(chain(first, remaining), contract, pulled, where)
    return pulled


def _batches(records: Iterable[Record], contract: Contract, pulled: Pulled, where: str) -> Iterator[pa.RecordBatch]:
    keys = _keys(contract)
    taken = [keys.get(name, (name,)) for name in pulled.schema.names]
    seen: dict[str, None] = {}
    remaining = iter(records)
    while rows := list(islice(remaining, _ROWS)):
        for row in rows:
            seen.update(dict.fromkeys(row))
        columns = [_column(rows, names, where) for names in taken]
        yield pa.RecordBatch.from_arrays(columns, schema=pulled.schema)
    known = {name for names in keys.values() for name in names}
    pulled.extra = tuple(name for name in seen if name not in known)
    pulled.missing = tuple(c for c, names in keys.items() if seen and seen.keys().isdisjoint(names))
    if seen and keys and len(pulled.missing) == len(keys):
        raise SourceInvalid(
            "No record has a key that is one of the contract's columns.",
            where=where,
            fix="Check the contract's physicalName entries, and where in the JSON the records are.",
        )


def _keys(contract: Contract) -> dict[str, tuple[str, ...]]:
    """Returns the keys a column may have in a record: its name at the source, else its contract name."""
    at_source = {c.source_name for c in contract.columns}
    return {c.name: (c.source_name, *(() if c.name in at_source else (c.name,))) for c in contract.columns}


def _column(rows: Sequence[Record], keys: tuple[str, ...], where: str) -> pa.Array:
    first = keys[0]
    values = [row.get(first) for row in rows]
    for other in keys[1:]:
        values = [row.get(other) if first not in row else value for row, value in zip(rows, values, strict=True)]
    try:
        try:
            return pa.array(values, pa.string())
        except pa.ArrowException:
            return pa.array([_text(value) for value in values], pa.string())
    except UnicodeEncodeError:
        raise SourceInvalid(
            f"A value of '{first}' holds half a character (a lone surrogate).",
            where=where,
            fix="Mend it at the source.",
        ) from None


def _text(value: Any) -> str | None:
    """Returns a value as text: a string as it is, anything else as its JSON."""
    return value if value is None or isinstance(value, str) else spelled_json(value)
