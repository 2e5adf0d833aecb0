"""The columns of one table: each property read, names that can be told apart, the key in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from open_data_contract_standard.model import SchemaObject, SchemaProperty

from crossdock.contracts.documents import Document
from crossdock.contracts.model import NESTED, Column
from crossdock.contracts.nested import routes
from crossdock.contracts.types import read_column
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import did_you_mean

TECHNICAL = frozenset({"_arrival", "_failures", "_contract_version"})  # columns of quarantine files
_SEMANTICS = ("column", "measure", "dimension")
_LONGEST = 128


def read_columns(document: Document, at: Steps, table: SchemaObject) -> Mapping[int, Column]:
    """Returns the columns by their place among the properties; what is wrong with them is noted in the document."""
    found: dict[int, Column] = {}
    for index, given in enumerate(table.properties or []):
        place = (*at, "properties", index)
        column = None if _is_computed(document, place, given) else read_column(document, place, given)
        if column:
            found[index] = column
    if not table.properties:
        document.report(at, "The table has no properties.", "Describe its columns.")
    paths = routes(tuple(found.values()))
    names: dict[str, set[str]] = {}  # of the columns before, by how they are spelled in lower case
    sources: dict[str, set[str]] = {}  # of the columns before, by what they are read from
    for index, column in found.items():
        if column.name in paths:
            what = f"The column name '{column.name}' is also the path of something inside of another column."
            document.report((*at, "properties", index, "name"), what, "Choose another name.")
        alike = names.setdefault(column.name.lower(), set())
        _check_name(document, (*at, "properties", index, "name"), column.name, alike)
        alike.add(column.name)
        same = sources.setdefault(column.source_name, set())
        if same - {column.name}:
            what = f"Two columns are read from '{column.source_name}'."
            document.report((*at, "properties", index, "physicalName"), what, "Give each its own physicalName.")
        same.add(column.name)
    return _with_key(document, at, found)


def _is_computed(document: Document, at: Steps, given: SchemaProperty) -> bool:
    """Returns whether a property is a measure or a dimension: computed by whoever asks, and no column of the data."""
    if given.semanticType not in (None, *_SEMANTICS):
        what = f"There is no semantic type '{given.semanticType}'."
        document.report((*at, "semanticType"), what, did_you_mean(given.semanticType or "", _SEMANTICS))
    computed = given.semanticType in ("measure", "dimension")
    stated = (given.required, given.unique, given.primaryKey, given.quality, given.enum, given.relationships)
    if computed and any(stated):
        what = f"'{given.name}' is a {given.semanticType}: it is computed, so no row can be judged by it."
        document.report(at, what, "State rules for the columns that it is computed from.")
    return computed


def _check_name(document: Document, at: Steps, name: str, alike: set[str]) -> None:
    if name in TECHNICAL:
        document.report(at, f"The column name '{name}' is one that crossdock keeps for itself.", "Choose another.")
    if name in alike:
        document.report(at, f"The column name '{name}' stands twice.", "Choose another name.")
    elif alike:
        # SQL databases take such columns for one.
        document.report(at, f"Another column's name differs from '{name}' only by case.", "Choose another name.")
    if not name.isprintable() or name != name.strip() or len(name) > _LONGEST:
        document.report(at, f"A column name is one line of at most {_LONGEST} characters, without spaces around it.")


def _with_key(document: Document, at: Steps, found: Mapping[int, Column]) -> Mapping[int, Column]:
    """Returns the columns with the key's positions counted 1, 2, 3."""
    keyed = sorted((c.key_position, index) for index, c in found.items() if c.key_position is not None)
    for _, index in keyed:
        if found[index].type in NESTED:
            place = (*at, "properties", index, "primaryKey")
            document.report(place, f"A column of type {found[index].type} is no key.", "Use plain columns.")
    for (position, _), (again, index) in pairwise(keyed):
        if position == again and position <= len(found):
            place = (*at, "properties", index, "primaryKeyPosition")
            document.report(place, f"Two columns have the key position {position}.", "Number them 1, 2, 3.")
    order = {index: number for number, (_, index) in enumerate(keyed, 1)}
    return {index: replace(column, key_position=order.get(index)) for index, column in found.items()}
