"""Dummies: the form stays, the value goes, what was alike stays alike."""

from __future__ import annotations

from datetime import UTC, date, datetime
from math import isinf

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.delivery.dummies import dummy
from delivery.samples import KEYS

KEY = KEYS.of_consumer("tax")


def form(text):
    """The text with every digit, letter and Chinese character named by its kind."""
    kinds = [("0", "09"), ("A", "AZ"), ("a", "az"), ("０", "０９"), ("文", "㐀鿿")]
    return "".join(next((kind for kind, (low, high) in kinds if low <= c <= high), c) for c in text)


@pytest.mark.parametrize(
    "text", ["13812345678", "zhang.San@example.cn", "520103199001011X", "贵阳市云岩区 8号（后门），３栋", "", "-- ：、"]
)
def test_a_text_keeps_its_form_and_its_signs(text):
    values = pa.array([text] * 300)
    made = dummy(values, KEY).to_pylist()
    assert set(map(form, made)) == {form(text)}
    assert len(set(made)) == 1
    if form(text) != text:
        assert made[0] != text


def test_letters_of_other_scripts_do_not_get_through():
    (made,) = dummy(pa.array(["Ünï Ωmega Жук 𠀀"]), KEY).to_pylist()
    assert not set("ÜïΩЖук𠀀") & set(made)
    assert made.count(" ") == 3


@given(st.lists(st.none() | st.text(max_size=12), max_size=8))
def test_any_text_has_a_dummy_of_its_length_wherever_it_stands(texts):
    made = dummy(pa.array(texts, pa.string()), KEY).to_pylist()
    assert [t and len(t) for t in made] == [t and len(t) for t in texts]
    assert made[1:] == dummy(pa.array(texts, pa.string()).slice(1), KEY).to_pylist()


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_keeps_its_sign_and_its_digits(value):
    (made,) = dummy(pa.array([value]), KEY).to_pylist()
    assert len(str(abs(made))) == min(18, len(str(abs(value))))
    assert (made < 0) == (value < 0) or abs(value) < 10


@given(st.decimals(-(10**9), 10**9, places=2, allow_nan=False))
def test_a_decimal_keeps_its_places(value):
    (made,) = dummy(pa.array([value], pa.decimal128(12, 2)), KEY).to_pylist()
    assert len(f"{made:f}") <= len(f"{value:.2f}")
    assert made.as_tuple().exponent == -2


@given(st.floats(allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-300))
def test_a_float_keeps_its_power_of_ten(value):
    (made,) = dummy(pa.array([value]), KEY).to_pylist()
    if value == 0:
        assert 1 <= abs(made) < 10
    else:
        assert value == made if isinf(value) else 0.09 < made / value < 11


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.int64(), pa.float64(), pa.decimal128(12, 2), pa.date32(), pa.timestamp("us", tz="UTC")]
)
def test_what_is_missing_stays_missing(kind):
    values = pa.array([None, None], kind)
    assert dummy(values, KEY).equals(values)
    assert dummy(values.slice(2), KEY).equals(values.slice(2))


def test_days_and_moments_become_others():
    days = dummy(pa.array([date(1990, 1, n % 28 + 1) for n in range(200)]), KEY)
    assert days.type == pa.date32()
    assert len(set(days.to_pylist())) == 28
    assert all(date(1950, 1, 1) <= day < date(2050, 1, 2) for day in days.to_pylist())
    for kind, zone in ((pa.timestamp("us"), None), (pa.timestamp("us", tz="UTC"), UTC)):
        moment = datetime(2026, 1, 1, 8, tzinfo=zone)
        made = dummy(pa.array([moment, None], kind), KEY)
        assert (made.type, made.null_count) == (kind, 1)
        assert made[0].as_py() != moment


@pytest.mark.parametrize("values", [["ab12", "cd34"], [1234567, 7654321], [date(1990, 1, 1), date(1991, 1, 1)]])
def test_each_consumer_has_dummies_of_its_own(values):
    mine, theirs = (dummy(pa.array(values), KEYS.of_consumer(name)).to_pylist() for name in ("tax", "health"))
    assert not set(mine) & set(theirs)
    assert not set(mine) & set(values)
