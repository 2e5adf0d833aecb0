"""How Arrow and parquet are fastest with our rows: where memory comes from, and which columns get a dictionary."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.compute as pc

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
    return [first.schema.field(index).name for index in plain if pc.count_distinct(first.column(index)).as_py() <= _FEW]
