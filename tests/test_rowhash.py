"""Row hashes: the written definition row by row in plain Python, whatever chunk, order, width or encoding values come in."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.identity import RowsDigest
from crossdock.rowhash import row_hashes

WORD = (1 << 64) - 1
TEXTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=20)
ROWS = st.lists(st.tuples(TEXTS, TEXTS, st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=12)
SCHEMA = pa.schema({"a": pa.string(), "b": pa.string(), "n": pa.int64()})
PAIR = pa.struct([("a", pa.string()), ("b", pa.string())])
DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))
MOMENTS = st.datetimes(*(datetime.combine(date(year, 1, 1), time()) for year in (1700, 2200)))
TYPES = {
    "text": (pa.string(), st.text(max_size=40)),
    "bytes": (pa.binary(), st.binary(max_size=40)),
    "whole": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "unsigned": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "boolean": (pa.bool_(), st.booleans()),
    "float": (pa.float64(), st.floats(allow_nan=False)),
    "decimal2": (pa.decimal128(12, 2), st.integers(-(10**11), 10**11).map(lambda cents: Decimal(cents) / 100)),
    "long_decimal0": (pa.decimal256(50, 0), st.integers(-(10**49), 10**49).map(Decimal)),
    "date": (pa.date32(), DAYS),
    "time": (pa.time64("us"), st.times()),
    "local": (pa.timestamp("us"), MOMENTS),
    "instant": (pa.timestamp("us", "UTC"), MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC))),
    "list": (pa.list_(pa.int64()), st.lists(st.none() | st.integers(-9, 9), max_size=3)),
    "object": (PAIR, st.fixed_dictionaries({"a": TEXTS, "b": TEXTS})),
}
EPOCH = datetime.combine(date(1970, 1, 1), time())


def mix(number):
    word = number & WORD
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & WORD
    return word ^ word >> 31


def content(kind, value):
    """The bytes of a value: little-endian numbers of 8, 16 or 32 bytes, or the text."""
    if kind in ("list", "object"):
        kinds, rows = (
            (["whole"], [[item] for item in value]) if kind == "list" else (["text"] * 2, [[value["a"], value["b"]]])
        )
        return b"".join(lane.to_bytes(8, "little") for row in rows for lane in by_hand(kinds, row))
    if isinstance(value, str | bytes):
        return value.encode() if isinstance(value, str) else value
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, Decimal):
        scale = int(kind.rpartition("decimal")[2])
        return int(value.scaleb(scale, Context(prec=100))).to_bytes(32 if "long" in kind else 16, "little", signed=True)
    if isinstance(value, datetime):
        value = (value.replace(tzinfo=None) - EPOCH) // timedelta(microseconds=1)
    elif isinstance(value, date):
        value = (value - EPOCH.date()).days
    elif isinstance(value, time):
        value = (datetime.combine(EPOCH, value) - EPOCH) // timedelta(microseconds=1)
    return int(value).to_bytes(8, "little", signed=kind != "unsigned")


def by_hand(kinds, row):
    """The definition in the module's docstring, one row at a time."""
    seeds = hashlib.sha256(",".join(["crossdock row 1", *kinds]).encode()).digest()
    lanes = []
    for lane in (0, 1):
        total = int.from_bytes(seeds[8 * lane : 8 * lane + 8], "little")
        for column, (kind, value) in enumerate(zip(kinds, row, strict=True)):
            if value is None:
                continue
            found = content(kind, value)
            words = [len(found) + 1 if kind in ("text", "bytes", "list", "object") else 1]
            for start in range(0, len(found), 8):
                word = int.from_bytes(found[start : start + 8], "little")
                words.append(word ^ word >> 32)
            for place, word in enumerate(words):
                total += word * (mix(((column << 33 | place << 1) + 1 + lane) * 0x9E3779B97F4A7C15) | 1)
        lanes.append(mix(total))
    return tuple(lanes)


def multiplier(column, lane):
    return mix(((column << 33 | 1 << 1) + 1 + lane) * 0x9E3779B97F4A7C15) | 1


def unfolded(word):
    """The value whose folded word this is."""
    return word ^ word >> 32


def forged_pair():
    """Two rows of three numbers that have one hash: what anybody can do who knows the keys."""
    (a0, b0, c0), (a1, b1, c1) = ([multiplier(column, lane) for column in range(3)] for lane in (0, 1))
    # x * a + y * b + z * c = 0 in both lanes: the cross product of both lists of keys.
    x, y, z = b0 * c1 - c0 * b1, c0 * a1 - a0 * c1, a0 * b1 - b0 * a1
    return [unfolded(0)] * 3, [unfolded(word & WORD) for word in (x, y, z)]


def table(rows):
    return pa.table([pa.array([r[i] for r in rows], f.type) for i, f in enumerate(SCHEMA)], schema=SCHEMA)


def hashes(rows):
    return row_hashes(table(rows))


