"""Keyed BLAKE2b hashes (RFC 7693) of many messages: four at a time, as the compiler makes of a loop over lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossdock.compiled import Bytes, Offsets, U, Words, compiled, last_word, part, whole_word, within

_BLOCK = 128  # bytes that are compressed at a time
_LANES = 64  # messages whose words lie side by side; what they need fits into the fastest cache
_START = (
    U(0x6A09E667F3BCC908), U(0xBB67AE8584CAA73B), U(0x3C6EF372FE94F82B), U(0xA54FF53A5F1D36F1),
    U(0x510E527FADE682D1), U(0x9B05688C2B3E6C1F), U(0x1F83D9ABFB41BD6B), U(0x5BE0CD19137E2179),
)  # fmt: skip


@within
def _turned(word: Any, bits: Any) -> Any:
    return (word >> bits) | (word << (U(64) - bits))


@within
def _stir(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:  # noqa: PLR0913, PLR0917 - as the RFC has it
    a += b + x
    d = _turned(d ^ a, U(32))
    c += d
    b = _turned(b ^ c, U(24))
    a += b + y
    d = _turned(d ^ a, U(16))
    c += d
    b = _turned(b ^ c, U(63))
    return a, b, c, d


@within
def _round(v: Any, w: Any) -> Any:
    """Stirs the state's 16 words with a block's, in their order for this round."""
    a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3 = v
    a0, b0, c0, d0 = _stir(a0, b0, c0, d0, w[0], w[1])
    a1, b1, c1, d1 = _stir(a1, b1, c1, d1, w[2], w[3])
    a2, b2, c2, d2 = _stir(a2, b2, c2, d2, w[4], w[5])
    a3, b3, c3, d3 = _stir(a3, b3, c3, d3, w[6], w[7])
    a0, b1, c2, d3 = _stir(a0, b1, c2, d3, w[8], w[9])
    a1, b2, c3, d0 = _stir(a1, b2, c3, d0, w[10], w[11])
    a2, b3, c0, d1 = _stir(a2, b3, c0, d1, w[12], w[13])
    a3, b0, c1, d2 = _stir(a3, b0, c1, d2, w[14], w[15])
    return a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3


@part
def _compress(state: Words, words: Words, done: Words, last: Words, going: Words) -> None:
    """Compresses one block per lane into its state; the compiler takes four lanes at a time.

    Args:
        state: 8 words per lane, changed; the first words of all lanes, then the second ones, and so on.
        words: of the blocks, 16 per lane, in the same order.
        done: how many bytes there were up to the end of the lane's block.
        last: all ones where it is the last one, else zero.
        going: all ones where there is a block, zero where the state is to stay.
    """
    h, w, n, b = state, words, U(_LANES), _START
    for i in range(U(_LANES)):
        a0, a1, a2, a3 = h[i], h[n + i], h[U(2) * n + i], h[U(3) * n + i]
        a4, a5, a6, a7 = h[U(4) * n + i], h[U(5) * n + i], h[U(6) * n + i], h[U(7) * n + i]
        w0, w1, w2, w3 = w[i], w[n + i], w[U(2) * n + i], w[U(3) * n + i]
        w4, w5, w6, w7 = w[U(4) * n + i], w[U(5) * n + i], w[U(6) * n + i], w[U(7) * n + i]
        w8, w9, wa, wb = w[U(8) * n + i], w[U(9) * n + i], w[U(10) * n + i], w[U(11) * n + i]
        wc, wd, we, wf = w[U(12) * n + i], w[U(13) * n + i], w[U(14) * n + i], w[U(15) * n + i]
        v = (a0, a1, a2, a3, a4, a5, a6, a7, b[0], b[1], b[2], b[3], b[4] ^ done[i], b[5], b[6] ^ last[i], b[7])
        # Written out, so that the compiler knows every order.
        v = _round(v, (w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, wa, wb, wc, wd, we, wf))
        v = _round(v, (we, wa, w4, w8, w9, wf, wd, w6, w1, wc, w0, w2, wb, w7, w5, w3))
        v = _round(v, (wb, w8, wc, w0, w5, w2, wf, wd, wa, we, w3, w6, w7, w1, w9, w4))
        v = _round(v, (w7, w9, w3, w1, wd, wc, wb, we, w2, w6, w5, wa, w4, w0, wf, w8))
        v = _round(v, (w9, w0, w5, w7, w2, w4, wa, wf, we, w1, wb, wc, w6, w8, w3, wd))
        v = _round(v, (w2, wc, w6, wa, w0, wb, w8, w3, w4, wd, w7, w5, wf, we, w1, w9))
        v = _round(v, (wc, w5, w1, wf, we, wd, w4, wa, w0, w7, w6, w3, w9, w2, w8, wb))
        v = _round(v, (wd, wb, w7, we, wc, w1, w3, w9, w5, w0, wf, w4, w8, w6, w2, wa))
        v = _round(v, (w6, wf, we, w9, wb, w3, w0, w8, wc, w2, wd, w7, w1, w4, wa, w5))
        v = _round(v, (wa, w2, w8, w4, w7, w6, w1, w5, wf, wb, w9, we, w3, wc, wd, w0))
        v = _round(v, (w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, wa, wb, wc, wd, we, wf))
        v = _round(v, (we, wa, w4, w8, w9, wf, wd, w6, w1, wc, w0, w2, wb, w7, w5, w3))
        go = going[i]
        h[i], h[n + i] = a0 ^ ((v[0] ^ v[8]) & go), a1 ^ ((v[1] ^ v[9]) & go)
        h[U(2) * n + i], h[U(3) * n + i] = a2 ^ ((v[2] ^ v[10]) & go), a3 ^ ((v[3] ^ v[11]) & go)
        h[U(4) * n + i], h[U(5) * n + i] = a4 ^ ((v[4] ^ v[12]) & go), a5 ^ ((v[5] ^ v[13]) & go)
        h[U(6) * n + i], h[U(7) * n + i] = a6 ^ ((v[6] ^ v[14]) & go), a7 ^ ((v[7] ^ v[15]) & go)


@within
def _put(words: Words, lane: Any, start: Bytes, messages: Bytes, at: Any, end: Any) -> None:  # noqa: PLR0913, PLR0917 - no objects in loops
    """Puts a start and a message, which fit into one block, into a lane."""
    place, shift = U(len(start) // 8), U(len(start) % 8 * 8)
    for i in range(place):
        words[i * U(_LANES) + lane] = whole_word(start, i * U(8))
    carry = last_word(start, place * U(8), U(len(start))) if shift else U(0)
    while at < end:
        word = whole_word(messages, at) if end - at >= U(8) else last_word(messages, at, end)
        words[place * U(_LANES) + lane] = carry | word << shift
        carry = word >> U(1) >> (U(63) - shift)
        place += U(1)
        at += U(8)
    while place < U(16):
        words[place * U(_LANES) + lane] = carry
        carry = U(0)
        place += U(1)


@part
def _put_part(words: Words, lane: Any, start: Bytes, message: Bytes, taken: Any) -> None:
    """Puts a block of a start and a message into a lane, from a place on."""
    for i in range(_BLOCK):
        place, at = U(i // 8 * _LANES) + lane, taken + i - len(start)
        octet = U(0)
        if at < 0:
            octet = U(start[taken + i])
        elif at < len(message):
            octet = U(message[at])
        words[place] = (words[place] if i % 8 else U(0)) | octet << U(i % 8 * 8)


@within
def _load(lane: Any, taken: Any, start: Bytes, message: Any, told: Any) -> Any:
    """Puts the next block of a start and a message into a lane, if there is one, and returns how long they are."""
    (words, done, last, going), (messages, at, end) = told, message
    length = len(start) + end - at
    done[lane] = U(_BLOCK + min(length, taken + _BLOCK))
    last[lane] = ~U(0) if length <= taken + _BLOCK else U(0)
    going[lane] = ~U(0) if length > taken else U(0)
    if length <= _BLOCK:
        _put(words, U(lane), start, messages, U(at), U(end))
    elif length > taken:
        _put_part(words, U(lane), start, messages[at:end], taken)
    return length


@part
def _take_further(state: Words, lanes: Any, start: Bytes, messages: Any, told: Any) -> None:
    """Compresses all blocks but the first of some lanes' messages, of which one is `lanes[1]` bytes long, start included."""
    (first, longest), (words, done, last, going) = lanes, told
    for taken in range(_BLOCK, longest, _BLOCK):
        for lane in range(_LANES):
            _load(lane, taken, start, _message(messages, first + lane), told)
        _compress(state, words, done, last, going)


