"""How Arrow and parquet are fastest with our rows: where memory comes from, what lies in it, which columns get a dictionary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_NONE = np.frombuffer(bytes(8), np.int64)  # the one offset of no values
_NULLS = 131_072  # of a type that are kept at hand
_SAMPLE, _FEW = 16_384, 4_096  # distinct values among the first rows up to which a parquet dictionary pays


def settle_memory() -> None:
    """Takes the allocator that is up to speed soonest: most processes judge or deliver one dataset and end."""
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ and "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())


def few_values(rows: pa.RecordBatch | pa.Table) -> list[str]:
    """Names the columns with few different values among the first rows: a dictionary only slows down the others."""
    first = rows.slice(0, _SAMPLE)
    plain = [
        index
        for index, field in enumerate(first.schema)
        if not (pa.types.is_boolean(field.type) or pa.types.is_nested(field.type))
    ]
    return [first.schema.field(index).name for index in plain if _has_few(first.column(index))]


def _has_few(values: pa.Array | pa.ChunkedArray) -> bool:
    try:
        return bool(pc.count_distinct(values).as_py() <= _FEW)
    except pa.ArrowNotImplementedError:  # of nulls, and of what is a dictionary already
        return True


def worth_bounds(schema: pa.Schema, few: Sequence[str]) -> list[str]:
    """Names the columns of which a reader is told the least and greatest value of a row group.

    Of many different texts or hashes in no order they would leave nothing out, and finding them takes a fourth of the
    writing.
    """
    return [
        field.name
        for field in schema
        if not pa.types.is_nested(field.type)
        and (field.name in few or not (pa.types.is_string(field.type) or pa.types.is_fixed_size_binary(field.type)))
    ]


def in_one_piece(column: pa.ChunkedArray) -> pa.Array:
    """Returns a column's values in one array; of one that is in one piece nothing is copied."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def all_null(kind: pa.DataType, rows: int) -> pa.ChunkedArray:
    """Returns a column without a value, which takes no memory of its own."""
    known = _nulls(kind)
    starts = range(0, max(rows, 1), len(known))
    return pa.chunked_array([known.slice(0, min(len(known), rows - start)) for start in starts], kind)


@cache
def _nulls(kind: pa.DataType) -> pa.Array:
    return pa.nulls(_NULLS, kind)


def text_buffers(values: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Returns the bytes that an array of large_binary is made of, where each value begins and ends in them, and `validity`."""
    _, offsets, data = values.buffers()
    octets = np.frombuffer(data, np.uint8) if data else np.frombuffer(bytes(1), np.uint8)
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1] if len(values) else _NONE
    octets.flags.writeable = ends.flags.writeable = False  # whatever made them: a loop is compiled for one of both
    return octets, ends, validity(values)


def validity(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Returns which values are there; an empty array when all are."""
    return np.asarray(values.is_valid()) if values.null_count else np.zeros(0, np.bool_)