def digest(rows):
    return RowsDigest.of(hashes(rows))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_hashes_are_what_the_definition_says(data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=5))
    rows = data.draw(st.lists(st.tuples(*(st.none() | TYPES[kind][1] for kind in kinds)), max_size=9))
    columns = [pa.array([row[i] for row in rows], TYPES[kind][0]) for i, kind in enumerate(kinds)]
    made = row_hashes(pa.Table.from_arrays(columns, names=[str(i) for i in range(len(kinds))]))
    assert [tuple(map(int, row)) for row in made] == [by_hand(kinds, row) for row in rows]


def test_the_definition_never_changes():
    rows = [("52010119900101001X", "王小明", 42), ("", None, -1), (None, "x" * 100, None)]
    assert [by_hand(("text", "text", "whole"), row) for row in rows] == [tuple(map(int, row)) for row in hashes(rows)]
    assert str(digest(rows)) == "3:7596532728e2c5fa778b208b85caaaa8"


def test_long_and_many_texts_in_one_column():
    texts = ["a" * (n % 37) if n % 50 else "长" * n for n in range(400)] + [None] * 20 + ["z" * 8] * 9
    made = row_hashes(pa.table({"t": pa.array(texts)}))
    assert [tuple(map(int, row)) for row in made] == [by_hand(("text",), (text,)) for text in texts]


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
    for lane in (0, 1):
        assert len({int(h) for h in hashes(rows)[:, lane]}) == len(rows)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((None, "", 1), ("", None, 1)),
        (("a", "b", 1), ("ab", "", 1)),
        (("a\x00", "b", 1), ("a", "\x00b", 1)),
        (("a\x00", "b", 1), ("a", "b", 1)),
        (("1", "", None), ("", "1", None)),
        (("12345678", "", 1), ("", "12345678", 1)),
        (("1234567812345679", "", 1), ("1234567912345678", "", 1)),
        ((None, None, None), ("", "", 0)),
    ],
)
def test_no_value_passes_for_another(one, other):
    assert digest([one]) != digest([other])


PLACES = st.none() | st.fixed_dictionaries({"a": TEXTS, "b": TEXTS})


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(PLACES, st.none() | st.lists(TEXTS, max_size=3)),
    st.tuples(PLACES, st.none() | st.lists(TEXTS, max_size=3)),
)
def test_nested_values_have_one_hash_and_pass_for_no_other(one, other):
    def nested(*rows):
        columns = [pa.array([row[0] for row in rows], PAIR), pa.array([row[1] for row in rows], pa.list_(pa.string()))]
        return pa.table(columns, names=["o", "l"])

    first, second = row_hashes(nested(one, other)).tolist()
    assert (first == second) == (one == other)
    assert row_hashes(nested(other, one).slice(1)).tolist() == [first]


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": None, "b": "x"}, {"a": "NULL", "b": "x"}), ({"a": "x, 'b': y", "b": None}, {"a": "x", "b": "y"})],
)
def test_no_object_passes_for_another(one, other):
    both = row_hashes(pa.table({"o": pa.array([one, other], PAIR)}))
    assert both[0].tolist() != both[1].tolist()


def test_values_exchanged_between_rows_are_other_rows():
    assert digest([("a", "b", 1), ("c", "d", 1)]) != digest([("a", "d", 1), ("c", "b", 1)])


def test_every_bit_of_a_row_counts_in_every_lane():
    start = b"crossdock" * 4
    one = row_hashes(pa.table({"x": [start], "n": [7]}))[0]
    for bit in range(len(start) * 8):
        changed = bytearray(start)
        changed[bit // 8] ^= 1 << bit % 8
        other = row_hashes(pa.table({"x": [bytes(changed)], "n": [7]}))[0]
        for lane in (0, 1):
            assert 12 <= (int(one[lane]) ^ int(other[lane])).bit_count() <= 52


def test_with_a_key_everything_has_another_hash():
    rows = pa.table({"t": ["a", "b"], "o": pa.array([{"a": "x", "b": None}, None], PAIR), "n": [1, 1]})
    plain, keyed, other = (row_hashes(rows, key=key) for key in (b"", b"k" * 32, b"o" * 32))
    assert np.array_equal(row_hashes(rows, key=b"k" * 32), keyed)
    assert len({tuple(row) for made in (plain, keyed, other) for row in made.tolist()}) == 6


def test_values_chosen_to_have_one_hash_differ_under_a_key():
    rows = pa.table([pa.array(column, pa.uint64()) for column in zip(*forged_pair(), strict=True)], names=list("abc"))
    first, second = row_hashes(rows).tolist()
    assert first == second
    first, second = row_hashes(rows, key=b"k" * 32).tolist()
    assert first != second


def test_a_repeated_row_counts_twice():
    row = ("a", "b", 1)
    assert digest([row, row]) != digest([row])
    assert digest([row, row]) == digest([row]) + digest([row])


def test_chunks_and_encodings_do_not_matter():
    whole = table([("a", "b", 1), ("a", None, 2), ("c", "b", None)])
    expected = row_hashes(whole)
    column = whole["a"].combine_chunks()
    for same in (
        pa.concat_tables([whole.slice(0, 1), whole.slice(1)]),
        whole.set_column(0, "a", column.dictionary_encode()),
        whole.set_column(0, "a", column.cast(pa.large_string())),
        whole.set_column(0, "a", column.cast(pa.string_view())),
        whole.set_column(0, "a", pa.compute.run_end_encode(column)),
        whole.set_column(2, "n", whole["n"].cast(pa.int8())),
        whole.rename_columns(["x", "y", "z"]),
    ):
        assert np.array_equal(row_hashes(same), expected)
    assert np.array_equal(row_hashes(whole.slice(1)), expected[1:])
    assert np.array_equal(row_hashes(whole, ["b"]), row_hashes(whole.select(["b"])))


def test_what_stands_where_nothing_is_does_not_count():
    there = pa.array([1, 2, 3], pa.int64())
    hidden = pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(b"\x05"), there.buffers()[1]])
    texts = pa.array(["a", "bb", "c"])
    hidden_text = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), *texts.buffers()[1:]])
    assert hidden.to_pylist() == [1, None, 3]
    assert np.array_equal(
        row_hashes(pa.table({"n": hidden, "t": hidden_text})),
        row_hashes(pa.table({"n": pa.array([1, None, 3]), "t": pa.array(["a", None, "c"])})),
    )


