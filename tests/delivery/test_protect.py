"""Protections: what is left of a value, that nulls stay nulls, and that nothing else gets through."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.contracts.agreement import Protection
from crossdock.contracts.model import Column
from crossdock.delivery.protect import protect, protected_type, unsuitable
from delivery.samples import CONTRACT, KEYS, SCHEMA

KEY = KEYS.of_consumer("tax")


def apply(values, protection, *, key=KEY):
    result = protect(values, protection, key=key)
    assert result.type == protected_type(values.type, protection)
    assert len(result) == len(values)
    return result.to_pylist()


@pytest.mark.parametrize(
    ("first", "last", "value", "masked"),
    [
        (3, 4, "13812345678", "138****5678"),
        (3, 4, "1381234", "*******"),
        (3, 4, "12", "**"),
        (1, 0, "张三丰", "张**"),
        (0, 1, "张三丰", "**丰"),
        (0, 0, "张三", "**"),
        (3, 4, "", ""),
        (3, 4, None, None),
    ],
)
def test_mask(first, last, value, masked):
    assert apply(pa.array([value], pa.string()), Protection(kind="mask", keep_first=first, keep_last=last)) == [masked]


@given(st.text(), st.integers(0, 5), st.integers(0, 5))
def test_a_mask_shows_no_more_than_it_keeps(value, first, last):
    (masked,) = apply(pa.array([value]), Protection(kind="mask", keep_first=first, keep_last=last))
    assert len(masked) == len(value)
    expected = value[:first] + "*" * (len(value) - first - last) + value[len(value) - last :]
    assert masked == (expected if len(value) > first + last else "*" * len(value))


@pytest.mark.parametrize("values", [["a", "b", None, "a"], [1, 2, None, 1]])
def test_pseudonyms(values):
    hidden = apply(pa.array(values), Protection(kind="pseudonymise"))
    assert hidden[0] == hidden[3] != hidden[1]
    assert hidden[2] is None
    assert all(len(h) == 32 for h in hidden if h)
    assert apply(pa.array(values).slice(1), Protection(kind="pseudonymise")) == hidden[1:]
    other = apply(pa.array(values), Protection(kind="pseudonymise"), key=KEYS.of_consumer("health"))
    assert not set(hidden) & set(other) - {None}


@pytest.mark.parametrize(
    ("values", "to", "expected"),
    [
        (pa.array([date(1990, 5, 7), None]), "year", ["1990", None]),
        (pa.array([date(1990, 5, 7), None]), "month", ["1990-05", None]),
        (pa.array([datetime(1990, 5, 7, 8, tzinfo=UTC)], pa.timestamp("us", tz="UTC")), "month", ["1990-05"]),
        (pa.array(["520103", "5", None]), "prefix:2", ["52", "5", None]),
        (pa.array([0, 9, 10, -1, -10, None]), "10", ["[0, 10)", "[0, 10)", "[10, 20)", "[-10, 0)", "[-10, 0)", None]),
        (pa.array([Decimal("12.50"), None], pa.decimal128(12, 2)), "5000", ["[0, 5000)", None]),
        (pa.array([1.74, -0.01, float("nan"), float("inf")]), "0.1", ["[1.7, 1.8)", "[-0.1, 0.0)", None, None]),
        (pa.array([0.0, -0.0, -10.0]), "10", ["[0, 10)", "[0, 10)", "[-10, 0)"]),
        (pa.array([date(1, 1, 1), date(1969, 12, 31)]), "month", ["0001-01", "1969-12"]),
        (pa.array([datetime.fromisoformat("1969-12-31T23:59:59.999999")], pa.timestamp("us")), "year", ["1969"]),
    ],
)
def test_generalise(values, to, expected):
    assert apply(values, Protection(kind="generalise", to=to)) == expected


def test_of_a_sensitive_text_a_prefix_never_leaves_all():
    prefix = Protection(kind="generalise", to="prefix:2", strict=True)
    assert apply(pa.array(["520103", "52", "5", "", None]), prefix) == ["52", None, None, None, None]


@pytest.mark.parametrize("value", ["e\u0301", "👨\u200d👩\u200d👧", "\u202eabc", "𠮷野", "\0"])
def test_masks_count_characters_and_leave_no_more_of_them(value):
    (masked,) = apply(pa.array([value]), Protection(kind="mask", keep_first=1))
    assert masked == value[0] + "*" * (len(value) - 1) if len(value) > 1 else masked == "*"


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 10**9))
def test_a_number_is_within_its_band(value, width):
    (text,) = apply(pa.array([value]), Protection(kind="generalise", to=str(width)))
    low, high = (int(part) for part in text[1:-1].split(", "))
    assert low <= value < high == low + width
    assert low % width == 0


@pytest.mark.parametrize("name", SCHEMA.names)
def test_drop_and_clear(name):
    values = pa.array([None, None], SCHEMA.field(name).type)
    assert apply(values, Protection(kind="drop")) == [None, None]
    assert protect(values, None, key=KEY) is values


@pytest.mark.parametrize(
    ("column", "protection", "words"),
    [
        ("income", Protection(kind="mask"), "only text can be masked"),
        ("phone", Protection(kind="mask", keep_first=-1), "fewer than 0"),
        ("birth_date", Protection(kind="generalise", to="decade"), "decade"),
        ("children", Protection(kind="generalise", to="0"), "cannot be generalised"),
        ("children", Protection(kind="generalise", to="0.5"), "cannot be generalised"),
        ("children", Protection(kind="generalise", to="1"), "cannot be generalised"),  # it would tell each
        ("income", Protection(kind="generalise", to="0.01"), "cannot be generalised"),
        ("children", Protection(kind="generalise", to="year"), "cannot be generalised"),
        ("region_code", Protection(kind="generalise", to="prefix:0"), "cannot be generalised"),
        ("region_code", Protection(kind="generalise", to=""), "cannot be generalised"),
        ("alive", Protection(kind="generalise", to="1"), "cannot be generalised"),
        ("alive", Protection(kind="dummy"), "no dummy"),
        ("opens", Protection(kind="dummy"), "no dummy"),
    ],
)
def test_unsuitable_protections_say_why(column, protection, words):
    assert words in unsuitable(CONTRACT.column(column), protection)


@pytest.mark.parametrize("column", SCHEMA.names)
def test_pseudonymise_and_drop_suit_every_column(column):
    for kind in ("pseudonymise", "drop"):
        assert unsuitable(CONTRACT.column(column), Protection(kind=kind)) is None


@pytest.mark.parametrize("kind", ["mask", "generalise", "dummy"])
def test_objects_are_dropped_or_pseudonymised_as_a_whole(kind):
    column = Column(name="address", source_name="address", type="object")
    assert "only be dropped, or pseudonymised as a whole" in unsuitable(column, Protection(kind=kind, to="year"))
    assert unsuitable(column, Protection(kind="pseudonymise")) is None
    kind = pa.struct([("a", pa.string()), ("b", pa.int64())])
    values = pa.array([{"a": "x", "b": 1}, {"b": 1, "a": "x"}, {"a": "x", "b": None}, None], kind)
    made = protect(values, Protection(kind="pseudonymise"), key=KEY).to_pylist()
    assert made[0] == made[1] != made[2]
    assert made[3] is None
    assert protect(values, Protection(kind="drop"), key=KEY).type == kind


def test_whole_decimals_have_whole_bands():
    whole = replace(CONTRACT.column("income"), scale=0)
    assert unsuitable(whole, Protection(kind="generalise", to="0.5"))
    assert unsuitable(whole, Protection(kind="generalise", to="5")) is None
