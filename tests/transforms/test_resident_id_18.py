from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric

from authored import transformed

old = st.from_regex(r"[1-8][0-9]{5}[0-9]{6}[0-9]{3}", fullmatch=True)


@given(st.lists(old))
def test_fifteen_digits_get_the_century_and_a_right_check_digit(values):
    for before, after in zip(values, transformed("resident_id_18", values), strict=True):
        century = "18" if before[12:] in ("996", "997", "998", "999") else "19"
        assert after[:17] == before[:6] + century + before[6:]
        assert after[17] == ric.calc_check_digit(after)


def test_a_final_x_is_written_large():
    assert transformed("resident_id_18", ["11010519491231002x"]) == ["11010519491231002X"]


@given(st.lists(st.none() | st.text().filter(lambda t: len(t) not in (15, 18))))
def test_what_is_no_old_number_stays(values):
    assert transformed("resident_id_18", values) == values


def test_full_width_digits_and_wrong_lengths_are_left_for_the_contract_to_judge():
    values = ["１１０１０５４９１２３１００２", "11010549123100", "11010549123100A", ""]
    assert transformed("resident_id_18", values) == values
