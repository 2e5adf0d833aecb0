"""What happens to a column before it leaves: mask, pseudonymise, generalise, dummy, drop.

| kind         | from        | becomes                                                      |
|--------------|-------------|--------------------------------------------------------------|
| mask         | text        | text: the kept ends, a `*` for each other character          |
| pseudonymise | any         | text: 32 hex characters, keyed per consumer (of an object: its JSON) |
| generalise   | date, timestamp | text: "1990" or "1990-05"                                |
|              | integer, number | text: a half-open interval, "[30, 40)"                   |
|              | text        | text: its first n characters; of a sensitive column, null where that would be all |
| dummy        | text, number, date, timestamp | a value that looks like it and is none (see `dummies`) |
| drop         | any         | null, of the column's own type                               |

A null stays null. Everything that is not named in `protect` leaves as it is.
"""

from __future__ import annotations

import re
from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.columnar import text_buffers
from crossdock.contracts.agreement import Protection
from crossdock.contracts.model import NESTED, Column
from crossdock.delivery.dummies import dummy
from crossdock.identity import keyed_hashes

_PREFIX = re.compile(r"prefix:([1-9][0-9]{0,2})")
_WIDTH = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def unsuitable(column: Column, protection: Protection) -> str | None:
    """Returns why a protection cannot be applied to a column, or None when it can."""
    if column.type in NESTED and protection.kind not in ("drop", "pseudonymise"):
        return f"Column '{column.name}' is of type {column.type}; it can only be dropped, or pseudonymised as a whole."
    if protection.kind == "mask":
        if column.type != "string":
            return f"Column '{column.name}' is of type {column.type}; only text can be masked: pseudonymise, generalise or drop it."
        if protection.keep_first < 0 or protection.keep_last < 0:
            return f"Column '{column.name}': a mask cannot keep fewer than 0 characters."
    if protection.kind == "dummy" and column.type in ("boolean", "time"):
        return f"Column '{column.name}' is of type {column.type}, of which there is no dummy: pseudonymise or drop it."
    if protection.kind == "generalise" and not _generalises(column, protection.to):
        return f"Column '{column.name}' is of type {column.type}; it cannot be generalised to '{protection.to}'."
    return None


def protected_type(given: pa.DataType, protection: Protection | None) -> pa.DataType:
    """Returns the type a column leaves with."""
    return given if protection is None or protection.kind in ("drop", "dummy") else pa.string()


def protect(values: pa.Array, protection: Protection | None, *, key: bytes) -> pa.Array:
    """Returns the values as they leave, of type `protected_type`.

    Args:
        values: a column's values, typed as the contract says.
        protection: None lets them leave as they are.
        key: the consumer's pseudonym key.
    """
    if protection is None:
        return values
    match protection.kind:
        case "mask":
            return _mask(values, protection)
        case "pseudonymise":
            return _pseudonymise(values, key)
        case "dummy":
            return dummy(values, key)
        case "generalise":
            return _generalise(values, protection)
        case "drop":
            return pa.nulls(len(values), values.type)


def _mask(values: pa.Array, protection: Protection) -> pa.Array:
    """Masks; a value no longer than what would be kept is masked whole, or nothing of it would be hidden."""
    from crossdock.compiled import mask

    data, offsets, _ = text_buffers(values.cast(pa.large_string()).view(pa.large_binary()))
    ends = np.zeros(len(values) + 1, np.int32)
    masked = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    mask(data, offsets, (protection.keep_first, protection.keep_last), masked, ends[1:])
    return _texts(values, ends, masked)


def _pseudonymise(values: pa.Array, key: bytes) -> pa.Array:
    """One domain for all: within one consumer the same person has one pseudonym, whatever dataset it came in."""
    from crossdock.compiled import spell_hex

    column = pa.record_batch({"value": values})
    hashes = np.frombuffer(keyed_hashes(column, ["value"], key=key, domain="pseudonym").buffers()[1], np.uint8)
    texts = np.empty(2 * len(hashes), np.uint8)
    spell_hex(hashes, texts)
    return _texts(values, np.arange(0, len(texts) + 1, 32, dtype=np.int32), texts)


def _texts(values: pa.Array, ends: npt.NDArray[np.int32], octets: npt.NDArray[np.uint8]) -> pa.Array:
    """Returns texts that lie one behind the other; null where the values are."""
    texts = pa.StringArray.from_buffers(len(values), pa.py_buffer(ends), pa.py_buffer(octets))
    return pc.if_else(values.is_valid(), texts, pa.scalar(None, pa.string())) if values.null_count else texts


def _generalises(column: Column, to: str) -> bool:
    if column.type in ("date", "timestamp"):
        return to in ("year", "month")
    if column.type == "string":
        return _PREFIX.fullmatch(to) is not None
    if column.type in ("integer", "number"):
        whole = column.type == "integer" or column.scale == 0
        finest = Decimal(1).scaleb(-(column.scale or 0)) if whole or column.scale is not None else 0
        return _WIDTH.fullmatch(to) is not None and Decimal(to) > finest and not (whole and "." in to)
    return False


def _generalise(values: pa.Array, protection: Protection) -> pa.Array:
    to = protection.to
    if pa.types.is_string(values.type):
        many = int(to.removeprefix("prefix:"))
        cut = pc.utf8_slice_codeunits(values, 0, many)
        if not protection.strict:
            return cut
        return pc.if_else(pc.greater(pc.utf8_length(values), many), cut, pa.scalar(None, pa.string()))
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        return pc.utf8_slice_codeunits(values.cast(pa.string()), 0, {"year": 4, "month": 7}[to])
    return _bands(values, Decimal(to))


def _bands(values: pa.Array, width: Decimal) -> pa.Array:
    """Names the interval a number falls in; each distinct number is worked out once, exactly."""
    encoded = pc.dictionary_encode(values)
    return pa.array([_band(value, width) for value in encoded.dictionary.to_pylist()], pa.string()).take(
        encoded.indices
    )


def _band(value: float | Decimal, width: Decimal) -> str | None:
    with localcontext() as context:
        context.prec = 400  # the largest float has 309 digits; nothing is rounded
        exact = Decimal(str(value))
        if not exact.is_finite():
            return None
        steps = exact // width + 0  # cut towards zero, of which there is one
        low = (steps - 1 if exact < steps * width else steps) * width
        return f"[{low:f}, {low + width:f})"
