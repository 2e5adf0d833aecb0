"""Ids, digests and instants: the same for the same, other for other, whatever order, chunk or type they come in."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.identity import (
    RowsDigest,
    canonical,
    content_id,
    file_sha256,
    instant,
    keyed_hashes,
    now,
    row_hashes,
)

CONNECTION = duckdb.connect()
KEY = b"k" * 32
TEXTS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
ROWS = st.lists(st.tuples(TEXTS, TEXTS, st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=3), c, max_size=3),
    max_leaves=6,
)
SCHEMA = pa.schema({"a": pa.string(), "b": pa.string(), "n": pa.int64()})


def table(rows):
    return pa.table([pa.array([r[i] for r in rows], f.type) for i, f in enumerate(SCHEMA)], schema=SCHEMA)


def hashes(rows):
    return row_hashes(table(rows), connection=CONNECTION)


def digest(rows):
    return RowsDigest.of(hashes(rows))


@given(value=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_one_spelling_whatever_the_order(value):
    turned = dict(reversed(list(value.items())))
    assert canonical(turned) == canonical(value)
    assert content_id(turned) == content_id(value)


@given(parts=st.lists(st.text(), min_size=1, max_size=4), more=st.text())
def test_parts_of_an_id_do_not_run_into_each_other(parts, more):
    assert len(content_id(*parts)) == 32
    assert content_id(*parts, more) != content_id(*parts[:-1], parts[-1] + more)


def test_a_files_digest(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 100_000)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(b"x" * 100_000).hexdigest()


@given(at=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])))
def test_instants_have_one_spelling_that_sorts(at):
    assert instant(at) == instant(at.astimezone(UTC))
    assert datetime.fromisoformat(instant(at)) == at
    assert len(instant(at)) == 32
    assert now().tzinfo is UTC


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data())
def test_a_digest_knows_no_order_and_parts_add_up(rows, data):
    cut = data.draw(st.integers(0, len(rows)))
    shuffled = data.draw(st.permutations(rows))
    assert digest(shuffled) == digest(rows) == digest(rows[:cut]) + digest(rows[cut:])
    assert RowsDigest.parse(str(digest(rows))) == digest(rows)
    assert digest(rows).rows == len(rows)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROWS.filter(bool).map(lambda r: r[0]), min_size=1, max_size=10, unique=True))
def test_other_rows_have_other_hashes(rows):
    assert len({bytes(h) for h in hashes(rows)}) == len(rows)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((None, "", 1), ("", None, 1)),
        (("a", "b", 1), ("ab", "", 1)),
        (("a\x01", "b", 1), ("a", "\x01b", 1)),
        (("1", "", None), ("", "1", None)),
        ((None, None, None), ("", "", 0)),
    ],
)
def test_no_value_passes_for_another(one, other):
    assert digest([one]) != digest([other])


def test_a_repeated_row_counts_twice():
    row = ("a", "b", 1)
    assert digest([row, row]) != digest([row])
    assert digest([row, row]) == digest([row]) + digest([row])


def test_chunks_and_encodings_do_not_matter():
    whole = table([("a", "b", 1), ("a", None, 2), ("c", "b", None)])
    chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    encoded = whole.set_column(0, "a", whole["a"].combine_chunks().dictionary_encode())
    expected = row_hashes(whole, connection=CONNECTION)
    for same in (chunked, encoded, whole.slice(0)):
        assert np.array_equal(row_hashes(same, connection=CONNECTION), expected)
    assert np.array_equal(row_hashes(whole.slice(1), connection=CONNECTION), expected[1:])


def test_no_rows_and_no_columns():
    assert hashes([]).shape == (0, 2)
    assert RowsDigest.of(hashes([])) == RowsDigest()
    assert row_hashes(table([("a", "b", 1)] * 3), [], connection=CONNECTION).shape == (3, 2)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_keyed_hashes_are_the_same_for_the_same_record_only(rows):
    made = keyed_hashes(
        pa.table({"a": [r[0] for r in rows], "b": [r[1] for r in rows]},
                 schema=pa.schema({"a": pa.string(), "b": pa.string()})),
        ["a", "b"], key=KEY, domain="person",
    ).to_pylist()  # fmt: skip
    assert len(set(made)) == len(set(rows))
    assert all(len(h) == 16 for h in made)


def test_keyed_hashes_cannot_be_linked_across_keys_and_domains():
    rows = pa.table({"id": ["52010119900101001X"]})
    made = {
        keyed_hashes(rows, ["id"], key=key, domain=domain)[0].as_py()
        for key in (KEY, b"o" * 32) for domain in ("person", "enterprise")
    }  # fmt: skip
    assert len(made) == 4


def test_an_identifier_is_the_same_as_text_and_as_number():
    text, number = pa.table({"id": ["42"]}), pa.table({"id": pa.array([42], pa.int64())})
    assert keyed_hashes(text, ["id"], key=KEY, domain="d") == keyed_hashes(number, ["id"], key=KEY, domain="d")


@pytest.mark.parametrize("names", [["_x", "_X"], ["same", "same"], ["", "c0"]])
def test_columns_go_by_place_whatever_their_names(names):
    """SQL takes names that differ only in case for one: the second column would not count."""
    rows = [pa.array([1, 1]), pa.array([1, 2])]
    one, other = row_hashes(pa.table(rows, names), connection=CONNECTION)
    assert bytes(one) != bytes(other)
    assert np.array_equal(row_hashes(pa.table(rows, ["a", "b"]), connection=CONNECTION), [one, other])


WIDE, MOST = Decimal("12345678901234567890123456789012345678901234567890.12"), 2**63 - 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([WIDE, -WIDE, None], pa.decimal256(60, 2)),
        ([1.5, -1.5, None], pa.float16()),
        ([[1], [1, None], [None, 1], [], None], pa.list_(pa.decimal256(50))),
        ([["a", "b"], ["a, b"], ['a", "b']], pa.list_(pa.string())),
        ([[b"\xff"], [b"\xfe"]], pa.list_(pa.binary())),
        ([[("k", 1), ("k", 2)], [("k", 1)]], pa.map_(pa.string(), pa.int64())),
        ([{"a": 1, "A": 2}, {"a": 2, "A": 1}, {"a": None, "A": 1}, None],
         pa.struct([("a", pa.int64()), ("A", pa.int64())])),
        ([[0], [MOST], [-MOST]], pa.list_(pa.timestamp("us"))),
        *(([0, MOST, -MOST, None], pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")),
        ([0, MOST, None], pa.timestamp("ms", "Asia/Shanghai")),
        ([0, MOST, None], pa.duration("s")),
    ],
)  # fmt: skip
def test_every_type_of_a_parquet_file_has_hashes(values, kind):
    rows = pa.table([pa.array(values, kind)], ["v"])
    found = row_hashes(rows, connection=CONNECTION)
    assert len({bytes(h) for h in found}) == len(values)
    alone = [row_hashes(rows.slice(index, 1), connection=CONNECTION)[0] for index in range(len(values))]
    assert np.array_equal(found, alone)


def test_an_encoded_instant_out_of_reach_is_the_same_as_a_plain_one():
    plain = pa.table({"v": pa.array([0, MOST], pa.timestamp("us"))})
    encoded = pa.table({"v": pa.DictionaryArray.from_arrays(pa.array([0, 1]), plain["v"].combine_chunks())})
    assert np.array_equal(row_hashes(encoded, connection=CONNECTION), row_hashes(plain, connection=CONNECTION))
