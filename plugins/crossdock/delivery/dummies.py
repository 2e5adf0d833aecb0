"""Values that look like the real ones and are none: for trying out what receives them.

Each letter, digit and Chinese character becomes another of its kind, a date another day, a number another of at most
as many digits; signs and spaces stay. It hangs on the value and the consumer's key alone, so what was alike stays alike and
tables still join; it cannot be turned back, and two values may become one. Check digits come as they come: a number
that held might be somebody's.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.identity import keyed_hashes

# First and last of each kind, and among what its characters are drawn: the basic Chinese ones are in every font.
_KINDS = (
    (0x30, 0x39, 0x30, 10), (0x41, 0x5A, 0x41, 26), (0x61, 0x7A, 0x61, 26), (0xFF10, 0xFF19, 0xFF10, 10),
    (0x3400, 0x9FFF, 0x4E00, 20_902), (0x20000, 0x3FFFF, 0x4E00, 20_902),
)  # fmt: skip
_SIGNS = ((0x00, 0x7F), (0x2000, 0x206F), (0x3000, 0x303F), (0xFF00, 0xFF0F), (0xFF1A, 0xFF20))
_FIRST_DAY, _DAYS = np.datetime64("1950-01-01").astype(np.int64), 36_525
_DAY = 86_400_000_000  # microseconds


def dummy(values: pa.Array, key: bytes) -> pa.Array:
    """Returns a dummy for each value, of the same type; a null stays null.

    Args:
        values: texts, numbers, dates or timestamps (in microseconds).
        key: the consumer's pseudonym key.
    """
    hashes = keyed_hashes(pa.record_batch({"value": values}), ["value"], key=key, domain="dummy")
    seeds = np.frombuffer(hashes.buffers()[1], np.uint64)[::2]
    made = _made(values, seeds)
    return pc.if_else(values.is_null(), pa.scalar(None, made.type), made)


def _made(values: pa.Array, seeds: np.ndarray) -> pa.Array:
    kind = values.type
    if pa.types.is_date(kind):
        return pa.array((_FIRST_DAY + (seeds % _DAYS).astype(np.int64)).astype(np.int32)).cast(kind)
    if pa.types.is_timestamp(kind):
        moments = (seeds % np.uint64(_DAYS * _DAY)).astype(np.int64) + _FIRST_DAY * _DAY
        return pa.array(moments).cast(pa.timestamp("us")).cast(pa.int64()).cast(kind)
    if pa.types.is_integer(kind):
        return pa.array(_integers(values.fill_null(0).to_numpy(zero_copy_only=False), seeds), kind)
    if pa.types.is_floating(kind):
        return pa.array(_floats(values.fill_null(0).to_numpy(zero_copy_only=False), seeds), kind)
    texts = values.cast(pa.string()).fill_null("0")  # of which there is any type
    return _texts(texts, seeds).cast(kind)


def _integers(values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Draws among the numbers of as many digits, at most 18."""
    digits = np.array([len(str(abs(int(value)))) for value in values], np.int64).clip(max=18)
    low = np.where(digits == 1, 0, 10 ** (digits - 1))
    drawn = low + (seeds % (10**digits - low).astype(np.uint64)).astype(np.int64)
    return np.where(values < 0, -drawn, drawn)


def _floats(values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Draws among the numbers of the same power of ten, for 0 of that of 1; what is not finite stays."""
    finite = np.isfinite(values)
    power = np.floor(np.log10(np.abs(np.where(finite & (values != 0), values, 1.0)))).clip(-307, 307)
    drawn = (1 + 8 * (seeds / 2.0**64)) * 10.0**power
    return np.where(finite, np.copysign(drawn, values), values)


def _texts(texts: pa.StringArray, seeds: np.ndarray) -> pa.StringArray:
    codes = np.frombuffer("".join(texts.to_pylist()).encode("utf-32-le"), np.uint32)
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum(lengths)
    places = np.arange(len(codes)) - np.repeat(ends - lengths, lengths)
    text = _drawn(codes, _noise(np.repeat(seeds, lengths), places)).tobytes().decode("utf-32-le")
    return pa.array([text[end - length : end] for end, length in zip(ends, lengths, strict=True)], pa.string())


def _drawn(codes: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Draws for each character another of its kind; of what has no kind here, a small letter."""
    made = (0x61 + noise % 26).astype(np.uint32)
    for first, last in _SIGNS:
        made = np.where((codes >= first) & (codes <= last), codes, made)
    for first, last, base, many in _KINDS:
        made = np.where((codes >= first) & (codes <= last), (base + noise % many).astype(np.uint32), made)
    return made


def _noise(seeds: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Mixes a value's seed with the place of each of its characters (the finaliser of splitmix64)."""
    mixed: np.ndarray = seeds + (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
