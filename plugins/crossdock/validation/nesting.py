"""Objects, arrays and maps: from JSON text or Arrow's own nested values to the contract's types, and back out again.

What is inside is typed by the same rules as columns are, all values of one path at once. A value that has no place in
the form (a list where an object belongs, a key that stands twice) is marked by its path; what the contract does not
name inside of an object is not taken. The entries of a map are sorted by key, so that the same map is the same value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.arrow import arrow_type
from crossdock.contracts.json_text import DECODER, Number, in_one_order, spelled_json
from crossdock.contracts.model import NESTED, Column
from crossdock.identity import canonical

Cast = Callable[[pa.Array, Column], tuple[pa.Array, pa.BooleanArray]]
Flaws = dict[str, np.ndarray]  # by path: True for the rows in which something there does not fit
_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})


def cast_nested(values: pa.Array, column: Column, cast: Cast) -> tuple[pa.Array, Flaws]:
    """Returns a nested column's values in its type, and by path which rows do not fit.

    Args:
        values: JSON text, or Arrow's structs, lists and maps.
        column: what they must become.
        cast: types the plain values of one path, as columns are typed.
    """
    if not pa.types.is_string(values.type):
        return _cast(values, column, cast)
    loose, flaws = _loose(values, column)
    typed, found = _cast(loose, column, cast)
    return typed, _joined(flaws, found)


def reach(values: pa.Array, way: Sequence[Column]) -> tuple[pa.Array, np.ndarray]:
    """Returns all values at a path inside of a column, and the row that each is of.

    Args:
        values: the typed column.
        way: the column, then what is inside of it, down to what is meant. What a null would hold is not there.
    """
    rows = np.arange(len(values))
    for outer, inner in pairwise(way):
        there = values.is_valid()
        values, rows = values.filter(there), rows[_truths(there)]
        if outer.type == "object":
            values = pc.struct_field(values, [inner.field])
        else:
            entries = _entries(values) if outer.type == "map" else values
            rows = rows[pc.list_parent_indices(entries).to_numpy()]
            values = pc.list_flatten(entries)
            values = pc.struct_field(values, [inner.field]) if outer.type == "map" else values
    return values, rows


def any_of(flags: pa.Array, rows: np.ndarray, size: int) -> pa.BooleanArray:
    """Returns which of `size` rows have a true flag; flag i is of row `rows[i]`, and a null flag is none."""
    return pa.array(_lifted(_truths(flags), rows, size))


def _cast(values: pa.Array, column: Column, cast: Cast) -> tuple[pa.Array, Flaws]:
    if column.type not in NESTED:
        typed, misfit = cast(values, column)
        return typed, {column.name: _truths(misfit)}
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_null(values.type):
        values = pa.nulls(len(values), arrow_type(column))
    if not column.children:
        return _free(values, column)
    if not _FORMS[column.type](values.type):
        return pa.nulls(len(values), arrow_type(column)), {column.name: _truths(values.is_valid())}
    return {"object": _struct, "array": _list, "map": _map}[column.type](values, column, cast)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_entries(kind: pa.DataType) -> bool:
    return bool(pa.types.is_map(kind)) or (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type))


_FORMS: Mapping[str, Callable[[pa.DataType], bool]] = {
    "object": lambda kind: bool(pa.types.is_struct(kind)),
    "array": _is_list,
    "map": _is_entries,
}


def _struct(values: pa.Array, column: Column, cast: Cast) -> tuple[pa.Array, Flaws]:
    names = [field.name for field in values.type]
    children, flaws = [], {column.name: np.zeros(len(values), np.bool_)}
    for child in column.children:
        name = child.source_name if child.source_name in names else child.field
        inner = pc.struct_field(values, [names.index(name)]) if name in names else pa.nulls(len(values))
        typed, found = _cast(inner, child, cast)
        children.append(typed)
        flaws |= found
    return pa.StructArray.from_arrays(children, fields=list(arrow_type(column)), mask=values.is_null()), flaws


def _list(values: pa.Array, column: Column, cast: Cast) -> tuple[pa.Array, Flaws]:
    if not pa.types.is_list(values.type):
        values = values.cast(pa.list_(values.type.value_type))
    rows = pc.list_parent_indices(values).to_numpy()
    typed, found = _cast(pc.list_flatten(values), column.children[0], cast)
    kind = arrow_type(column)
    made = pa.ListArray.from_arrays(_offsets(rows, len(values)), typed, type=kind, mask=values.is_null())
    return made, _of_rows(column, found, rows, len(values))


def _map(values: pa.Array, column: Column, cast: Cast) -> tuple[pa.Array, Flaws]:
    entries, size = _entries(values), len(values)
    rows = pc.list_parent_indices(entries).to_numpy()
    flat = pc.list_flatten(entries)
    (keys, found), (items, inside) = (
        _cast(pc.struct_field(flat, [index]), child, cast) for index, child in enumerate(column.children)
    )
    flaws = _of_rows(column, found | inside, rows, size)
    order = pc.sort_indices(pa.table({"row": rows, "key": keys}), [("row", "ascending"), ("key", "ascending")])
    keys, items, rows = keys.take(order), items.take(order), rows[order.to_numpy()]
    unclear = _truths(keys.is_null())
    if len(keys) > 1:
        unclear[1:] |= _truths(pc.equal(keys[1:], keys[:-1])) & (rows[1:] == rows[:-1])
    flaws[column.name] = _lifted(unclear, rows, size) & ~flaws[column.children[0].name]
    lost = _lifted(unclear, rows, size)
    kept = pa.array(~lost[rows])
    keys, items, rows = keys.filter(kept), items.filter(kept), rows[~lost[rows]]
    nothing = pa.array(lost | _truths(values.is_null()))
    made = pa.MapArray.from_arrays(_offsets(rows, size), keys, items, type=arrow_type(column), mask=nothing)
    return made, flaws


def _free(values: pa.Array, column: Column) -> tuple[pa.Array, Flaws]:
    """Spells values of a free form as JSON text; a text has been spelled already."""
    fits = pa.types.is_struct(values.type) or pa.types.is_map(values.type)
    if column.type == "array":
        fits = _is_list(values.type)
    if pa.types.is_string(values.type):
        return values, {column.name: np.zeros(len(values), np.bool_)}
    if not fits:
        return pa.nulls(len(values), pa.string()), {column.name: _truths(values.is_valid())}
    plain = (dict(v) if v is not None and pa.types.is_map(values.type) else v for v in values.to_pylist())
    texts = [None if value is None else canonical(value).decode() for value in plain]
    return pa.array(texts, pa.string()), {column.name: np.zeros(len(values), np.bool_)}


def _entries(values: pa.Array) -> pa.ListArray:
    """Returns maps as lists of key and value: Arrow's list functions end the process when they are given a map."""
    if not pa.types.is_map(values.type):
        return values
    kind = values.type
    return values.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))


