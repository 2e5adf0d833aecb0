from decimal import Decimal
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne

import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_data_contract_standard.model import DataQuality

from crossdock.contracts.limits import Limits, limits_of
from crossdock.errors import WrongUse

ORDER = {
    "mustBe": eq,
    "mustNotBe": ne,
    "mustBeGreaterThan": gt,
    "mustBeGreaterOrEqualTo": ge,
    "mustBeLessThan": lt,
    "mustBeLessOrEqualTo": le,
}
ends = st.integers(0, 6) | st.sampled_from([0.5, 2.5, 5.5])
stated = st.dictionaries(st.sampled_from(sorted(ORDER)), ends, max_size=3)
ranges = st.dictionaries(
    st.sampled_from(["mustBeBetween", "mustNotBeBetween"]), st.tuples(ends, ends).map(sorted), max_size=2
)


def keeps(operators, number):
    """What the operators say, one by one."""
    simple = all(ORDER[name](number, end) for name, end in operators.items() if name in ORDER)
    within = operators.get("mustBeBetween", [-9, 10**9])
    without = operators.get("mustNotBeBetween", [10**9, 10**9])
    return simple and within[0] <= number <= within[1] and not without[0] <= number <= without[1]


@given(stated, ranges, st.sampled_from(["count", "share", "number"]))
def test_limits_hold_for_the_numbers_that_every_operator_holds_for(single, double, of):
    operators = single | double
    counted = range(9) if of == "count" else [Fraction(n, 4) for n in range(-4 if of == "number" else 0, 37)]
    try:
        limits = limits_of(DataQuality(**operators), of)
    except WrongUse:
        whole = any(operators.get(name, 0) % 1 for name in ("mustBe", "mustNotBe"))
        assert whole or not any(keeps(operators, number) for number in counted)
        return
    assert (limits is None) == (not operators)
    if limits:
        assert [n for n in counted if limits.hold(n)] == [n for n in counted if keeps(operators, n)]
        assert Limits.of(limits.args()) == limits


@pytest.mark.parametrize("value", [0.1, Decimal("0.1"), Decimal("0.100")])
def test_a_tenth_is_a_tenth_however_it_is_written(value):
    assert Limits(low=0.1, high=0.1).hold(value)
    assert not Limits(low=0.1, strict_low=True).hold(value)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), Decimal("NaN")])
def test_what_is_no_number_is_within_no_limits(value):
    assert not Limits().hold(value)


def test_a_share_is_exact():
    third = Limits(high=33.333333333333336, percent=True)
    assert third.hold_of(1, 3)
    assert not Limits(high=33.3333333333333, percent=True).hold_of(1, 3)
    assert Limits(high=0, percent=True).hold_of(0, 0)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(low=1), "It is not at least 1."),
        (Limits(low=1, high=5, strict_high=True), "It is not at least 1 and less than 5."),
        (Limits(low=3, high=3), "It is not 3."),
        (Limits(gaps=((3, 3),)), "It is 3."),
        (Limits(high=9, gaps=((3, 5),), percent=True), "It is not at most 9 percent, or is from 3 to 5 percent."),
    ],
)
def test_people_read_what_is_wrong(limits, said):
    assert limits.sentence("It") == said
