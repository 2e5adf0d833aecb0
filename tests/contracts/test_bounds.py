from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.contracts.bounds import bind_range, bind_value
from crossdock.errors import WrongUse
from extracts import column

WHOLE = column("n", "integer")
MONEY = column("m", "number", precision=6, scale=2)
bounds = st.none() | st.integers(-(10**5), 10**5) | st.decimals(-(10**4), 10**4, places=4) | st.floats(-99, 99)


def within(value, found):
    if found.empty:
        return False
    low = found.low is None or (value > found.low if found.strict_low else value >= found.low)
    return low and (found.high is None or (value < found.high if found.strict_high else value <= found.high))


@given(low=bounds, high=bounds, strict=st.tuples(st.booleans(), st.booleans()), units=st.integers(-999999, 999999))
@pytest.mark.parametrize("of", [WHOLE, MONEY])
def test_a_range_holds_exactly_the_values_that_its_bounds_allow(of, low, high, strict, units):
    if low is None and high is None:
        return
    value = units if of is WHOLE else Decimal(units).scaleb(-2)
    found = bind_range({"min": low, "max": high, "strict_min": strict[0], "strict_max": strict[1]}, of, where="r")
    exact = [None if b is None else Fraction(Decimal(repr(b)) if isinstance(b, float) else b) for b in (low, high)]
    above = exact[0] is None or (value > exact[0] if strict[0] else value >= exact[0])
    below = exact[1] is None or (value < exact[1] if strict[1] else value <= exact[1])
    assert within(value, found) == (above and below)


def test_bounds_that_the_type_cannot_hold_are_moved_or_empty():
    assert bind_range({"min": 0.5}, WHOLE, where="").low == 1
    assert bind_range({"max": -0.5}, WHOLE, where="").high == -1
    assert bind_range({"min": 2**63}, WHOLE, where="").empty
    assert bind_range({"min": -(2**70), "max": 2**70}, WHOLE, where="") == bind_range({"min": -(2**63), "max": 2**63 - 1}, WHOLE, where="").__class__(low=None, high=None)  # fmt: skip
    assert bind_range({"min": "0.005"}, MONEY, where="").low == Decimal("0.01")
    assert bind_range({"max": Decimal("1e30")}, MONEY, where="").high is None
    wide = column("w", "number", precision=38, scale=2)
    assert bind_range({"min": "123456789012345678901234567890123456.78"}, wide, where="").low == Decimal(
        "123456789012345678901234567890123456.78"
    )


def test_days_hold_bounds_with_a_time_of_day():
    day = column("d", "date")
    assert bind_range({"min": "2026-01-01T12:00"}, day, where="").low == date(2026, 1, 2)
    assert bind_range({"max": "2026-01-01T12:00"}, day, where="").high == date(2026, 1, 1)
    found = bind_range(
        {"min": date(2026, 1, 1), "max": "2026-01-05", "strict_min": True, "strict_max": True}, day, where=""
    )
    assert (found.low, found.high) == (date(2026, 1, 2), date(2026, 1, 4))


@pytest.mark.parametrize(
    ("value", "of", "expected"),
    [
        (1, column("s"), "1"),
        (True, column("s"), "true"),
        ("7", WHOLE, 7),
        (7.0, WHOLE, 7),
        (0.1, MONEY, Decimal("0.10")),
        ("true", column("b", "boolean"), True),
        (0, column("b", "boolean"), False),
        ("2026-01-31", column("d", "date"), date(2026, 1, 31)),
        ("2026-01-31", column("t", "timestamp"), datetime(2026, 1, 31)),  # noqa: DTZ001
        ("2026-01-31T08:00:00+08:00", column("t", "timestamp", timezone=True), datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T00:00:00", column("t", "timestamp", timezone=True), datetime(2026, 1, 31, tzinfo=UTC)),
        ("08:30", column("c", "time"), time(8, 30)),
    ],
)
def test_values_are_bound_in_the_columns_type(value, of, expected):
    bound = bind_value(value, of, where="r")
    assert (bound, type(bound)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "of"),
    [
        ("1.5", WHOLE),
        (True, WHOLE),
        (2**63, WHOLE),
        ("NaN", MONEY),
        ("0.005", MONEY),
        ("12345.00", MONEY),
        ("inf", column("f", "number")),
        ("yes", column("b", "boolean")),
        ("2026-02-30", column("d", "date")),
        ("2026-01-31T08:00:00+08:00", column("t", "timestamp")),
        (None, column("s")),
        (["x"], column("s")),
        ("1e999999999", WHOLE),
        ("1e-999999999", MONEY),
    ],
)
def test_what_the_type_cannot_hold_is_refused(value, of):
    with pytest.raises(WrongUse, match="no value of column"):
        bind_value(value, of, where="r")


@pytest.mark.parametrize("of", [WHOLE, MONEY, column("f", "number")])
def test_a_bound_of_a_billion_digits_is_refused_at_once(of):
    with pytest.raises(WrongUse, match="no value of column"):
        bind_range({"min": "1e999999999"}, of, where="r")
