"""The inner loops over rows and bytes, compiled by Numba: as fast as C, and without Python's lock, so that threads share them.

They are compiled once per machine, in some seconds, and kept beside this file, or in the user's cache where that can't
be written. Importing this module and loading them takes half a second: Airflow's scheduler does it before it forks tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

_Function = TypeVar("_Function", bound=Callable[..., Any])
Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Marks = npt.NDArray[np.int8]
Table = tuple[npt.NDArray[np.int32], Words, int]
Known = tuple[Words, Flags]

U = np.uint64  # also of places: Numba sees whether a signed one is negative, each time
BLOCK = 128  # bytes that BLAKE2b compresses at a time
_START = (
    U(0x6A09E667F3BCC908), U(0xBB67AE8584CAA73B), U(0x3C6EF372FE94F82B), U(0xA54FF53A5F1D36F1),
    U(0x510E527FADE682D1), U(0x9B05688C2B3E6C1F), U(0x1F83D9ABFB41BD6B), U(0x5BE0CD19137E2179),
)  # fmt: skip
_ORDERS = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)


def compiled(function: _Function) -> _Function:
    """Compiles a function when it is first called with some types, and keeps what came of it."""
    try:
        return cast("_Function", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # there is nowhere to keep it: each process compiles it anew
        return _part(function)


def _part(function: _Function) -> _Function:
    """Compiles a function together with those that call it."""
    return cast("_Function", numba.njit(nogil=True)(function))


def _inlined(function: _Function) -> _Function:
    """Compiles a function into those that call it."""
    return cast("_Function", numba.njit(nogil=True, inline="always")(function))


@_part
def _word(data: Bytes, at: Any) -> Any:
    """Returns the little-endian number of the eight bytes at a place: one load, to the compiler."""
    word = U(0)
    for i in range(U(8)):
        word |= U(data[at + U(i)]) << U(8 * i)
    return word


@_part
def _last_word(data: Bytes, at: Any, end: Any) -> Any:
    """Returns the little-endian number of the less than eight bytes from a place to an end; no others are looked at in vain."""
    unused = U(64) - (end - at) * U(8)
    if at + U(8) <= U(len(data)):
        return _word(data, at) & (~U(0) >> unused)
    if end >= U(8):
        return _word(data, end - U(8)) >> unused
    word = U(0)
    for i in range(end - at):
        word |= U(data[at + U(i)]) << U(8 * i)
    return word


@compiled
def add_texts(sums: Words, data: Bytes, offsets: Offsets, valid: Flags, keys: Words) -> None:
    """Adds a column of texts to the lanes of each row; see `rowhash`.

    Args:
        sums: (rows, 2), changed.
        data: bytes of all texts.
        offsets: rows + 1 places in it.
        valid: of each row, or empty when all are.
        keys: (1 + words of the longest text, 2).
    """
    for row in range(sums.shape[0]):
        if len(valid) and not valid[row]:
            continue
        at, end, place = U(offsets[row]), U(offsets[row + 1]), U(1)
        head = end - at + U(1)
        low, high = sums[row, 0] + head * keys[0, 0], sums[row, 1] + head * keys[0, 1]
        while at < end:
            word = _word(data, at) if end - at >= U(8) else _last_word(data, at, end)
            word ^= word >> U(32)
            low += word * keys[place, 0]
            high += word * keys[place, 1]
            place += U(1)
            at += U(8)
        sums[row, 0], sums[row, 1] = low, high


@compiled
def add_numbers(sums: Words, words: Words, valid: Flags, keys: Words) -> None:
    """Adds a column of numbers, (rows, words of each), to the lanes of each row; see `add_texts`."""
    for row in range(sums.shape[0]):
        if len(valid) and not valid[row]:
            continue
        low, high = sums[row, 0] + keys[0, 0], sums[row, 1] + keys[0, 1]
        for place in range(U(words.shape[1])):
            word = words[row, place]
            word ^= word >> U(32)
            low += word * keys[place + U(1), 0]
            high += word * keys[place + U(1), 1]
        sums[row, 0], sums[row, 1] = low, high


@compiled
def mix(words: Words) -> None:
    """Mixes the bits of each word as splitmix64 does, in place."""
    flat = words.reshape(-1)
    for i in range(len(flat)):
        word = flat[i]
        word = (word ^ (word >> U(30))) * U(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> U(27))) * U(0x94D049BB133111EB)
        flat[i] = word ^ (word >> U(31))


@_part
def _turned(word: Any, bits: Any) -> Any:
    return (word >> bits) | (word << (U(64) - bits))


@_part
def _stir(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:  # noqa: PLR0913, PLR0917 - as RFC 7693 has it
    a += b + x
    d = _turned(d ^ a, U(32))
    c += d
    b = _turned(b ^ c, U(24))
    a += b + y
    d = _turned(d ^ a, U(16))
    c += d
    b = _turned(b ^ c, U(63))
    return a, b, c, d


@_inlined
def _turn(v: Any, w: Words, o: Any) -> Any:
    """Stirs the state's 16 words with a block's, taken in an order."""
    a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3 = v
    a0, b0, c0, d0 = _stir(a0, b0, c0, d0, w[o[0]], w[o[1]])
    a1, b1, c1, d1 = _stir(a1, b1, c1, d1, w[o[2]], w[o[3]])
    a2, b2, c2, d2 = _stir(a2, b2, c2, d2, w[o[4]], w[o[5]])
    a3, b3, c3, d3 = _stir(a3, b3, c3, d3, w[o[6]], w[o[7]])
    a0, b1, c2, d3 = _stir(a0, b1, c2, d3, w[o[8]], w[o[9]])
    a1, b2, c3, d0 = _stir(a1, b2, c3, d0, w[o[10]], w[o[11]])
    a2, b3, c0, d1 = _stir(a2, b3, c0, d1, w[o[12]], w[o[13]])
    a3, b0, c1, d2 = _stir(a3, b0, c1, d2, w[o[14]], w[o[15]])
    return a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3


@_part
def _compress(state: Words, block: Words, done: Any, last: Any) -> None:
    """Compresses a block into the state, as RFC 7693 has it; `done` is how many bytes there were up to its end."""
    a, w = state, block
    b0, b1, b2, b3, b4, b5, b6, b7 = _START
    v = (a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], b0, b1, b2, b3, b4 ^ done, b5, b6 ^ last, b7)
    # Written out, so that the compiler knows every order: a third faster than a loop.
    v = _turn(v, w, _ORDERS[0])
    v = _turn(v, w, _ORDERS[1])
    v = _turn(v, w, _ORDERS[2])
    v = _turn(v, w, _ORDERS[3])
    v = _turn(v, w, _ORDERS[4])
    v = _turn(v, w, _ORDERS[5])
    v = _turn(v, w, _ORDERS[6])
    v = _turn(v, w, _ORDERS[7])
    v = _turn(v, w, _ORDERS[8])
    v = _turn(v, w, _ORDERS[9])
    v = _turn(v, w, _ORDERS[0])
    v = _turn(v, w, _ORDERS[1])
    for i in range(8):
        state[i] ^= v[i] ^ v[i + 8]


@compiled
def spell(messages: Bytes, ends: Offsets, data: Bytes, offsets: Offsets, valid: Flags) -> None:
    """Writes each row's value behind what is in its message: 255 for null, else four bytes of length and the value.

    Args:
        messages: bytes of all messages, changed.
        ends: per row, where in them the next byte goes; moved on.
        data: bytes of all values.
        offsets: rows + 1 places in it.
        valid: of each row, or empty when all are.
    """
    for row in range(len(ends)):
        at = U(ends[row])
        if len(valid) and not valid[row]:
            messages[at] = 255
            ends[row] += 1
            continue
        start, size = U(offsets[row]), U(offsets[row + 1] - offsets[row])
        for i in range(U(4)):
            messages[at + i] = (size >> (U(24) - U(8) * i)) & U(255)
        for i in range(size):
            messages[at + U(4) + i] = data[start + i]
        ends[row] += np.int64(size) + 4


@compiled
def blake2b(messages: Bytes, offsets: Offsets, key: Bytes, start: Bytes, hashes: Words) -> None:
    """Makes the keyed BLAKE2b hash (RFC 7693) of each message; `hashlib.blake2b` makes the same one by one.

    Args:
        messages: bytes of all messages.
        offsets: rows + 1 places in it.
        key: 1 to 64 bytes.
        start: what every message begins with; at least one byte.
        hashes: (rows, words of each), written; 1 to 8 words of 8 bytes.
    """
    size, begun = hashes.shape[1], len(start)
    keyed, state, block = np.array(_START), np.empty(8, np.uint64), np.zeros(16, np.uint64)
    octets = block.view(np.uint8)
    octets[: len(key)] = key
    keyed[0] ^= U(0x01010000 | len(key) << 8 | 8 * size)
    _compress(keyed, block, U(BLOCK), U(0))
    for row in range(hashes.shape[0]):
        state[:] = keyed
        at, left, taken = offsets[row] - begun, begun + offsets[row + 1] - offsets[row], 0
        while taken < left:
            block[:] = 0
            now = min(left - taken, BLOCK)
            for i in range(taken, min(begun, taken + now)):
                octets[i - taken] = start[i]
            for i in range(U(max(taken, begun)), U(taken + now)):
                octets[i - U(taken)] = messages[U(at) + i]
            taken += now
            _compress(state, block, U(BLOCK + taken), ~U(0) if taken == left else U(0))
        hashes[row] = state[:size]


NEW, OTHER, SAME = 0, 1, 2  # what `look_up` finds a record to be


@compiled
def look_up(table: Table, known: Known, new: tuple[Words, Words], told: tuple[Marks, Offsets]) -> int:
    """Looks records up among those known, tells of each what it is, and enters those that are new.

    Args:
        table: slots, a power of two of them, int32, each a place in names or -1; names, 128-bit keyed hashes, (places, 2);
            how many of them are in use. There are more slots than places.
        known: hashes of the rows of the records that were known at first, or none when no row is to count as the same;
            and of each, whether it was found, changed here.
        new: names of records, and hashes of their rows.
        told: per record, NEW, OTHER (another row) or SAME; and its place among the names; both written.

    Returns:
        How many names are in use now; -1 when a record came twice.
    """
    slots, names, used = table
    (rows, found), (news, new_rows), (marks, places) = known, new, told
    mask = U(len(slots) - 1)
    for i in range(news.shape[0]):
        low, high = news[i, 0], news[i, 1]
        at = low & mask
        while slots[at] >= 0 and (names[slots[at], 0] != low or names[slots[at], 1] != high):
            at = (at + U(1)) & mask
        place = slots[at]
        if place < 0:
            marks[i], place = NEW, used
            slots[at] = used
            names[used, 0], names[used, 1] = low, high
            used += 1
        elif place >= len(found) or found[place]:
            return -1
        else:
            found[place] = True
            same = len(rows) > 0 and rows[place, 0] == new_rows[i, 0] and rows[place, 1] == new_rows[i, 1]
            marks[i] = SAME if same else OTHER
        places[i] = place
    return used
