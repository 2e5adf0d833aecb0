"""Everything that can be learnt of a dataset before anybody has described it: two passes over all rows, then the key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import prod
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Column, Contract
from crossdock.drafting.distinct import Distinct
from crossdock.drafting.facts import Facts, Gathering
from crossdock.drafting.origin import Origin
from crossdock.drafting.types import TypeGuess
from crossdock.errors import SourceInvalid
from crossdock.sources.landing import land
from crossdock.validation.scan import raw_batches
from crossdock.validation.typing import cast_batch

MOST_VALUES = 20  # of a column whose values may be listed
_NEARLY = 0.9  # approximate counts are a few percent off
_KEY_COLUMNS = 12  # among whose pairs a key is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What was found: columns in the source's order with what they hold, `keys` that name one row each, best first.

    `left_out` are columns whose values no contract can describe, `ambiguous` those whose day and month can't be told
    apart. `declared` is true when the first key is the database's own.
    """

    rows: int
    columns: tuple[Column, ...]
    facts: Mapping[str, Facts]
    keys: tuple[tuple[str, ...], ...]
    declared: bool
    null_tokens: tuple[str, ...]
    left_out: tuple[str, ...]
    ambiguous: tuple[str, ...]
    nearly: Mapping[str, tuple[Column, int]]  # what a text column would be, but for so many values


def study(origin: Origin, scratch: Path) -> Study:
    """Reads all of an origin's data and studies it in bounded memory.

    Raises:
        SourceInvalid: the data can't be read, or none of its columns can be described.
        SourceUnavailable: the source does not answer.
    """
    landed = land(origin.pull(origin.blank), scratch / "landed.parquet")
    extract = pads.dataset(landed.path, format="parquet")
    guesses = _guess_types(origin, extract)
    found = {guess.name: column for guess in guesses if (column := guess.column()) is not None}
    if not found:
        raise SourceInvalid(
            "None of its columns holds plain values.", where=origin.blank.id, fix="Flatten lists and records."
        )
    tokens = tuple(dict.fromkeys(token for guess in guesses for token in guess.null_tokens))
    contract = replace(origin.blank, columns=tuple(found.values()), null_tokens=tokens)
    typed = scratch / "typed.arrow"
    gathered = _gather(contract, extract, typed)
    with Distinct(typed, len(contract.columns), scratch) as distinct:
        facts = _with_distinct(contract.columns, gathered, distinct)
        own = _declared_key(origin, contract.columns, facts)
        keys = (own,) if own else tuple(_keys(contract.columns, facts, distinct))
    return Study(
        rows=landed.rows,
        columns=tuple(replace(c, required=landed.rows > 0 and not facts[c.name].missing) for c in contract.columns),
        facts=facts,
        keys=keys,
        declared=bool(own),
        null_tokens=tokens,
        left_out=tuple(guess.source_name for guess in guesses if guess.name not in found),
        ambiguous=tuple(guess.name for guess in guesses if guess.ambiguous),
        nearly={guess.name: near for guess in guesses if (near := guess.nearly)},
    )


def _guess_types(origin: Origin, extract: pads.Dataset) -> list[TypeGuess]:
    guesses = [
        TypeGuess(name=column.name, source_name=column.source_name, declared=origin.declared.get(column.source_name))
        for column in origin.blank.columns
    ]
    there = [guess for guess in guesses if guess.name in extract.schema.names]
    for batch in raw_batches(extract):
        for guess in there:
            guess.add(batch.column(guess.name))
    return guesses


def _gather(contract: Contract, extract: pads.Dataset, typed: Path) -> list[Gathering]:
    """Gathers facts over the typed values, and writes these to a file with the columns c0, c1, ..."""
    gathered = [Gathering(column) for column in contract.columns]
    fields = [pa.field(f"c{place}", field.type) for place, field in enumerate(arrow_schema(contract))]
    schema = pa.schema(fields)
    with pa.OSFile(str(typed), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for raw in raw_batches(extract):
            batch, _ = cast_batch(raw, contract)
            for gathering, values in zip(gathered, batch.columns, strict=True):
                gathering.add(values)
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    return gathered


def _with_distinct(columns: Sequence[Column], gathered: Sequence[Gathering], distinct: Distinct) -> dict[str, Facts]:
    facts = {}
    for place, (column, gathering, count) in enumerate(zip(columns, gathered, distinct.counts(), strict=True)):
        few = column.type == "string" and count <= MOST_VALUES / _NEARLY
        facts[column.name] = gathering.facts(count, distinct.values(place, MOST_VALUES) if few else ())
    return facts


def _declared_key(origin: Origin, columns: Sequence[Column], facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """Returns the key that the database declares; SQLite lets a key's columns be empty, and then it is none."""
    places = {c.name: d.key_position for c in columns if (d := origin.declared.get(c.source_name)) and d.key_position}
    key = tuple(sorted(places, key=lambda name: places[name] or 0))
    wanted = sum(declared.key_position is not None for declared in origin.declared.values())
    return key if len(key) == wanted and not any(facts[name].missing for name in key) else ()


def _keys(columns: Sequence[Column], facts: Mapping[str, Facts], distinct: Distinct) -> Iterator[tuple[str, ...]]:
    """Yields columns, else pairs of columns, that are never missing and name one row each, in the source's order."""
    whole = [
        (place, column)
        for place, column in enumerate(columns)
        if facts[column.name].rows and not facts[column.name].missing and column.type not in ("boolean", "time")
        and not (column.type == "number" and column.precision is None)
    ]  # fmt: skip
    for size, among in ((1, whole), (2, whole[:_KEY_COLUMNS])):
        found = False
        for chosen in combinations(among, size):
            names = tuple(column.name for _, column in chosen)
            enough = prod(facts[name].distinct for name in names) >= facts[names[0]].rows * _NEARLY
            if enough and not distinct.repeats([place for place, _ in chosen]):
                found = True
                yield names
        if found:
            return
