"""Text columns made of numbers, whole chunks at a time: identifiers with their check digits, dates, phone numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.int64]
Characters = npt.NDArray[np.uint8]  # shape (rows, width), ASCII

_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_ID_CHECK = np.frombuffer(b"10X98765432", np.uint8)
_ORGANISATION_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2])
_ORGANISATION_CHECK = np.frombuffer(b"0X987654321", np.uint8)  # by the weighted sum modulo 11
_CREDIT_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", np.uint8)
_CREDIT_WEIGHTS = np.array([pow(3, place, 31) for place in range(17)])
_CREDIT_VALUE = np.zeros(256, np.int64)
_CREDIT_VALUE[_CREDIT_ALPHABET] = np.arange(31)


def digits(numbers: Numbers, width: int) -> Characters:
    """Writes numbers with leading zeros."""
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def strings(characters: Characters) -> pa.Array:
    """Returns one string per row of characters."""
    rows, width = characters.shape
    offsets = pa.py_buffer(np.arange(rows + 1, dtype=np.int32) * width)
    return pa.Array.from_buffers(pa.string(), rows, [None, offsets, pa.py_buffer(np.ascontiguousarray(characters))])


def prefixed(prefix: str, characters: Characters) -> Characters:
    """Puts the same characters before every row."""
    first = np.frombuffer(prefix.encode("ascii"), np.uint8)
    return np.hstack([np.broadcast_to(first, (len(characters), len(first))), characters])


def joined(*parts: pa.Array | str) -> pa.Array:
    """Joins texts row by row."""
    return pc.binary_join_element_wise(*parts, "")


def picked(words: Sequence[str], numbers: Numbers) -> pa.Array:
    """Returns the words that the numbers point at."""
    return pa.array(words, pa.string()).take(pa.array(numbers))


def iso_days(days: Numbers) -> pa.Array:
    """Writes days since 1970 as ISO 8601 dates."""
    return pa.array(days.astype(np.int32)).cast(pa.date32()).cast(pa.string())


def resident_ids(regions: Numbers, birth_days: Numbers, sequence: Numbers) -> Characters:
    """Returns identity numbers after GB 11643 with their check digits.

    Args:
        regions: six-digit codes of the place of first registration.
        birth_days: days since 1970.
        sequence: 1 to 999; odd for men.
    """
    birth = birth_days.astype("datetime64[D]")
    month, year = birth.astype("datetime64[M]"), birth.astype("datetime64[Y]")
    day = (birth - month).astype(np.int64) + 1
    date = (year.astype(np.int64) + 1970) * 10_000 + ((month - year).astype(np.int64) + 1) * 100 + day
    first = np.hstack([digits(regions, 6), digits(date, 8), digits(sequence, 3)])
    check = _ID_CHECK[(first.astype(np.int64) - ord("0")) @ _ID_WEIGHTS % 11]
    return np.hstack([first, check[:, None]])


def credit_codes(regions: Numbers, organisations: Numbers) -> Characters:
    """Returns unified social credit codes of enterprises after GB 32100, the GB 11714 check within them right too.

    Args:
        regions: six-digit codes of the registering authority.
        organisations: at most eight digits; they tell enterprises apart.
    """
    body = digits(organisations, 8)
    sums = (body.astype(np.int64) - ord("0")) @ _ORGANISATION_WEIGHTS
    organisation = np.hstack([body, _ORGANISATION_CHECK[sums % 11][:, None]])
    first = np.hstack([prefixed("91", digits(regions, 6)), organisation])
    check = _CREDIT_ALPHABET[(31 - _CREDIT_VALUE[first] @ _CREDIT_WEIGHTS % 31) % 31]
    return np.hstack([first, check[:, None]])


def mobiles(random: np.random.Generator, rows: int) -> Characters:
    """Draws mobile numbers; none of them is a clerk's placeholder, for their last digit is never 0 or 8."""
    middle = digits(random.integers(0, 10**8, rows), 8)
    last = np.frombuffer(b"12345679", np.uint8)[random.integers(0, 8, rows)]
    return np.hstack([prefixed("1", digits(random.integers(3, 10, rows), 1)), middle, last[:, None]])


def sometimes(values: pa.Array, random: np.random.Generator, share: float) -> pa.Array:
    """Leaves a share of the values out."""
    return pc.if_else(pa.array(random.random(len(values)) >= share), values, pa.scalar(None, values.type))


def widened(texts: pa.Array) -> pa.Array:
    """Writes digits and Latin letters full-width, as Chinese input methods do."""
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    return pa.array([text.translate(wide) for text in texts.to_pylist()], texts.type)