@within
def _message(messages: Any, row: Any) -> Any:
    """Returns where a row's message is; behind the last one, where that is."""
    octets, offsets = messages
    row = min(row, len(offsets) - 2)
    return octets, offsets[row], offsets[row + 1]


@part
def _give(state: Words, hashes: Words) -> None:
    """Writes the hashes of the first lanes."""
    for lane in range(hashes.shape[0]):
        for i in range(hashes.shape[1]):
            hashes[lane, i] = state[i * _LANES + lane]


@part
def _spread(state: Words, start: Words) -> None:
    """Begins all lanes with the same state of 8 words."""
    for i in range(8):
        state[i * _LANES : (i + 1) * _LANES] = start[i]


@compiled
def blake2b(messages: Bytes, offsets: Offsets, key: Bytes, start: Bytes, hashes: Words) -> None:
    """Makes the keyed hash of each message; `hashlib.blake2b` makes the same one by one.

    Args:
        messages: bytes of all messages.
        offsets: rows + 1 places in it.
        key: 1 to 64 bytes.
        start: what every message begins with; at least one byte.
        hashes: (rows, words of each), written; 1 to 8 words of 8 bytes.
    """
    rows, size = hashes.shape
    state, words = np.empty(8 * _LANES, np.uint64), np.empty(16 * _LANES, np.uint64)
    done, last, going = np.empty(_LANES, np.uint64), np.empty(_LANES, np.uint64), np.empty(_LANES, np.uint64)
    told = words, done, last, going
    keyed = np.array(_START)
    keyed[0] ^= U(0x01010000 | len(key) << 8 | 8 * size)
    _spread(state, keyed)
    for lane in range(_LANES):  # the key is a block of its own, which is not the last one
        _load(lane, 0, key, (messages, 0, 0), told)
    done[:] = _BLOCK
    last[:] = 0
    _compress(state, words, done, last, going)
    keyed = state[::_LANES].copy()
    for first in range(0, rows, _LANES):
        _spread(state, keyed)
        longest = 0
        for lane in range(_LANES):  # most messages are short: the compiler is to know that nothing was taken of them
            length = _load(lane, 0, start, _message((messages, offsets), first + lane), told)
            longest = max(longest, length)
        _compress(state, words, done, last, going)
        if longest > _BLOCK:
            _take_further(state, (first, longest), start, (messages, offsets), told)
        _give(state, hashes[first : first + _LANES])
