"""Mobile numbers become eleven digits, whatever spaces, dashes and country code they were written with."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def phone(batch: pa.RecordBatch, *, columns: Sequence[str]) -> pa.RecordBatch:
    """Strips spaces, dashes, brackets and the country code 86; what is no mobile number then stays as written.

    >>> batch = pa.record_batch({"phone": ["+86 138-1234-5678", "(0086)13812345678", "0851-85123456", None]})
    >>> phone(batch, columns=["phone"]).column("phone").to_pylist()
    ['13812345678', '13812345678', '0851-85123456', None]
    """
    for name in columns:
        values = batch.column(name).cast(pa.string())
        bare = pc.replace_substring_regex(values, r"[\s()-]", "")
        mobile = pc.replace_substring_regex(bare, r"^(\+|00)?86(1\d{10})$", r"\2")
        chosen = pc.if_else(pc.match_substring_regex(mobile, r"^1\d{10}$"), mobile, values)
        batch = batch.set_column(batch.schema.get_field_index(name), name, chosen)
    return batch