def _offsets(rows: np.ndarray, size: int) -> pa.Array:
    counts = np.bincount(rows, minlength=size)
    return pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))


def _of_rows(column: Column, found: Flaws, rows: np.ndarray, size: int) -> Flaws:
    return {column.name: np.zeros(size, np.bool_)} | {path: _lifted(flaw, rows, size) for path, flaw in found.items()}


def _lifted(flags: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    lifted = np.zeros(size, np.bool_)
    lifted[rows[flags]] = True
    return lifted


def _truths(flags: pa.Array) -> np.ndarray:
    found: np.ndarray = pc.fill_null(flags, False).to_numpy(zero_copy_only=False).astype(np.bool_)
    return found


def _joined(first: Flaws, second: Flaws) -> Flaws:
    return {path: first[path] | flaw if path in first else flaw for path, flaw in second.items()}


def _loose(texts: pa.Array, column: Column) -> tuple[pa.Array, Flaws]:
    """Returns JSON texts as nested values whose plain ones are still text, and what has another form than declared."""
    flaws: dict[str, list[int]] = {}
    found = []
    for row, text in enumerate(texts.to_pylist()):
        seen: list[str] = []
        found.append(_read(text, column, seen))
        for path in seen:
            flaws.setdefault(path, []).append(row)
    marked: Flaws = {path: np.zeros(len(texts), np.bool_) for path in flaws}
    for path, rows in flaws.items():
        marked[path][rows] = True
    return pa.array(found, _loose_type(column)), marked


def _read(text: str | None, column: Column, seen: list[str]) -> Any:
    if text is None or text == "":
        return None
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError):
        seen.append(column.name)
        return None
    return _formed(value, column, seen)


def _formed(value: Any, column: Column, seen: list[str]) -> Any:
    """Returns a JSON value in the column's form; a part that has another one is null, and its path is noted."""
    if value is None:
        return None
    wanted: type | tuple[type, ...] = (str, bool)
    if column.type in NESTED:
        wanted = list if column.type == "array" else dict
    if not isinstance(value, wanted) or (isinstance(value, str) and not _sayable(value)):
        seen.append(column.name)
        return None
    if column.type not in NESTED:
        return ("true" if value else "false") if isinstance(value, bool) else str(value)
    return _formed_parts(value, column, seen)


def _formed_parts(value: Any, column: Column, seen: list[str]) -> Any:
    if not column.children:
        text = spelled_json(in_one_order(value)) if _proper(value) else None
        if text is None:
            seen.append(column.name)
        return text
    if column.type == "array":
        return [_formed(item, column.children[0], seen) for item in value]
    if column.type == "map":
        return [{"key": key, "value": _formed(value[key], column.children[1], seen)} for key in value if _sayable(key)]
    return {
        child.field: _formed(
            value.get(child.source_name) if child.source_name in value else value.get(child.field), child, seen
        )
        for child in column.children
    }


def _sayable(text: str) -> bool:
    """False for half a character (a lone surrogate), which no file can hold."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _proper(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_sayable(key) and _proper(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_proper, value))
    return not isinstance(value, str) or (_sayable(value) and not (isinstance(value, Number) and value in _NO_NUMBERS))


def _loose_type(column: Column) -> pa.DataType:
    """Returns the type of parsed JSON in which every plain value is text."""
    if not column.children:
        return pa.string()
    inside = [(child.field, _loose_type(child)) for child in column.children]
    if column.type == "object":
        return pa.struct(inside)
    return pa.list_(inside[0][1] if column.type == "array" else pa.struct(inside))
