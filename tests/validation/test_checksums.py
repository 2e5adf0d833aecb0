import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from crossdock.validation.checksums import SCHEMES, broken_check_digits

DIGITS, LETTERS = "0123456789", "0123456789ABCDEFGHJKLMNPQRTUWXY"
SEVENTEEN = {
    "gb11643": (st.text(DIGITS, min_size=17, max_size=17), DIGITS + "X", lambda body: ric.calc_check_digit(body + "0")),
    "gb32100": (st.text(LETTERS, min_size=17, max_size=17), LETTERS, uscc.calc_check_digit),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
def test_exactly_one_check_digit_is_right_and_it_is_the_one_that_stdnum_computes(scheme, data):
    bodies, checks, right = SEVENTEEN[scheme]
    body = data.draw(bodies)
    codes = [body + check for check in checks]
    broken = broken_check_digits(pa.array(codes), SCHEMES[scheme])
    assert [code for code, wrong in zip(codes, broken, strict=True) if not wrong] == [body + right(body)]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(values=st.lists(st.none() | st.text(max_size=20) | st.text(LETTERS + "xIO", min_size=17, max_size=19)))
def test_what_is_no_code_is_broken_and_null_is_not(scheme, values):
    _, checks, right = SEVENTEEN[scheme]
    alphabet = DIGITS if scheme == "gb11643" else LETTERS
    expected = [
        v is not None
        and not (len(v) == 18 and set(v[:17]) <= set(alphabet) and v[17] in checks and right(v[:17]) == v[17])
        for v in values
    ]
    for padded in (values, [None, "pad", *values, "pad"]):  # with gaps in the buffer, and as a slice of it
        codes = pa.array(padded, pa.string())
        codes = codes if padded is values else codes.slice(2, len(values))
        assert broken_check_digits(codes, SCHEMES[scheme]).tolist() == expected


def test_large_strings_work_and_case_counts():
    good = "11010519491231002X"
    codes = pa.array([good, good.lower(), None, ""], pa.large_string())
    assert broken_check_digits(codes, SCHEMES["gb11643"]).tolist() == [False, True, False, True]
    assert broken_check_digits(pa.array(["91350100M000100Y43"]), SCHEMES["gb32100"]).tolist() == [False]
