"""Typing raw values: Python's own parsers say what a text means, and nothing else may come out."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.contracts.arrow import arrow_schema, arrow_type
from crossdock.contracts.model import Column, Contract, Label
from crossdock.errors import WrongUse
from crossdock.validation.spelling import parse_texts
from crossdock.validation.typing import cast_batch, cast_column


def column(kind: str, **given) -> Column:
    return Column(**{"name": "a", "source_name": "a", "type": kind, **given})


def local(*given: int) -> datetime:
    return datetime(*given, tzinfo=UTC).replace(tzinfo=None)


def contract(*columns: Column, null_tokens: tuple[str, ...] = ()) -> Contract:
    return Contract(
        id="d/s", department="d", dataset="s", version="1.0.0", status="active", title=Label(zh="", en=""), description="",
        theme="", sharing="none", sharing_basis="", subject=None, source=None, columns=columns, rules=(), transforms=(),
        null_tokens=null_tokens,
    )  # fmt: skip


def typed(values, kind: Column) -> list[object]:
    """Returns values by Python, with "misfit" where one did not fit."""
    array = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    out, misfits = cast_column(array, kind, ())
    assert out.type == arrow_type(kind)
    assert len(out) == len(misfits) == len(array)
    assert misfits.null_count == 0
    return ["misfit" if bad else value for value, bad in zip(out.to_pylist(), misfits.to_pylist(), strict=True)]


# --- property: a text means what Python's parser says, or is a misfit ---

_noise = st.text(st.sampled_from("0123456789+-.eE:TZ /xX_年月日　١"), max_size=24)


def int64(text: str) -> object:
    if re.fullmatch(r"[+-]?[0-9]+", text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    return "misfit" if text else None


@given(st.lists(st.integers(-(2**70), 2**70).map(str) | st.integers(0, 99).map("+000{}".format) | _noise, max_size=40))
def test_integers_are_what_python_reads(texts):
    assert typed(texts, column("integer")) == [int64(text) for text in texts]


def exact(text: str, precision: int, scale: int) -> object:
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", text):
        return "misfit" if text else None
    value = Fraction(text)
    shifted = value * 10**scale
    return Decimal(text) if shifted.denominator == 1 and abs(shifted) < 10**precision else "misfit"


_decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3).map(str)


@given(
    st.lists(
        _decimals
        | st.integers(-(10**12), 10**12).map(str)
        | st.from_regex(r"[0-9]{0,4}\.[0-9]{0,4}0{0,3}", fullmatch=True)
        | _noise,
        max_size=40,
    ),
    st.sampled_from([(12, 2), (5, 5), (9, 0), (38, 10), (1, 0)]),
)
def test_decimals_are_exact_or_misfits(texts, digits):
    kind = column("number", precision=digits[0], scale=digits[1])
    assert typed(texts, kind) == [exact(text, *digits) for text in texts]


@given(st.lists(st.floats().map(repr) | _decimals | _noise, max_size=40))
def test_floats_are_the_nearest_and_finite(texts):
    def nearest(text: str) -> object:
        if re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", text):
            value = float(text)
            return "misfit" if value in (float("inf"), float("-inf")) else value
        return "misfit" if text else None

    assert typed(texts, column("number")) == [nearest(text) for text in texts]


_near_dates = st.builds("{:04d}-{:02d}-{:02d}".format, st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32))


@given(st.lists(st.dates().map(str) | _near_dates | _noise, max_size=40))
def test_dates_are_days_of_the_calendar(texts):
    def day(text: str) -> object:
        try:
            return date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else "misfit"
        except ValueError:
            return "misfit"

    assert typed(texts, column("date")) == [day(text) if text else None for text in texts]


_zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_zoned_text = st.datetimes(timezones=_zones).map(datetime.isoformat) | st.datetimes(timezones=_zones).map(str)
_local_text = st.datetimes().map(datetime.isoformat) | st.datetimes().map(lambda d: d.isoformat(" ", "minutes"))


def in_utc(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        return "misfit"


@given(st.lists(_zoned_text, max_size=30), st.lists(_local_text, max_size=30))
def test_instants_with_an_offset_become_utc_and_without_one_fit_no_zoned_column(zoned, local):
    kind = column("timestamp", timezone=True)
    assert typed(zoned, kind) == [in_utc(text) for text in zoned]
    assert typed(local, kind) == ["misfit"] * len(local)


@given(st.lists(_zoned_text, max_size=30), st.lists(_local_text, max_size=30))
def test_local_instants_stand_as_they_are_written(zoned, local):
    expected = [value.replace(tzinfo=None) if isinstance(value := in_utc(text), datetime) else value for text in zoned]
    assert typed(zoned + local, column("timestamp")) == expected + [datetime.fromisoformat(text) for text in local]


@given(
    st.lists(
        st.times().map(time.isoformat) | st.from_regex(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", fullmatch=True), max_size=30
    )
)
def test_times_are_of_the_clock(texts):
    def clock(text: str) -> object:
        # ASCII digits only: from_regex in [0-9] gives no others.
        try:
            return time.fromisoformat(text)
        except ValueError:
            return "misfit"

    assert typed(texts, column("time")) == [clock(text) for text in texts]


@given(st.lists(st.dates(), max_size=20), st.sampled_from(["%Y%m%d", "%d/%m/%Y", "%Y年%m月%d日", "%m.%d.%Y"]))
def test_patterns_of_the_contract_read_what_they_write(days, form):
    # strftime does not pad years before 1000 here, so the year is spelled by hand.
    texts = [
        day.replace(year=2000).strftime(form).replace("2000", f"{day.year:04d}")
        for day in days
        if (day.month, day.day) != (2, 29)
    ]
    expected = [day for day in days if (day.month, day.day) != (2, 29)]
    assert typed(texts, column("date", formats=(form,))) == expected


# --- property: typed input keeps its value or is a misfit ---


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=30))
def test_integers_fit_decimals_by_value_not_by_width(values):
    fitting = [None if v is None else Decimal(v) if abs(v) < 10**10 else "misfit" for v in values]
    assert typed(pa.array(values, pa.int64()), column("number", precision=12, scale=2)) == fitting


@given(st.lists(st.floats() | st.floats(-10, 10).map(lambda v: round(v, 4)) | st.floats(1e15, 1e25), max_size=30))
def test_binary_floats_become_decimals_by_their_shortest_text(values):
    expected = [exact(repr(v), 30, 4) for v in values]
    assert typed(pa.array(values, pa.float64()), column("number", precision=30, scale=4)) == expected


@given(st.lists(st.datetimes(), max_size=30))
def test_a_timestamp_is_a_date_only_at_midnight(values):
    expected = [v.date() if v.time() == time() else "misfit" for v in values]
    assert typed(pa.array(values, pa.timestamp("us")), column("date")) == expected


@given(
    st.lists(st.text(max_size=5) | st.none(), max_size=30), st.sampled_from(["string", "integer", "date", "boolean"])
)
def test_every_value_is_typed_null_or_marked(texts, kind):
    out, misfits = cast_column(pa.array(texts, pa.string()), column(kind), ("NULL",))
    for text, value, bad in zip(texts, out.to_pylist(), misfits.to_pylist(), strict=True):
        absent = text in (None, "NULL") or (text == "" and kind != "string")
        assert bad == (value is None and not absent)


# --- examples ---


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["true", "FALSE", "1", "0", "yes", ""], column("boolean"), [True, False, True, False, "misfit", None]),
        (["007", "", " "], column("string"), ["007", "", " "]),
        (["1.0", " 1", "1_000", "0x1F", "１"], column("integer"), ["misfit"] * 5),
        (["NaN", "inf", "1e400"], column("number"), ["misfit"] * 3),
        (["1.005", "1.50000", "12345678901.00"], column("number", precision=12, scale=2), ["misfit", Decimal("1.50"), "misfit"]),
        (["2020/1/5", "20200105", "2020105", "2023/02/30"], column("date", formats=("%Y/%m/%d", "%Y%m%d")), [date(2020, 1, 5)] * 2 + ["misfit"] * 2),
        (["20200105083000", "2020-01-05"], column("timestamp", formats=("%Y%m%d%H%M%S",)), [local(2020, 1, 5, 8, 30), "misfit"]),
        (["08.30", "24.00"], column("time", formats=("%H.%M",)), [time(8, 30), "misfit"]),
        (["202001"], column("date", formats=("%Y%m",)), ["misfit"]),
        (["20200105080000"], column("timestamp", timezone=True, formats=("%Y%m%d%H%M%S",)), ["misfit"]),
        (["2020-01-01T24:00", "2020-01-01T08", "2020-01-01T08:00:60", "2020-W01-1"], column("timestamp"), ["misfit"] * 4),
        (pa.array([1.0, 2.5, float("nan")]), column("integer"), [1, "misfit", "misfit"]),
        (pa.array([1.5, float("nan"), float("inf")]), column("number"), [1.5, "misfit", "misfit"]),
        (pa.array([0, 1, 2]), column("boolean"), [False, True, "misfit"]),
        (pa.array([True]), column("string"), ["true"]),
        (pa.array([True]), column("integer"), ["misfit"]),
        (pa.array([2**63], pa.uint64()), column("integer"), ["misfit"]),
        (pa.array([b"a", b"\xff"]), column("string"), ["a", "misfit"]),
        (pa.array([[1], None]), column("string"), ["misfit", None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), column("string"), ["a", None, "a"]),
        (pa.array(["1"], pa.large_string()), column("integer"), [1]),
        (pa.array(["1"], pa.string_view()), column("integer"), [1]),
        (pa.nulls(2), column("date"), [None, None]),
        (pa.array([local(2020, 1, 1)]), column("timestamp", timezone=True), ["misfit"]),
        (pa.array([datetime(2020, 1, 1, tzinfo=UTC)]), column("timestamp"), [local(2020, 1, 1)]),
        (pa.array([datetime(2020, 1, 1, tzinfo=UTC)]), column("date"), ["misfit"]),
        (pa.array([1], pa.timestamp("ns")), column("timestamp"), ["misfit"]),
        (pa.array([date(2020, 1, 1)]), column("timestamp"), [local(2020, 1, 1)]),
        (pa.array([-719_163, 2_932_897, 0], pa.int32()).cast(pa.date32()), column("date"), ["misfit", "misfit", date(1970, 1, 1)]),
        (pa.array([time(8, 30)]), column("timestamp"), ["misfit"]),
        (pa.array([1], pa.duration("s")), column("date"), ["misfit"]),
        (pa.array([Decimal("1.50"), Decimal("1.55")]), column("number", precision=3, scale=1), [Decimal("1.5"), "misfit"]),
        (pa.array([Decimal("2.00"), Decimal("2.50")]), column("integer"), [2, "misfit"]),
    ],
)  # fmt: skip
def test_values_fit_or_do_not(values, kind, expected):
    assert typed(values, kind) == expected


def test_a_slice_is_typed_like_the_whole():
    values = pa.array(["9", None, "x", "2020-02-30", "2020-02-29", ""])
    for kind in (column("date"), column("integer"), column("string")):
        whole = typed(values, kind)
        assert typed(values.slice(2, 3), kind) == whole[2:5]


def test_a_batch_comes_in_contract_order_with_every_column():
    made = contract(
        column("integer", name="n"),
        column("string", name="gone", required=True),
        column("date", name="d"),
        null_tokens=("NULL", "9"),
    )
    raw = pa.record_batch({"d": ["2020-01-01", "NULL", "x"], "n": ["1", "9", "2"]})
    out, misfits = cast_batch(raw, made)
    assert out.schema.names == arrow_schema(made).names
    assert out.schema.types == arrow_schema(made).types
    assert out.to_pydict() == {"n": [1, None, 2], "gone": [None] * 3, "d": [date(2020, 1, 1), None, None]}
    assert {name: mask.to_pylist() for name, mask in misfits.items()} == {
        "n": [False] * 3,
        "gone": [False] * 3,
        "d": [False, False, True],
    }


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "date", "timestamp", "time"])
def test_an_empty_batch_stays_empty(kind):
    assert typed([], column(kind)) == []


def test_an_unknown_pattern_part_is_named():
    with pytest.raises(WrongUse, match="'%q'"):
        parse_texts(pa.array(["x"]), column("date", formats=("%q",)))


def test_a_text_that_holds_a_nul_is_no_text():
    """PostgreSQL takes none: one such row would hold up all that go with it."""
    values = pa.array(["plain", "nul\0within", "", None, "\0"]).slice(0)
    typed, misfit = cast_column(values, Column(name="a", source_name="a", type="string"), ())
    assert typed.to_pylist() == ["plain", None, "", None, None]
    assert misfit.to_pylist() == [False, True, False, False, True]
    assert cast_column(values.slice(2, 2), Column(name="a", source_name="a", type="string"), ())[1].true_count == 0
