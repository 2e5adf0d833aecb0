import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.contracts.table import TECHNICAL
from crossdock.drafting.naming import propose_names, propose_word


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("tailnum", "tailnum"), ("depTime", "depTime"), ("Flight No.", "flight_no"), ("姓名", "name"),
        ("统一社会信用代码", "credit_code"), ("法定代表人姓名", "legal_representative_name"), ("企业ID", "enterprise_id"),
        ("出生日期", "birth_date"), ("某某", "column_1"), ("2024", "column_2024"), ("Größe", "gr_e"), ("%", "column_1"),
        ("_arrival", "arrival"),
    ],
)  # fmt: skip
def test_names_that_people_would_give(header, name):
    assert propose_names([header]) == [name]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8))
def test_names_are_safe_and_differ_whatever_their_case(headers):
    names = propose_names(headers)
    assert len({name.lower() for name in names}) == len(names) == len(headers)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,80}", name) for name in names)
    assert not TECHNICAL.intersection(names)


@pytest.mark.parametrize(
    ("text", "word"),
    [("Flights 2013", "flights_2013"), ("t_population", "t_population"), ("2013", "dataset_2013"), ("人口", "dataset")],
)
def test_a_dataset_is_called_like_its_file(text, word):
    assert propose_word(text) == word
