"""Resident identity numbers of 15 digits (issued until 1999) become those of 18 characters."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


def resident_id_18(batch: pa.RecordBatch, *, columns: Sequence[str]) -> pa.RecordBatch:
    """Adds century and check digit after GB 11643, and writes a final x as X; what is neither stays as it is.

    Sequence numbers 996 to 999 were kept for people over a hundred, who were born in the century before.

    >>> batch = pa.record_batch({"id": ["110105491231002", "11010519491231002x", "unknown", None]})
    >>> resident_id_18(batch, columns=["id"]).column("id").to_pylist()
    ['11010519491231002X', '11010519491231002X', 'unknown', None]
    """
    for name in columns:
        values = batch.column(name)
        old = pc.match_substring_regex(values, r"^(\d{15}|\d{17}x)$")
        renewed = pa.array([_renewed(text) for text in values.filter(old).to_pylist()], values.type)
        batch = batch.set_column(batch.schema.get_field_index(name), name, pc.replace_with_mask(values, old, renewed))
    return batch


def _renewed(text: str) -> str:
    if len(text) == 18:
        return text.upper()
    first = text[:6] + ("18" if text[12:] >= "996" else "19") + text[6:]
    return first + _CHECK[sum(int(digit) * weight for digit, weight in zip(first, _WEIGHTS, strict=True)) % 11]
