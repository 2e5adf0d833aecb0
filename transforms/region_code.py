"""Names of administrative divisions become their GB/T 2260 codes."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def region_code(batch: pa.RecordBatch, *, columns: Sequence[str], reference: pa.Table) -> pa.RecordBatch:
    """Looks up full names, and own names that only one division has; what is not found stays as it is.

    `reference` has the columns `code`, `name` and `full_name`.

    >>> divisions = pa.table({
    ...     "code": ["520100", "520102", "130102"],
    ...     "name": ["贵阳市", "南明区", "长安区"],
    ...     "full_name": ["贵州省贵阳市", "贵州省贵阳市南明区", "河北省石家庄市长安区"],
    ... })
    >>> batch = pa.record_batch({"region": ["贵州省贵阳市南明区", "贵阳市", "520102", "火星", None]})
    >>> region_code(batch, columns=["region"], reference=divisions).column("region").to_pylist()
    ['520102', '520100', '520102', '火星', None]
    """
    code_of = _codes(reference)
    names, codes = pa.array(code_of.keys(), pa.string()), pa.array(code_of.values(), pa.string())
    for name in columns:
        values = batch.column(name).cast(pa.string())
        found = codes.take(pc.index_in(values, value_set=names, skip_nulls=True))
        batch = batch.set_column(batch.schema.get_field_index(name), name, pc.coalesce(found, values))
    return batch


def _codes(reference: pa.Table) -> dict[str, str]:
    codes, names, full_names = (reference.column(name).to_pylist() for name in ("code", "name", "full_name"))
    bearers = Counter(names)
    own = {name: code for name, code in zip(names, codes, strict=True) if bearers[name] == 1}
    return own | dict(zip(full_names, codes, strict=True))
