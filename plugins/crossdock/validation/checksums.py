"""Check digits of the two Chinese identifiers, computed over whole Arrow columns at once.

GB 11643 (resident identity number): 17 digits and an ISO 7064 MOD 11-2 check character, `0-9` or `X`.
GB 32100 (unified social credit code): 17 characters of a 31-letter alphabet and a MOD 31 check character.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LENGTH = 18
_UNKNOWN = 1 << 20  # what a character outside the alphabet adds


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """An 18-character code: the sum of weight times value over all characters is `remainder` modulo `modulus`."""

    body: bytes  # the alphabet of the first 17 characters, in order of value
    check: bytes  # the alphabet of the last one
    weights: tuple[int, ...]
    modulus: int
    remainder: int


SCHEMES = {
    "gb11643": Scheme(
        body=b"0123456789",
        check=b"0123456789X",
        weights=tuple(pow(2, 17 - place, 11) for place in range(_LENGTH)),
        modulus=11,
        remainder=1,
    ),
    "gb32100": Scheme(
        body=b"0123456789ABCDEFGHJKLMNPQRTUWXY",
        check=b"0123456789ABCDEFGHJKLMNPQRTUWXY",
        weights=(*(pow(3, place, 31) for place in range(_LENGTH - 1)), 1),
        modulus=31,
        remainder=0,
    ),
}


def broken_check_digits(codes: pa.Array, scheme: Scheme) -> np.ndarray:
    """Returns True for every value that is not a code of the scheme with the right check digit; False for nulls."""
    broken: np.ndarray = np.array(pc.is_valid(codes))
    places, characters = _fixed_width(codes)
    if len(places):
        broken[places] = ~_adds_up(characters, scheme)
    return broken


def _adds_up(characters: np.ndarray, scheme: Scheme) -> np.ndarray:
    pairs = np.ascontiguousarray(characters).view("<u2")
    total = np.zeros(len(characters), np.uint32)
    for pair in range(_LENGTH // 2):
        total += _pair_table(scheme, pair).take(pairs[:, pair])
    result: np.ndarray = (total < _UNKNOWN) & (total % scheme.modulus == scheme.remainder)
    return result


@cache
def _pair_table(scheme: Scheme, pair: int) -> np.ndarray:
    """Returns what two neighbouring characters add, by both their bytes as one number."""
    first, second = (_table(scheme, place) for place in (2 * pair, 2 * pair + 1))
    both: np.ndarray = first[None, :] + second[:, None]
    return both.ravel()


def _table(scheme: Scheme, place: int) -> np.ndarray:
    """Returns, by byte, its value times the weight (at most 30 * 30), or more than all those can come to."""
    letters = np.frombuffer(scheme.check if place == _LENGTH - 1 else scheme.body, np.uint8)
    weighted = np.full(256, _UNKNOWN, np.uint32)
    weighted[letters] = np.arange(len(letters), dtype=np.uint32) * scheme.weights[place]
    return weighted


def _fixed_width(codes: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of the values that are 18 bytes long, and those values as a matrix of bytes."""
    offset_type = np.int64 if pa.types.is_large_string(codes.type) else np.int32
    _, offset_buffer, data_buffer = codes.buffers()
    empty = np.zeros(0, np.int64), np.zeros((0, _LENGTH), np.uint8)
    if len(codes) == 0 or data_buffer is None:
        return empty
    offsets = np.frombuffer(offset_buffer, offset_type)[codes.offset : codes.offset + len(codes) + 1]
    data = np.frombuffer(data_buffer, np.uint8)
    fits = np.diff(offsets) == _LENGTH
    if codes.null_count:
        fits &= np.asarray(pc.is_valid(codes))
    places = np.nonzero(fits)[0]
    if len(places) == 0:
        return empty
    starts = offsets[places]
    if (np.diff(starts) == _LENGTH).all():  # no gaps: the buffer is the matrix
        return places, data[starts[0] : starts[0] + _LENGTH * len(places)].reshape(-1, _LENGTH)
    return places, np.lib.stride_tricks.sliding_window_view(data, _LENGTH)[starts]
