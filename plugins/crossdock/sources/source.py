"""What every kind of source gives: a stream of raw batches under the contract's column names.

Adding a kind of source is one module here with a function `pull(contract, lookup, *, since)` and a mapping
`OPTIONS` from the names of its options to whether each is REQUIRED; contracts name the module. It may have a function
`misplaced(options)` that tells, before any pull, of an option that leads where it must not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

import pyarrow as pa

from crossdock.connections import Lookup
from crossdock.contracts.model import Contract, SourceSpec
from crossdock.errors import Problem, SourceInvalid, WrongUse, did_you_mean

BATCH_ROWS = 65_536
REQUIRED, OPTIONAL = True, False


@dataclass(slots=True, kw_only=True)
class Pulled:
    """What one pull brings: batches of raw values, of which only one need be in memory at a time.

    Columns are the contract's that the source has, in contract order and under contract names, with values as they
    arrived: text where the source holds text, Arrow's own types where it is typed. Behind them stand those that only
    the source has, where the contract keeps them (`columns: evolve`).
    `missing` (contract columns the source lacks) and `extra` (columns only the source has) are complete once
    `batches` is exhausted: records of JSON name their fields one by one.
    """

    batches: Iterator[pa.RecordBatch]
    schema: pa.Schema
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which of a source's columns are taken: `positions[i]` at the source is `names[i]` in the extract."""

    positions: tuple[int, ...]
    names: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def read(contract: Contract, lookup: Lookup, *, since: str | None) -> Pulled:
    """Opens a dataset's source as its contract says.

    Args:
        contract: names the source, its columns and its watermark.
        lookup: finds the connection.
        since: the newest watermark value held already, as text; a source that can, gives only rows beyond it.

    Raises:
        WrongUse: the contract names no source, or options that its kind does not have.
        SourceInvalid: the source has no such content, or holds it in another form (also raised while reading).
        SourceUnavailable: the source does not answer now (also raised while reading).
    """
    kind = import_module(f"crossdock.sources.{spec_of(contract).kind}")
    for problem in wrong_options(contract):
        raise WrongUse(problem.what, where=f"{problem.file}: {problem.path}", fix=problem.fix)
    pulled: Pulled = kind.pull(contract, lookup, since=since)
    return pulled


def wrong_options(contract: Contract) -> list[Problem]:
    """Returns what is wrong with the options of a contract's source: unknown ones, and required ones that are missing."""
    spec = contract.source
    if spec is None:
        return []
    kind = import_module(f"crossdock.sources.{spec.kind}")
    known: Mapping[str, bool] = kind.OPTIONS
    misplaced = kind.misplaced(spec.options) if hasattr(kind, "misplaced") else None
    unknown = [
        (name, f"A source of kind '{spec.kind}' has no option '{name}'.", did_you_mean(name, known))
        for name in spec.options
        if name not in known
    ]
    missing = [
        (name, f"A source of kind '{spec.kind}' needs the option '{name}'.", f"Write {name}: ...")
        for name, required in known.items()
        if required and not spec.options.get(name)
    ]
    return [
        Problem(file=contract.path, path=f"{spec.path or 'source'}.{name}", what=what, fix=fix)
        for name, what, fix in [*unknown, *missing, *([misplaced] if misplaced else [])]
    ]


def spec_of(contract: Contract) -> SourceSpec:
    """Returns where a contract's data is pulled from.

    Raises:
        WrongUse: the contract names no source.
    """
    if contract.source is None:
        raise WrongUse(
            "The contract names no source to pull from.",
            where=str(contract.path),
            fix="Add `source` to its crossdock property, or validate a file by hand: crossdock validate CONTRACT DATA",
        )
    return contract.source


def option(contract: Contract, name: str, default: str = "") -> str:
    """Returns one of the source's own options as text; the default when it is not set."""
    value = contract.source.options.get(name) if contract.source else None
    return default if value is None else str(value)


def match_columns(contract: Contract, found: Sequence[str], *, where: str) -> Match:
    """Finds the contract's columns among a source's, by their name at the source, else by their contract name.

    To a contract without columns, which asks what a source has, all columns are extra.

    Raises:
        SourceInvalid: a name stands twice, or not one column is the contract's. Foreign names are not shown then:
            where a header line is missing, they are data.
    """
    names = [name.strip() for name in found]
    wanted = {c.source_name for c in contract.columns} | {c.name for c in contract.columns}
    twice = [name for name, times in Counter(names).items() if times > 1 and name in wanted]
    if twice:
        raise SourceInvalid(
            f"Column '{twice[0]}' stands twice.", where=where, fix="Give each column a name of its own at the source."
        )
    place = {name: index for index, name in enumerate(names)}
    taken = {c.name: place[c.source_name] for c in contract.columns if c.source_name in place}
    used = set(taken.values())
    taken |= {
        c.name: place[c.name]
        for c in contract.columns
        if c.name not in taken and place.get(c.name, -1) not in used | {-1}
    }
    if contract.columns and not taken:
        raise SourceInvalid(
            f"None of its {len(names)} columns is one of the contract's {len(contract.columns)}.",
            where=where,
            fix="Check that it has a header with column names, the delimiter, and the contract's physicalName entries.",
        )
    present = {c.name: taken[c.name] for c in contract.columns if c.name in taken}
    extra = [(index, name) for index, name in enumerate(names) if index not in present.values() and name]
    kept = {name: index for index, name in extra if keeps(contract, name)}
    return Match(
        positions=(*present.values(), *kept.values()),
        names=(*present, *kept),
        missing=tuple(c.name for c in contract.columns if c.name not in taken),
        extra=tuple(name for _, name in extra),
    )


def keeps(contract: Contract, name: str) -> bool:
    """True for a column that the contract does not know and its extracts hold all the same, in landing only."""
    return contract.new_columns == "evolve" and all(name != column.name for column in contract.columns)
