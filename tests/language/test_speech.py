"""One place decides which language is spoken: what is asked for, else the locale's."""

from __future__ import annotations

import pytest

from crossdock.language.speech import CHINESE, ENGLISH, in_both, speech_of


@pytest.mark.parametrize(
    ("asked", "locale", "speech"),
    [
        ("en", {"LANG": "zh_CN.UTF-8"}, ENGLISH), ("zh", {}, CHINESE), (None, {"LANG": "zh_CN.UTF-8"}, CHINESE),
        (None, {"LC_ALL": "zh_CN", "LANG": "en_US"}, CHINESE), (None, {"LC_ALL": "C", "LANG": "zh_CN"}, ENGLISH), (None, {}, ENGLISH),
    ],
)  # fmt: skip
def test_what_is_asked_for_comes_before_the_locale(asked, locale, speech):
    assert speech_of(asked, locale) == speech


def test_who_may_read_either_gets_both_and_an_authors_words_once():
    assert in_both("It is missing.") == "缺失。 It is missing."
    assert in_both("Only of this town.") == "Only of this town."
