from hypothesis import given
from hypothesis import strategies as st

from authored import transformed

mobile = st.from_regex(r"1[0-9]{10}", fullmatch=True)


@given(mobile, st.sampled_from(["", "+86", "0086", "86", "+86 ", "(+86)", "86-"]), st.sampled_from(["", " ", "-"]))
def test_every_way_to_write_a_mobile_number_becomes_one(number, prefix, mark):
    written = prefix + mark.join((number[:3], number[3:7], number[7:]))
    assert transformed("phone", [written, None]) == [number, None]


def test_what_is_no_mobile_number_stays_as_written():
    values = ["0851-8512 3456", "+1 212 555 0100", "12345", "", "无", "8613812345678901"]
    assert transformed("phone", values) == values