def test_a_file_holds_the_rows_it_was_given(tmp_path):
    moments = pa.array([0, 1_600_000_000, None], pa.timestamp("s"))
    rows = pa.table(
        {
            "second": moments,
            "milli": moments.cast(pa.timestamp("ms")),
            "nano": moments.cast(pa.timestamp("ns")),
            "zoned": moments.cast(pa.timestamp("s", "Asia/Shanghai")),
            "clock": pa.array([1, 2, None], pa.time32("s")),
            "day": pa.array([date(2026, 1, 1), None, date(1900, 1, 1)], pa.date64()),
            "half": pa.array([0.5, float("nan"), None], pa.float16()),
            "small": pa.array([Decimal("1.5"), None, Decimal("-2.5")], pa.decimal32(5, 1)),
            "long": pa.array([Decimal("1.5"), None, Decimal("-2.5")], pa.decimal256(20, 1)),
            "unsigned": pa.array([1, None, 2**32 - 1], pa.uint32()),
            "fixed": pa.array([b"ab", None, b"cd"], pa.binary(2)),
            "nothing": pa.nulls(3),
            "flag": pa.array([True, None, False]),
            "object": pa.array([{"a": 1}, None, {"a": None}]),
            "list": pa.array([[{"a": [1]}], None, [{"a": None}, None]]),
            "map": pa.array([[("a", 1)], None, [("b", 2), ("c", None)]], pa.map_(pa.string(), pa.int64())),
            "pair": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)),
        }
    )
    pq.write_table(rows, tmp_path / "rows.parquet")
    assert np.array_equal(row_hashes(pq.read_table(tmp_path / "rows.parquet")), row_hashes(rows))


def test_parts_of_nested_columns_have_the_hashes_of_their_rows():
    values = [[("a", 1)], None, [], [("b", 2), ("c", None)], [("d", 4)]]
    columns = {
        "map": pa.array(values, pa.map_(pa.string(), pa.int64())),
        "object": pa.array([None if v is None else {"v": [key for key, _ in v]} for v in values]),
    }
    whole = pa.table(columns)
    expected = row_hashes(whole)
    assert len({tuple(row) for row in expected.tolist()}) == len(values)
    assert np.array_equal(row_hashes(whole.slice(1, 3)), expected[1:4])
    assert np.array_equal(row_hashes(whole.take([4, 1, 3])), expected[[4, 1, 3]])


def test_no_rows_and_no_columns():
    assert hashes([]).shape == (0, 2)
    assert RowsDigest.of(hashes([])) == RowsDigest()
    assert row_hashes(table([("a", "b", 1)] * 3), []).shape == (3, 2)


@pytest.mark.parametrize("names", [["_x", "_X"], ["same", "same"], ["", "c0"]])
def test_columns_go_by_place_whatever_their_names(names):
    """SQL takes names that differ only in case for one: the second column would not count."""
    rows = [pa.array([1, 1]), pa.array([1, 2])]
    one, other = row_hashes(pa.table(rows, names))
    assert bytes(one) != bytes(other)
    assert np.array_equal(row_hashes(pa.table(rows, ["a", "b"])), [one, other])


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
    found = row_hashes(rows)
    assert len({bytes(h) for h in found}) == len(values)
    alone = [row_hashes(rows.slice(index, 1))[0] for index in range(len(values))]
    assert np.array_equal(found, alone)


def test_an_encoded_instant_out_of_reach_is_the_same_as_a_plain_one():
    plain = pa.table({"v": pa.array([0, MOST], pa.timestamp("us"))})
    encoded = pa.table({"v": pa.DictionaryArray.from_arrays(pa.array([0, 1]), plain["v"].combine_chunks())})
    assert np.array_equal(row_hashes(encoded), row_hashes(plain))
