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

U = np.uint64  # also of places: Numba sees whether a signed one is negative, each time


def compiled(function: _Function) -> _Function:
    """Compiles a function when it is first called with some types, and keeps what came of it."""
    try:
        return cast("_Function", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # there is nowhere to keep it: each process compiles it anew
        return part(function)


def part(function: _Function) -> _Function:
    """Compiles a function together with those that call it."""
    return cast("_Function", numba.njit(nogil=True)(function))


def within(function: _Function) -> _Function:
    """Compiles a function into the loops that call it, however long it is: what they do with many rows at once needs that."""
    return cast("_Function", numba.njit(nogil=True, forceinline=True)(function))


@part
def whole_word(data: Bytes, at: Any) -> Any:
    """Returns the little-endian number of the eight bytes at a place: one load, to the compiler."""
    word = U(0)
    for i in range(U(8)):
        word |= U(data[at + U(i)]) << U(8 * i)
    return word


@part
def last_word(data: Bytes, at: Any, end: Any) -> Any:
    """Returns the little-endian number of the less than eight bytes from a place to an end; no others are looked at in vain."""
    unused = U(64) - (end - at) * U(8)
    if at + U(8) <= U(len(data)):
        return whole_word(data, at) & (~U(0) >> unused)
    if end >= U(8):
        return whole_word(data, end - U(8)) >> unused
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
            word = whole_word(data, at) if end - at >= U(8) else last_word(data, at, end)
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
def add_taken(sums: Words, parts: Words, places: npt.NDArray[np.int32], valid: Flags) -> None:
    """Adds to the lanes of each row those at its place among parts, (values, 2); see `add_texts`."""
    for row in range(sums.shape[0]):
        if len(valid) and not valid[row]:
            continue
        place = U(places[row])
        sums[row, 0] += parts[place, 0]
        sums[row, 1] += parts[place, 1]


@compiled
def mix(words: Words) -> None:
    """Mixes the bits of each word as splitmix64 does, in place."""
    flat = words.reshape(-1)
    for i in range(len(flat)):
        word = flat[i]
        word = (word ^ (word >> U(30))) * U(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> U(27))) * U(0x94D049BB133111EB)
        flat[i] = word ^ (word >> U(31))


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
def spell_events(
    subjects: Bytes, records: Bytes, operations: npt.NDArray[np.int8], named: Flags, spelled: Bytes
) -> None:
    """Spells share events: subject, position of the operation, 1 if there is another record, and that record, or zeros.

    Args:
        subjects: (events, 16).
        records: (events, 16), or none when there is none.
        operations: by their places in `ledger.events.OPERATIONS`.
        named: whether there is a record.
        spelled: (events, 34), written.
    """
    for row in range(spelled.shape[0]):
        for i in range(U(16)):
            spelled[row, i] = subjects[row, i]
        spelled[row, 16], spelled[row, 17] = operations[row], named[row]
        for i in range(U(16)):
            spelled[row, U(18) + i] = records[row, i] if named[row] else 0


@compiled
def spell_hex(octets: Bytes, texts: Bytes) -> None:
    """Writes two lower-case hexadecimal digits per byte."""
    for i in range(U(len(octets))):
        high, low = octets[i] >> 4, octets[i] & 15
        texts[U(2) * i] = high + (48 if high < 10 else 87)
        texts[U(2) * i + U(1)] = low + (48 if low < 10 else 87)


@compiled
def read_hex(data: Bytes, offsets: Offsets, valid: Flags, numbers: Words) -> None:
    """Reads the first 16 of each text's hexadecimal digits, of which it has as many; a number that has no text stays.

    Args:
        data: bytes of all texts.
        offsets: rows + 1 places in it.
        valid: of each row, or empty when all are.
        numbers: of each row, written.
    """
    for row in range(U(len(numbers))):
        if len(valid) and not valid[row]:
            continue
        number, at = U(0), U(offsets[row])
        for digit in range(U(16)):
            octet = U(data[at + digit])
            number = number << U(4) | ((octet & U(15)) + U(9) * (octet >> U(6)))
        numbers[row] = number


@compiled
def mask(data: Bytes, offsets: Offsets, kept: tuple[int, int], masked: Bytes, ends: npt.NDArray[np.int32]) -> None:
    """Masks UTF-8 texts: a `*` for each character but the kept first and last ones; for all where that is not more.

    Args:
        data: bytes of all texts.
        offsets: rows + 1 places in it.
        kept: how many characters at each end.
        masked: bytes of what comes of it, written; as long as the texts.
        ends: where in them each row ends, written.
    """
    used = 0
    for row in range(len(ends)):
        at, end, size = offsets[row], offsets[row + 1], 0
        for i in range(at, end):
            size += data[i] & 0xC0 != 0x80  # the others go on with a character
        first, last = kept if kept[0] + kept[1] < size else (0, 0)
        place = 0
        for i in range(at, end):
            begins = data[i] & 0xC0 != 0x80
            place += begins
            if place <= first or place > size - last:
                masked[used] = data[i]
                used += 1
            elif begins:
                masked[used] = 42
                used += 1
        ends[row] = used
