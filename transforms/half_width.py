"""Full-width letters, digits and signs become the half-width ones that systems compare."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

_WIDE = r"[\x{FF01}-\x{FF5E}\x{3000}]"
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: ord(" ")}


def half_width(batch: pa.RecordBatch, *, columns: Sequence[str]) -> pa.RecordBatch:
    """Replaces U+FF01..U+FF5E and the ideographic space; everything else stays, Chinese characters too.

    >>> batch = pa.record_batch({"address": ["中华路１８号　Ｂ座", "中华路18号", None]})
    >>> half_width(batch, columns=["address"]).column("address").to_pylist()
    ['中华路18号 B座', '中华路18号', None]
    """
    for name in columns:
        values = batch.column(name)
        wide = pc.match_substring_regex(values, _WIDE)
        narrowed = pa.array([text.translate(_NARROW) for text in values.filter(wide).to_pylist()], values.type)
        batch = batch.set_column(batch.schema.get_field_index(name), name, pc.replace_with_mask(values, wide, narrowed))
    return batch
