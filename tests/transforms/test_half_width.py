import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from authored import transformed

texts = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("０Ａｚ～！　，（")))


@given(texts)
def test_full_width_forms_become_what_unicode_says_they_stand_for(values):
    def narrow(text):
        return "".join(unicodedata.normalize("NFKC", c) if "！" <= c <= "～" or c == "　" else c for c in text)

    assert transformed("half_width", values) == [None if v is None else narrow(v) for v in values]


@given(texts)
def test_a_second_time_changes_nothing(values):
    once = transformed("half_width", values)
    assert transformed("half_width", once) == once
