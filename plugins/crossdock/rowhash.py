"""The hash of a row: 128 bits, made of whole columns at once, and the same for the same values for ever.

Digests are kept in state and ledger, so the definition is ours and depends on no library (the same thing, row by row,
in plain Python, is in the tests). A row is a list of 64-bit words: per column a head (0 for null, else 1, for texts
1 + length in bytes) and the value in little-endian words, the last one filled up with zeros; an object's value is the hash of its fields as a row,
a list's those of its items, one after the other. For each of two lanes,
every word but a head is folded (w ^ w >> 32) and multiplied by an odd key of its own (lane, column, place in the
value); the sum and a seed made of the columns' kinds are mixed to the lane's 64 bits. Without a key nothing here
is secret: who may write the rows could make two that have one hash. So it reconciles counts; SHA-256 is what proves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.identity import canonical

_BLOCK = 32_768  # rows at a time: the arrays at work stay in the processor's cache
_FEW = 8  # one row in so many has a word in this place: the others are left out
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of splitmix64
_WORD = (1 << 64) - 1
_TAILS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)  # by bytes left: the bits that are the text's
_Keys = tuple[np.uint64, np.uint64]
# Words in one place of a column, and the rows they are of (None: all).
_Words = tuple[np.ndarray, np.ndarray | None]


def row_hashes(
    rows: pa.RecordBatch | pa.Table, columns: Iterable[str] | None = None, *, key: bytes = b""
) -> np.ndarray:
    """Returns one 128-bit hash per row over the named columns (default: all), as uint64 of shape (rows, 2).

    It is the same for the same values of the same kinds whatever chunk, order, width or encoding they came in; nulls
    differ from empty texts, and no value can pass for two neighbouring ones. With a key that they do not know, people
    can't choose values that have one hash.
    """
    secret = int.from_bytes(hashlib.sha256(key).digest()[:8], "little") if key else 0
    return _hashes(rows if columns is None else rows.select(list(columns)), secret)


def _hashes(rows: pa.RecordBatch | pa.Table, secret: int) -> np.ndarray:
    kinds, values = [], []
    for column in rows.columns:
        kind, plain = _plain(column, secret)
        kinds.append(kind)
        values.append(plain)
    hashes = np.empty((rows.num_rows, 2), np.uint64)
    seeds = _seeds(tuple(kinds), secret)
    for start in range(0, rows.num_rows, _BLOCK):
        block = hashes[start : start + _BLOCK]
        sums = [np.full(len(block), seed) for seed in seeds]
        for index, column in enumerate(values):
            _add_column(sums, column.slice(start, len(block)), partial(_keys, index, secret))
        for lane, total in enumerate(sums):
            block[:, lane] = _mixed(total)
    return hashes


def _add_column(sums: list[np.ndarray], values: pa.Array, keys: Callable[[int], _Keys]) -> None:
    if values.null_count == len(values):
        return
    heads = _heads(values)
    _add(sums, (heads, None), keys(0))
    found = _texts(values, heads) if pa.types.is_large_binary(values.type) else _numbers(values)
    for place, (words, rows) in enumerate(found, 1):
        _add(sums, (words ^ (words >> np.uint64(32)), rows), keys(place))


def _add(sums: list[np.ndarray], found: _Words, keys: _Keys) -> None:
    words, rows = found
    for lane, key in enumerate(keys):
        if rows is None:
            sums[lane] += words * key
        else:
            sums[lane][rows] += words * key


def _heads(values: pa.Array) -> np.ndarray:
    """Returns a head per value, or one for all."""
    heads = np.ones(1, np.uint64)
    if pa.types.is_large_binary(values.type):
        heads = np.diff(_offsets(values)).view(np.uint64) + np.uint64(1)
    return heads * np.asarray(values.is_valid(), np.uint64) if values.null_count else heads


def _offsets(texts: pa.Array) -> np.ndarray:
    return np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]


def _texts(texts: pa.Array, heads: np.ndarray) -> Iterator[_Words]:
    """Yields texts eight bytes at a time."""
    offsets = _offsets(texts)
    buffer = texts.buffers()[2]
    begin, end = int(offsets[0]), int(offsets[-1])
    if begin == end or buffer is None:
        return
    aligned = np.zeros((end - begin) // 8 + 2, np.uint64)
    aligned.view(np.uint8)[: end - begin] = np.frombuffer(buffer, np.uint8)[begin:end]
    at, rows = offsets[:-1] - begin, None
    shift = ((at & 7) << 3).view(np.uint64)
    at >>= 3
    left = heads.view(np.int64) - 1  # bytes not yet hashed; -1 for null
    shortest, longest = int(left.min()), int(left.max())
    low = aligned.take(at, mode="clip")
    for done in range(0, longest, 8):
        if done and np.count_nonzero(left > 0) * _FEW < len(left):
            more = np.nonzero(left > 0)[0]
            at, shift, left, low = at[more], shift[more], left[more], low[more]
            rows = more if rows is None else rows[more]
        at += 1
        high = aligned.take(at, mode="clip")
        words = low >> shift
        words |= high << np.uint64(1) << (np.uint64(63) ^ shift)  # a shift by 64 would do nothing at all
        if shortest < done + 8:
            words &= _TAILS.take(left, mode="clip")
        yield words, rows
        low = high
        left -= 8


def _numbers(values: pa.Array) -> Iterator[_Words]:
    """Yields the words of values that all have the same width: int64, or decimals."""
    width = values.type.byte_width // 8
    start = values.offset * width
    words = np.frombuffer(values.buffers()[1], np.uint64)[start : start + len(values) * width].reshape(-1, width)
    if values.null_count:  # whatever stands where nothing is must not count
        words = np.where(np.asarray(values.is_valid())[:, None], words, np.uint64(0))
    for place in range(width):
        yield words[:, place], None


def _plain(column: pa.Array | pa.ChunkedArray, secret: int) -> tuple[str, pa.Array]:
    """Returns what kind of values they are, and the values as large_binary, int64, decimal128 or decimal256."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):  # no chunk, or more than fit one
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    values = _decoded(values)
    if pa.types.is_struct(values.type):
        return "object", _object(values, secret)
    if any(test(values.type) for test in _LISTS):
        return "list", _list(values, secret)
    for tests, convert in _KINDS:
        if any(test(values.type) for test in tests):
            return convert(values)
    return "any", pa.array([None if v is None else canonical(v) for v in values.to_pylist()], pa.large_binary())


