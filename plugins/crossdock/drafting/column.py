"""One column of a draft: what was guessed of it, and the question that a person has to answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crossdock.contracts.model import Column
from crossdock.drafting.facts import Facts
from crossdock.drafting.identifiers import IDENTIFIERS
from crossdock.drafting.origin import Origin
from crossdock.drafting.sensitivity import Sensitivity, guess_sensitivity
from crossdock.drafting.study import Study
from crossdock.drafting.types import FORMATS
from crossdock.sources.databases.declared import Declared

_OFTEN = 3  # rows that every listed value has: what one row alone has may tell of somebody
_NEARLY_ALL = 0.95
_LONGEST_VALUE = 40  # characters of a value that is listed


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedColumn:
    """One column of a draft, and what was guessed of it."""

    column: Column
    facts: Facts
    sensitivity: Sensitivity
    identifier: str  # a name of IDENTIFIERS that all values are; "" for none
    values: tuple[str, ...]  # those that are listed
    declared: Declared | None
    question: str

    @property
    def type(self) -> str:
        """The column's type as people say it."""
        return _type(self.column)


def drafted_column(column: Column, origin: Origin, studied: Study) -> DraftedColumn:
    """Puts together what was found of a column."""
    facts, declared = studied.facts[column.name], origin.declared.get(column.source_name)
    sensitivity = guess_sensitivity(column, facts, declared.comment if declared else "")
    identifier = next((kind for kind in IDENTIFIERS if _is(kind, column, facts)), "")
    values = () if identifier or sensitivity.personal or column.key_position else _listed(facts)
    drafted = DraftedColumn(
        column=column, facts=facts, sensitivity=sensitivity, identifier=identifier, values=values, declared=declared,
        question="",
    )  # fmt: skip
    return replace(drafted, question=_question(drafted, studied))


def _is(kind: str, column: Column, facts: Facts) -> bool:
    return facts.present > 0 and facts.share(kind) == 1 and _is_named(kind, column)


def _is_named(kind: str, column: Column) -> bool:
    named = IDENTIFIERS[kind].named
    return named is None or named.search(f"{column.source_name} {column.name}") is not None


def _listed(facts: Facts) -> tuple[str, ...]:
    fit = all(times >= _OFTEN and 0 < len(v) <= _LONGEST_VALUE and v.isprintable() for v, times in facts.values)
    return tuple(value for value, _ in facts.values) if fit else ()


def _question(drafted: DraftedColumn, studied: Study) -> str:
    """Returns what a person has to confirm of a column, in one line."""
    column, facts = drafted.column, drafted.facts
    share = 100 * facts.missing / facts.rows if facts.rows else 0.0
    parts = [
        f"of type {_type(column)}",
        f"{facts.missing:,} of {facts.rows:,} values missing ({share:.1f} %)" if facts.missing else "never missing",
    ]
    if column.name in studied.ambiguous:
        parts.append("dates of which day and month can't be told apart: declare a date with its format")
    if column.name in studied.nearly:
        near, wrong = studied.nearly[column.name]
        parts.append(
            f"but for {wrong:,} values it would be of type {_type(near)}: declare that to have these quarantined"
        )
    parts += [
        f"all but {facts.present - facts.alike[kind]:,} values are {identifier.words}"
        for kind, identifier in IDENTIFIERS.items()
        if _NEARLY_ALL <= facts.share(kind) < 1 and _is_named(kind, column)
    ]
    if drafted.identifier:
        parts.append(f"all values are {IDENTIFIERS[drafted.identifier].words}")
    if drafted.values:
        parts.append(f"no other than the {len(drafted.values)} values listed")
    if column.key_position:
        key = "part of the primary key" if len(studied.keys[0]) > 1 else "the primary key"
        parts.append(f"{key}, as the database declares" if studied.declared else key)
    elif (column.name,) in studied.keys[1:]:
        parts.append("unique too, so it might be the key")
    parts.append(f"{drafted.sensitivity.classification}, because {drafted.sensitivity.reason}")
    return f"{'; '.join(parts)}. Is that so?"


def _type(column: Column) -> str:
    if column.precision is not None:
        return f"decimal({column.precision},{column.scale})"
    if column.formats:
        return f"{column.type} written {date_format(column)}"
    return f"{column.type} with a time zone" if column.timezone else column.type


def date_format(column: Column) -> str:
    """Returns the pattern of a column's dates, as ODCS writes it."""
    return next(
        form for form, (kind, pattern, _) in FORMATS.items() if (kind, (pattern,)) == (column.type, column.formats)
    )
