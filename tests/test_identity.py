"""Ids, digests and instants: the same for the same, other for other, whatever order, chunk or type they come in."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock import identity
from crossdock.identity import (
    RowsDigest,
    canonical,
    content_id,
    file_sha256,
    has_sha256,
    instant,
    keyed_hashes,
    now,
)

KEY = b"k" * 32
TEXTS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=3), c, max_size=3),
    max_leaves=6,
)


@given(value=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_one_spelling_whatever_the_order(value):
    turned = dict(reversed(list(value.items())))
    assert canonical(turned) == canonical(value)
    assert content_id(turned) == content_id(value)


@given(parts=st.lists(st.text(), min_size=1, max_size=4), more=st.text())
def test_parts_of_an_id_do_not_run_into_each_other(parts, more):
    assert len(content_id(*parts)) == 32
    assert content_id(*parts, more) != content_id(*parts[:-1], parts[-1] + more)


LANE = st.integers(0, (1 << 64) - 1)
DIGEST = st.builds(RowsDigest, st.integers(0, 10**9), LANE, LANE)


@given(one=DIGEST, other=DIGEST)
def test_a_part_that_is_taken_away_leaves_the_rest(one, other):
    assert one + other - other == one
    assert RowsDigest.parse(str(one + other)) - one == other


def test_a_files_digest(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 100_000)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(b"x" * 100_000).hexdigest()


@given(at=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])))
def test_instants_have_one_spelling_that_sorts(at):
    assert instant(at) == instant(at.astimezone(UTC))
    assert datetime.fromisoformat(instant(at)) == at
    assert len(instant(at)) == 32
    assert now().tzinfo is UTC


PAIR = pa.struct([("a", pa.string()), ("b", pa.string())])
PLACES = st.none() | st.fixed_dictionaries({"a": TEXTS, "b": TEXTS})


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(PLACES, st.none() | st.lists(TEXTS, max_size=3)),
    st.tuples(PLACES, st.none() | st.lists(TEXTS, max_size=3)),
)
def test_nested_values_have_one_keyed_hash_and_pass_for_no_other(one, other):
    columns = [pa.array([row[0] for row in (one, other)], PAIR)]
    columns.append(pa.array([row[1] for row in (one, other)], pa.list_(pa.string())))
    first, second = keyed_hashes(pa.table(columns, names=["o", "l"]), ["o", "l"], key=KEY, domain="d").to_pylist()
    assert (first == second) == (one == other)


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


def test_a_file_is_read_again_once_it_is_changed(tmp_path, monkeypatch):
    path, read = tmp_path / "file", []
    monkeypatch.setattr(identity, "file_sha256", lambda path: read.append(path) or file_sha256(path))
    path.write_bytes(b"one")
    sha256 = file_sha256(path)
    assert has_sha256(path, sha256)
    assert has_sha256(path, sha256)
    assert len(read) == 1
    assert not has_sha256(path, "0" * 64)
    path.write_bytes(b"two")
    assert not has_sha256(path, sha256)
    assert not has_sha256(path, sha256)
    path.write_bytes(b"one")
    assert has_sha256(path, sha256)
