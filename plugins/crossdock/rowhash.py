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
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache, partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.columnar import text_buffers, validity
from crossdock.identity import canonical, keyed_hashes

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # of splitmix64
_WORD = (1 << 64) - 1
_Keys = npt.NDArray[np.uint64]  # (places, 2 lanes)


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


def warm_up() -> None:
    """Loads the compiled loops, or compiles them where that was never done, so that processes forked from here need not."""
    from crossdock.compiled import mask, read_hex, spell_events, spell_hex
    from crossdock.finding import align, look_up
    from crossdock.sorting import sort_random

    rows = pa.record_batch({"text": ["a", None], "number": [1, None]})
    texts, ends, _ = text_buffers(rows["text"].cast(pa.large_binary()))
    mask(texts, ends, (1, 0), np.empty(1, np.uint8), np.empty(2, np.int32))
    read_hex(texts, ends, np.zeros(2, np.bool_), np.zeros(2, np.uint64))  # without a text: none has so many digits
    hash_, code = np.zeros((1, 16), np.uint8), np.zeros(1, np.int8)
    hash_.flags.writeable = code.flags.writeable = False
    spell_events(hash_, hash_, code, np.zeros(1, np.bool_), np.empty((1, 34), np.uint8))
    spell_hex(np.zeros(1, np.uint8), np.empty(2, np.uint8))
    row_hashes(pa.record_batch({"few": pa.array(["a", "a"]).dictionary_encode()}))
    hashes = row_hashes(rows)
    sort_random(hashes[:, 0].copy(), np.empty(len(hashes), np.uint32))
    keyed_hashes(rows, rows.schema.names, key=bytes(16), domain="")
    hashes.flags.writeable = False
    table = np.full(4, -1, np.int32), np.empty((3, 2), np.uint64), 0
    known, told = (hashes, np.zeros(2, np.bool_)), (np.empty(2, np.int8), np.empty(2, np.int64))
    look_up(table, known, (hashes, hashes), told)
    prints = np.hstack([hashes, hashes])
    prints.flags.writeable = False
    align(prints, hashes.copy(), np.empty(2, np.int64))


def _hashes(rows: pa.RecordBatch | pa.Table, secret: int) -> np.ndarray:
    from crossdock.compiled import add_taken, mix

    columns = [_few(column) for column in rows.columns]
    found = [_plain(column, secret) for column, _ in columns]
    hashes = np.empty((rows.num_rows, 2), np.uint64)
    hashes[:] = _seeds(tuple(kind for kind, _ in found), secret)
    for index, (_, values) in enumerate(found):
        places = columns[index][1]
        if places is None:
            _add_column(hashes, values, partial(_keys, index, secret))
        else:
            each = np.zeros((len(values), 2), np.uint64)
            _add_column(each, values, partial(_keys, index, secret))
            add_taken(hashes, each, np.asarray(places.fill_null(0)), validity(places))
    mix(hashes)
    return hashes


def _few(column: pa.Array | pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, pa.Array | None]:
    """Returns the different values of a column and the place of each row's among them, where it comes so and they are few."""
    values = column.chunk(0) if isinstance(column, pa.ChunkedArray) and column.num_chunks == 1 else column
    if (
        isinstance(values, pa.DictionaryArray)
        and values.indices.type == pa.int32()
        and len(values.dictionary) < len(values)
    ):
        return values.dictionary, values.indices
    return column, None


def _add_column(sums: np.ndarray, values: pa.Array, keys: Callable[[int], _Keys]) -> None:
    from crossdock.compiled import add_numbers, add_texts

    if values.null_count == len(values):
        return
    if pa.types.is_large_binary(values.type):
        data, offsets, valid = text_buffers(values)
        longest = int(np.diff(offsets).max())
        # As many places as a power of two: few different tables are made.
        add_texts(sums, data, offsets, valid, keys(1 << (1 + longest // 8).bit_length()))
    else:
        width = values.type.byte_width // 8
        start = values.offset * width
        words = np.frombuffer(values.buffers()[1], np.uint64)[start : start + len(values) * width].reshape(-1, width)
        add_numbers(sums, words, validity(values), keys(1 + width))


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


@lru_cache(256)
def _keys(column: int, secret: int, places: int) -> _Keys:
    """Returns the odd keys of a column's first places, per lane."""
    from crossdock.compiled import mix

    first = np.uint64(((column << 33) + 1 + secret) & _WORD)
    numbers: _Keys = np.add.outer(np.arange(0, 2 * places, 2, dtype=np.uint64), np.arange(2, dtype=np.uint64))
    numbers += first
    numbers *= _GOLDEN
    mix(numbers)
    numbers |= np.uint64(1)
    return numbers


@cache
def _seeds(kinds: tuple[str, ...], secret: int) -> tuple[np.uint64, np.uint64]:
    """Returns the first two words of the SHA-256 of the kinds (and of the secret, if there is one)."""
    digest = hashlib.sha256(",".join(("crossdock row 1", *([str(secret)] * bool(secret)), *kinds)).encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little")), np.uint64(int.from_bytes(digest[8:16], "little"))
