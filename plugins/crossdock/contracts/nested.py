"""Columns that hold objects, arrays and maps: what is inside of them, and by which path a rule names it.

| inside of | path | field |
|---|---|---|
| an object | `address.city` | the property's name |
| an array  | `phones[]` | `[]` |
| a map     | `names{key}`, `names{value}` | `key`, `value` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from open_data_contract_standard.model import SchemaProperty

from crossdock.contracts.documents import Document
from crossdock.contracts.model import NESTED, Column
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import did_you_mean

Read = Callable[[Document, Steps, SchemaProperty], Column | None]
_VECTORS = {"int8": "integer", "uint8": "integer", "binary": "integer"}  # other elements are floating numbers
_DEEPEST = 16


def parts_of(at: Steps, given: SchemaProperty) -> Iterator[tuple[str, Steps, SchemaProperty]]:
    """Yields what a property says is inside of it: the field's name, its place in the file, and the property there."""
    if given.logicalType in ("object", None):
        for index, part in enumerate(given.properties or []):
            yield part.name or "", (*at, "properties", index), part
    if given.logicalType == "array" and given.items:
        yield "[]", (*at, "items"), given.items
    if given.logicalType == "vector":
        kind = _VECTORS.get(str((given.logicalTypeOptions or {}).get("elementType")), "number")
        yield "[]", at, SchemaProperty(logicalType=kind)
    if given.logicalType == "map" and given.map:
        both = (("key", given.map.key), ("value", given.map.value))
        yield from ((field, (*at, "map", field), part) for field, part in both if part)


def with_children(document: Document, at: Steps, given: SchemaProperty, column: Column, read: Read) -> Column:
    """Returns a column with what is inside of it, read by `read`; what is wrong is noted in the document."""
    _check_parts(document, at, given, column)
    if len(at) > 2 * _DEEPEST:
        document.report(at, f"Objects and arrays nest deeper than {_DEEPEST} levels.", "Flatten them.")
        return column
    children: list[Column] = []
    for field, place, part in parts_of(at, given):
        if column.type == "object":
            _check_field(document, (*place, "name"), field, [child.field for child in children])
        child = read(document, place, part.model_copy(update={"name": _path(column, field) if field else None}))
        if child:
            source_name = part.physicalName or field
            children.append(replace(child, field=field, source_name=source_name, key_position=None))
        _check_key(document, place, part)
    if column.type == "map" and len(children) < 2:
        return column  # what is missing has been noted
    required = _required(document, (*at, "logicalTypeOptions", "required"), given, children)
    return replace(
        column, children=tuple(replace(child, required=child.required or child.field in required) for child in children)
    )


def _path(column: Column, field: str) -> str:
    if column.type == "object":
        return f"{column.name}.{field}"
    return f"{column.name}[]" if column.type == "array" else f"{column.name}{{{field}}}"


def _check_parts(document: Document, at: Steps, given: SchemaProperty, column: Column) -> None:
    misplaced = {
        "properties": bool(given.properties) and column.type != "object",
        "items": bool(given.items) and (column.type != "array" or given.logicalType == "vector"),
        "map": bool(given.map) and column.type != "map",
    }
    for key, wrong in misplaced.items():
        if wrong:
            document.report((*at, key), f"A property of type {given.logicalType} has no `{key}`.")
    if column.type == "map" and not (given.map and given.map.key and given.map.value):
        document.report(at, "A map needs `map` with `key` and `value`.", "Write `map: {key: {...}, value: {...}}`.")
    if column.type == "map" and given.map and given.map.key and given.map.key.logicalType in NESTED:
        document.report((*at, "map", "key"), "The keys of a map are plain values.", "Make them strings.")


def _check_field(document: Document, at: Steps, name: str, others: Sequence[str]) -> None:
    if name.lower() in {other.lower() for other in others}:
        document.report(at, f"The object has the property '{name}' twice, or but for case.", "Choose another name.")


def _check_key(document: Document, at: Steps, given: SchemaProperty) -> None:
    for key, stated in (("primaryKey", given.primaryKey), ("unique", given.unique)):
        if stated:
            fix = "Within an array, write `logicalTypeOptions: {uniqueItems: true}`; a key is a column of its own."
            document.report((*at, key), f"crossdock can't run `{key}` inside of another column.", fix)
    if given.relationships:
        document.report((*at, "relationships"), "Only whole columns refer to other datasets.", "Make it a column.")


def _required(document: Document, at: Steps, given: SchemaProperty, children: Sequence[Column]) -> frozenset[str]:
    """Returns the names in the option `required` of an object; those of a free-form object are a rule of its own."""
    named = (given.logicalTypeOptions or {}).get("required")
    if not isinstance(named, list) or given.logicalType != "object":
        return frozenset()
    known = [child.field for child in children]
    for name in named if known else ():
        if name not in known:
            document.report(at, f"The object has no property '{name}'.", did_you_mean(str(name), known))
    return frozenset(map(str, named))


def routes(columns: Sequence[Column]) -> Mapping[str, tuple[Column, ...]]:
    """Returns, by path, the way to everything inside of some columns: the column itself first, what is meant last."""
    return {way[-1].name: way for way in chain.from_iterable(_ways((column,)) for column in columns)}


def _ways(way: tuple[Column, ...]) -> Iterator[tuple[Column, ...]]:
    for child in way[-1].children:
        yield (*way, child)
        yield from _ways((*way, child))
