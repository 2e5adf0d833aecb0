from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from crossdock.demo.text import (
    credit_codes,
    digits,
    iso_days,
    mobiles,
    prefixed,
    resident_ids,
    sometimes,
    strings,
    widened,
)

EPOCH = date(1970, 1, 1)
days = st.integers((date(1900, 1, 1) - EPOCH).days, (date(2090, 1, 1) - EPOCH).days)


@given(st.lists(st.tuples(st.integers(100_000, 999_999), days, st.integers(1, 999)), min_size=1))
def test_resident_ids_hold_their_parts_and_a_right_check_digit(people):
    region, birth, sequence = (np.array(part, np.int64) for part in zip(*people, strict=True))
    for text, (r, b, s) in zip(strings(resident_ids(region, birth, sequence)).to_pylist(), people, strict=True):
        assert text[:17] == f"{r}{EPOCH + timedelta(b):%Y%m%d}{s:03}"
        assert text[17] == ric.calc_check_digit(text)


@given(st.lists(st.tuples(st.integers(100_000, 999_999), st.integers(0, 99_999_999)), min_size=1))
def test_credit_codes_have_right_check_characters(firms):
    region, organisation = (np.array(part, np.int64) for part in zip(*firms, strict=True))
    for text, (r, o) in zip(strings(credit_codes(region, organisation)).to_pylist(), firms, strict=True):
        assert text[:16] == f"91{r}{o:08}"
        assert uscc.validate(text) == text


@given(st.lists(days))
def test_days_are_written_as_python_writes_them(values):
    assert iso_days(np.array(values, np.int64)).to_pylist() == [(EPOCH + timedelta(d)).isoformat() for d in values]


def test_digits_keep_leading_zeros_and_prefixes_come_before_them():
    assert strings(prefixed("H", digits(np.array([0, 42, 999]), 3))).to_pylist() == ["H000", "H042", "H999"]


def test_no_mobile_number_is_a_placeholder():
    drawn = strings(mobiles(np.random.default_rng(0), 10_000)).to_pylist()
    assert all(len(n) == 11 and n[0] == "1" and n[1] in "3456789" and n[-1] not in "08" for n in drawn)


def test_widened_text_is_what_input_methods_write():
    assert widened(pa.array(["中华路18号B", ""])).to_pylist() == ["中华路１８号Ｂ", ""]


def test_a_share_of_the_values_is_left_out():
    left = sometimes(pa.array(["x"] * 10_000), np.random.default_rng(0), 0.25)
    assert 2_300 < left.null_count < 2_700
