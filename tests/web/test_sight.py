"""Who sees what, and in which language."""

import pytest

from crossdock.errors import WrongUse
from crossdock.web.language import Words, preferred
from crossdock.web.sight import Sight, departments_of


def test_without_a_department_everything_is_seen():
    assert Sight().of("tax", "health")
    assert Sight().party("tax") == "tax"
    assert Sight().party("") is None


def test_a_department_sees_what_it_is_a_party_to():
    tax = Sight(department="tax")
    assert tax.of("health", "tax")
    assert not tax.of("health", "public")
    assert tax.party("health") == tax.party("") == "tax"


def test_users_of_departments():
    assert departments_of("") == {}
    assert departments_of(" li:tax, oidc:wang@example.org : health ,") == {
        "li": "tax",
        "oidc:wang@example.org": "health",
    }


@pytest.mark.parametrize("setting", ["li", "li:", ":tax", "li=tax"])
def test_a_setting_that_can_not_be_read_lets_nobody_see_more(setting):
    with pytest.raises(WrongUse, match="user:department"):
        departments_of(setting)


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [("en", "zh", "en"), ("zh", None, "zh"), (None, None, "zh"), ("fr", "fr", "zh"), (None, "en;q=0.9,zh", "en"), ("", "zh-TW,en", "zh")],
)  # fmt: skip
def test_the_language_asked_for_comes_first(asked, accepted, language):
    assert preferred(asked, accepted) == language


def test_links_stay_in_the_language_and_are_quoted():
    words = Words(language="en", root="/a/crossdock", path="datasets/d/s", query={"from": "2026-01", "lang": "en"})
    assert words.link("verdicts/<b>", department=None) == "/a/crossdock/verdicts/%3Cb%3E?lang=en"
    assert words.here(lang="zh") == "/a/crossdock/datasets/d/s?from=2026-01&lang=zh"
    assert words.say("", "only English") == "only English"
    assert words.state("recalled") == "recalled"