def _decoded(values: pa.Array) -> pa.Array:
    """Returns values without extension, dictionary and run-end encodings."""
    if isinstance(values, pa.ExtensionArray):
        return _decoded(values.storage)
    if pa.types.is_dictionary(values.type):
        return _decoded(values.dictionary_decode())
    if pa.types.is_run_end_encoded(values.type):
        return _decoded(pc.run_end_decode(values))
    return values


def _text(values: pa.Array) -> tuple[str, pa.Array]:
    return "text", values.cast(pa.large_string()).view(pa.large_binary())


def _bytes(values: pa.Array) -> tuple[str, pa.Array]:
    return "bytes", values.cast(pa.large_binary())


def _whole(values: pa.Array) -> tuple[str, pa.Array]:
    if pa.types.is_uint64(values.type):
        return "unsigned", values.view(pa.int64())
    return "boolean" if pa.types.is_boolean(values.type) else "whole", values.cast(pa.int64())


def _float(values: pa.Array) -> tuple[str, pa.Array]:
    values = values.cast(pa.float64())
    nan = pc.is_nan(values)
    if pc.any(nan).as_py():  # of the many spellings of "not a number", one
        values = pc.if_else(nan, float("nan"), values)
    return "float", values.view(pa.int64())


def _decimal(values: pa.Array) -> tuple[str, pa.Array]:
    given = values.type
    if given.precision <= 38:
        return f"decimal{given.scale}", values.cast(pa.decimal128(38, given.scale))
    return f"long_decimal{given.scale}", values


