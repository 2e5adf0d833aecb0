"""Reasons in the terminal are in the language that its locale asks for."""

import pytest

from crossdock.display import quality, terminal
from crossdock.storage.records import Finding

LOCALES = [
    ({"LANG": "zh_CN.UTF-8"}, True), ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW"}, True), ({}, False), ({"LANG": "C.UTF-8"}, False),
    ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "C"}, False), ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, True),
]  # fmt: skip


@pytest.mark.parametrize(("locale", "chinese"), LOCALES)
def test_reasons_are_in_the_language_of_the_locale(monkeypatch, capsys, locale, chinese):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in locale.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(terminal.out, "file", None)
    drift = "The number of rows is more than 10 % away from the median of the last extracts."
    found = [Finding(rule=f"r{place}", column="", reason=each, rows=1, severity="error") for place, each in enumerate((drift, "[bold]ours"))]  # fmt: skip
    quality.findings(found)
    printed = capsys.readouterr().out
    assert ("行数偏离" in printed) == chinese
    assert ("median" in printed) != chinese
    assert "[bold]ours" in printed
