"""Kernels for rules on a whole object or array: how much it holds, what it must have, whether a value stands twice.

Values of a free form are JSON text; those are read one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.model import Column
from crossdock.identity import canonical
from crossdock.validation.nesting import any_of

Kernel = Callable[..., pa.Array]


def items(column: Column, args: Mapping[str, object], where: str) -> Kernel:  # noqa: ARG001 - one shape for all
    """The array holds `min` to `max` items."""
    size = pc.list_value_length if column.children else _json_sizes
    return lambda values: _outside(size(values), args)


def properties(column: Column, args: Mapping[str, object], where: str) -> Kernel:  # noqa: ARG001 - a kernel's signature
    """The object has `min` to `max` properties that are not null, and those of `names`."""
    names: Any = args.get("names", ())
    if column.children:
        return lambda values: _outside(_filled(values), args)
    if not names:
        return lambda values: _outside(_json_sizes(values), args)
    return lambda values: pa.array([text is not None and _lacks(text, names) for text in values.to_pylist()])


def unique_items(column: Column, args: Mapping[str, object], where: str) -> Kernel:  # noqa: ARG001 - a kernel's signature
    """No value stands twice in the array; nulls are no values."""
    if not column.children:
        return lambda values: pa.array([text is not None and _repeats(json.loads(text)) for text in values.to_pylist()])
    return _repeated


NESTED_KERNELS: Mapping[str, Callable[[Column, Mapping[str, object], str], Kernel]] = {
    "items": items,
    "properties": properties,
    "unique_items": unique_items,
}


def _outside(sizes: pa.Array, args: Mapping[str, object]) -> pa.Array:
    low, high = args.get("min"), args.get("max")
    broken = pa.repeat(pa.scalar(False), len(sizes))
    if low is not None:
        broken = pc.or_(broken, pc.less(sizes.cast(pa.int64()), low))
    return broken if high is None else pc.or_(broken, pc.greater(sizes.cast(pa.int64()), high))


def _filled(values: pa.StructArray) -> pa.Array:
    """Counts an object's properties that are not null; null for no object."""
    counts = np.zeros(len(values), np.int64)
    for index in range(values.type.num_fields):
        counts += pc.struct_field(values, [index]).is_valid().to_numpy(zero_copy_only=False)
    return pa.array(counts, mask=values.is_null().to_numpy(zero_copy_only=False))


def _repeated(values: pa.ListArray) -> pa.Array:
    rows, flat = pc.list_parent_indices(values), pc.list_flatten(values)
    if pa.types.is_nested(flat.type):
        flat = pa.array([None if value is None else canonical(value) for value in flat.to_pylist()], pa.binary())
    there = flat.is_valid()
    table = pa.table({"row": rows.filter(there), "value": flat.filter(there)})
    often = table.group_by(["row", "value"]).aggregate([([], "count_all")])
    twice = pc.greater(often["count_all"], 1).combine_chunks()
    return any_of(twice, often["row"].to_numpy(), len(values))


def _json_sizes(values: pa.StringArray) -> pa.Array:
    return pa.array([None if text is None else len(json.loads(text)) for text in values.to_pylist()], pa.int64())


def _lacks(text: str, names: Sequence[str]) -> bool:
    found = json.loads(text)
    return any(found.get(name) is None for name in names)


def _repeats(found: list[Any]) -> bool:
    texts = [canonical(item) for item in found if item is not None]
    return len(set(texts)) < len(texts)
