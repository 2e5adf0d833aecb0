"""The compiled loops: byte for byte what the standard library makes, one by one."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.blake2b import blake2b
from crossdock.columnar import text_buffers
from crossdock.compiled import mask, read_hex, spell, spell_events, spell_hex
from crossdock.finding import NEW, OTHER, SAME, look_up
from crossdock.identity import keyed_hashes
from provinces import ROOT

MESSAGES = st.lists(st.binary(max_size=40) | st.binary(min_size=110, max_size=400), max_size=5) | st.lists(
    st.binary(max_size=9), min_size=60, max_size=70
)
VALUES = st.none() | st.binary(max_size=30).map(bytes.hex)


def octets(data):
    return np.frombuffer(data, np.uint8)


@settings(deadline=None)
@given(
    messages=MESSAGES,
    key=st.binary(min_size=1, max_size=64),
    start=st.binary(min_size=1, max_size=300),
    words=st.integers(1, 8),
)
def test_blake2b_is_hashlibs(messages, key, start, words):
    hashes = np.empty((len(messages), words), np.uint64)
    offsets = np.cumsum([0, *map(len, messages)], dtype=np.int64)
    blake2b(octets(b"".join(messages)), offsets, octets(key), octets(start), hashes)
    made = [hashlib.blake2b(start + each, key=key, digest_size=8 * words).digest() for each in messages]
    assert [row.tobytes() for row in hashes] == made


def test_a_message_may_end_with_its_block():
    for size in (126, 127, 128, 255, 256):
        hashes = np.empty((1, 2), np.uint64)
        message = bytes(range(256))[: size - 1]
        blake2b(octets(message), np.array([0, len(message)]), octets(b"k"), octets(b"s"), hashes)
        assert hashes.tobytes() == hashlib.blake2b(b"s" + message, key=b"k", digest_size=16).digest()


@settings(deadline=None)
@given(rows=st.lists(st.tuples(VALUES, VALUES), max_size=6), begin=st.integers(0, 3))
def test_a_record_is_hashed_as_its_values_with_their_lengths(rows, begin):
    schema = pa.schema({"a": pa.string(), "b": pa.large_string()})
    table = pa.table([[row[i] for row in rows] for i in (0, 1)], schema=schema).slice(begin)
    expected = []
    for row in rows[begin:]:
        message = b"\x06person"
        for value in row:
            message += b"\xff" if value is None else len(value).to_bytes(4, "big") + value.encode()
        expected.append(hashlib.blake2b(message, key=b"k" * 32, digest_size=16).digest())
    assert keyed_hashes(table, ["a", "b"], key=b"k" * 32, domain="person").to_pylist() == expected


def test_values_are_spelled_one_behind_the_other():
    messages, ends = np.zeros(9, np.uint8), np.array([0, 4])
    spell(messages, ends, octets(b"xyz"), np.array([0, 0, 0]), np.array([True, False]))
    assert messages.tobytes() == bytes(4) + b"\xff" + bytes(4)
    assert ends.tolist() == [4, 5]


@pytest.mark.parametrize("named", [[False, False], [True, False]])
def test_an_event_is_subject_operation_and_record(named):
    subjects, records = (np.arange(start, start + 32, dtype=np.uint8).reshape(2, 16) for start in (0, 100))
    spelled = np.full((2, 34), 255, np.uint8)
    some = records if any(named) else np.empty((0, 16), np.uint8)
    spell_events(subjects, some, np.array([2, 1], np.int8), np.array(named), spelled)
    expected = [
        subjects[n].tobytes() + bytes([(2, 1)[n], named[n]]) + (records[n].tobytes() if named[n] else bytes(16))
        for n in (0, 1)
    ]
    assert [row.tobytes() for row in spelled] == expected


@given(octets_=st.binary(max_size=40))
def test_bytes_are_spelled_in_hexadecimal(octets_):
    texts = np.empty(2 * len(octets_), np.uint8)
    spell_hex(np.array(bytearray(octets_), np.uint8), texts)
    assert texts.tobytes().decode() == octets_.hex()


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=8), max_size=5), first=st.integers(0, 4), last=st.integers(0, 4))
def test_a_mask_keeps_the_ends_and_hides_the_rest(texts, first, last):
    data, offsets, _ = text_buffers(pa.array(texts, pa.large_binary()))
    masked, ends = np.empty(int(offsets[-1]), np.uint8), np.empty(len(texts), np.int32)
    mask(data, offsets, (first, last), masked, ends)
    expected = []
    for text in texts:
        size = len(text)
        hidden = "*" * (size - first - last)
        expected.append(text[:first] + hidden + text[size - last :] if hidden else "*" * size)
    starts = [0, *ends.tolist()[:-1]] if texts else []
    found = [masked[start:end].tobytes().decode() for start, end in zip(starts, ends.tolist(), strict=True)]
    assert found == expected


NAMES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12, unique=True
)  # few: they meet in one slot


def words(pairs):
    made = np.array(pairs, np.uint64).reshape(-1, 2)
    made.flags.writeable = False
    return made


@settings(deadline=None)
@given(before=NAMES, after=NAMES, changed=st.sets(st.integers(0, 11)), twice=st.booleans())
def test_records_are_found_as_a_dictionary_finds_them(before, after, changed, twice):
    after = [*after, after[0]] if twice and after else after
    slots, names = np.full(64, -1, np.int32), np.empty((24, 2), np.uint64)
    rows = words([(n, n) for n in range(len(before))])
    nothing, found = (words([]), np.zeros(0, np.bool_)), np.zeros(len(before), np.bool_)
    told = np.empty(len(before), np.int8), np.empty(len(before), np.int64)
    used = look_up((slots, names, 0), nothing, (words(before), rows), told)
    assert used == len(before)
    known = {name: place for place, name in enumerate(before)}
    new_rows = words([(99 if n in changed else known.get(name, 0),) * 2 for n, name in enumerate(after)])
    marks, places = np.empty(len(after), np.int8), np.empty(len(after), np.int64)
    used = look_up((slots, names, used), (rows, found), (words(after), new_rows), (marks, places))
    if twice and after:
        assert used == -1
        return
    expected = [NEW if name not in known else OTHER if n in changed else SAME for n, name in enumerate(after)]
    assert marks.tolist() == expected
    assert [places[n] for n, name in enumerate(after) if name in known] == [
        known[name] for name in after if name in known
    ]
    assert found.tolist() == [name in after for name in before]
    assert used == len(before) + expected.count(NEW)


WORKS = """
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from crossdock import pipeline
from hamlet import found
hamlet = found(Path(sys.argv[1]))
assert not hamlet.sweep().failures
later = replace(hamlet.open(), clock=lambda: datetime.now(UTC) + timedelta(days=3))
assert pipeline.audit(later).sound
assert list(later.store.list("ledger/segments/"))
assert pipeline.audit(later).sound
modules = [module for name, module in sys.modules.items() if name.startswith("crossdock.")]
loops = {each for module in modules for each in vars(module).values() if isinstance(each, Dispatcher)}
loaded = {loop.__name__: loop.stats.cache_hits.total() for loop in loops if loop.stats.cache_hits}
assert {"gather", "blake2b", "mask"} <= loaded.keys(), loaded
parts = {"last_word", "whole_word"}  # compiled with what calls them
print({loop.__name__: dict(loop.stats.cache_misses) for loop in loops if loop.stats.cache_misses and loop.__name__ not in parts})
"""


def test_what_set_up_has_compiled_is_compiled_at_work_no_more(tmp_path):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (program,) = re.findall(r"python -c '(from crossdock.*)'", makefile)
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "kept"),
        "PYTHONPATH": os.pathsep.join((str(ROOT / "plugins"), str(ROOT / "tests"))),
    }
    for words in (("-c", program), ("-c", WORKS, str(tmp_path / "hamlet"))):
        done = subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "{}"


@given(st.lists(st.none() | st.binary(min_size=8, max_size=16)))
def test_the_first_digits_of_texts_are_read(values):
    texts = pa.array([None if value is None else value.hex() for value in values], pa.large_string())
    numbers = np.full(len(values), 7, np.uint64)
    read_hex(*text_buffers(texts.view(pa.large_binary())), numbers)
    assert numbers.tolist() == [7 if value is None else int.from_bytes(value[:8], "big") for value in values]
