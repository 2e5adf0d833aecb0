"""GB/T 2260 codes of administrative divisions become their full names."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def region_name(batch: pa.RecordBatch, *, columns: Sequence[str], reference: pa.Table) -> pa.RecordBatch:
    """Looks codes up in `reference` (columns `code` and `full_name`); a code that is not found stays as it is.

    >>> divisions = pa.table({"code": ["520100", "520102"], "full_name": ["贵州省贵阳市", "贵州省贵阳市南明区"]})
    >>> batch = pa.record_batch({"region": ["520102", "999999", None]})
    >>> region_name(batch, columns=["region"], reference=divisions).column("region").to_pylist()
    ['贵州省贵阳市南明区', '999999', None]
    """
    codes, names = (reference.column(name).combine_chunks().cast(pa.string()) for name in ("code", "full_name"))
    for name in columns:
        values = batch.column(name).cast(pa.string())
        found = names.take(pc.index_in(values, value_set=codes, skip_nulls=True))
        batch = batch.set_column(batch.schema.get_field_index(name), name, pc.coalesce(found, values))
    return batch