def _temporal(values: pa.Array) -> tuple[str, pa.Array]:
    """Parquet has no seconds: what is coarser than a microsecond is hashed as microseconds.

    Beyond 290,000 years these wrap around: no snapshot holds such instants.
    """
    given = values.type
    if pa.types.is_date(given):
        return "date", values.cast(pa.date32()).view(pa.int32()).cast(pa.int64())
    name = "time" if pa.types.is_time(given) else "instant" if getattr(given, "tz", None) else "local"
    name = "duration" if pa.types.is_duration(given) else name
    if given.unit == "ns":
        return f"{name}_ns", values.view(pa.int64())
    finest = {"time": pa.time64("us"), "duration": pa.duration("us")}
    micros = finest.get(name, pa.timestamp("us", getattr(given, "tz", None)))
    return name, values.cast(micros, safe=False).view(pa.int64())


def _object(values: pa.Array, secret: int) -> pa.Array:
    """Returns the hashes of objects, each over its fields."""
    fields = pa.RecordBatch.from_arrays(values.flatten(), names=[str(n) for n in range(values.type.num_fields)])
    there = np.asarray(values.is_valid())
    ends = np.concatenate([[0], np.cumsum(there)])
    return _hashes_between(_hashes(fields, secret)[there], ends, there)


def _list(values: pa.Array, secret: int) -> pa.Array:
    """Returns the hashes of each list's items, one after the other; a map is a list of its pairs."""
    given = values.type
    if pa.types.is_map(given):
        pair = pa.struct([given.key_field.with_name("key"), given.item_field.with_name("value")])
        values = values.cast(pa.list_(pair))
    lengths = np.asarray(pc.fill_null(pc.list_value_length(values), 0))
    items = pa.RecordBatch.from_arrays([pc.list_flatten(values)], names=["item"])
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return _hashes_between(_hashes(items, secret), ends, np.asarray(values.is_valid()))


def _hashes_between(hashes: np.ndarray, ends: np.ndarray, there: np.ndarray) -> pa.Array:
    """Returns pieces of a series of hashes as bytes; null where nothing is there."""
    validity = pa.array(there).buffers()[1]
    offsets = pa.py_buffer((ends * 16).astype(np.int64).tobytes())
    return pa.Array.from_buffers(pa.large_binary(), len(there), [validity, offsets, pa.py_buffer(hashes.tobytes())])


def _nothing(values: pa.Array) -> tuple[str, pa.Array]:
    return "null", pa.nulls(len(values), pa.int64())


_OF = pa.types
_LISTS = (_OF.is_map, _OF.is_list, _OF.is_large_list, _OF.is_fixed_size_list, _OF.is_list_view)
_KINDS: tuple[tuple[Sequence[Callable[[pa.DataType], bool]], Callable[[pa.Array], tuple[str, pa.Array]]], ...] = (
    ((_OF.is_null,), _nothing),
    ((_OF.is_string, _OF.is_large_string, _OF.is_string_view), _text),
    ((_OF.is_binary, _OF.is_large_binary, _OF.is_binary_view, _OF.is_fixed_size_binary), _bytes),
    ((_OF.is_integer, _OF.is_boolean), _whole),
    ((_OF.is_floating,), _float),
    ((_OF.is_decimal,), _decimal),
    ((_OF.is_date, _OF.is_time, _OF.is_timestamp, _OF.is_duration), _temporal),
)


@cache
def _keys(column: int, secret: int, place: int) -> _Keys:
    """Returns the odd key of a word's place, per lane."""
    number = (column << 33 | place << 1) + 1 + secret
    low, high = (_mix(number + lane) | 1 for lane in (0, 1))
    return np.uint64(low), np.uint64(high)


@cache
def _seeds(kinds: tuple[str, ...], secret: int) -> _Keys:
    """Returns the first two words of the SHA-256 of the kinds (and of the secret, if there is one)."""
    digest = hashlib.sha256(",".join(("crossdock row 1", *([str(secret)] * bool(secret)), *kinds)).encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little")), np.uint64(int.from_bytes(digest[8:16], "little"))


def _mix(number: int) -> int:
    word = number * _GOLDEN & _WORD
    word = (word ^ word >> 30) * _FIRST & _WORD
    word = (word ^ word >> 27) * _SECOND & _WORD
    return word ^ word >> 31


def _mixed(words: np.ndarray) -> np.ndarray:
    words ^= words >> np.uint64(30)
    words *= np.uint64(_FIRST)
    words ^= words >> np.uint64(27)
    words *= np.uint64(_SECOND)
    words ^= words >> np.uint64(31)
    return words
