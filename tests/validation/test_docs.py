"""The page of a verdict: complete, without row values, without the network, and deaf to hostile contracts."""

import re

from crossdock.validation.docs import render
from extracts import column, contract, judged, rule

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_a_page_shows_rules_and_counts_and_nothing_else(tmp_path):
    promised = contract(
        [column("name"), column("amount", "integer")],
        [
            rule("name.pattern", "pattern", "name", regex="^[a-z]+$"),
            rule("name.in", "in_set", "name", values=("a", HOSTILE)),
            rule("amount.between", "between", "amount", min=0, max=5),
            rule("row_count", "row_count", min=1),
        ],
    )
    judgement = judged(tmp_path / "s", promised, {"name": ["a", "SECRET-77", None], "amount": ["1", "99", "x"]})
    page = render(judgement.result)
    assert "amount" in page
    assert "SECRET-77" not in page
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "^[a-z]+$" in page
    assert re.findall(r"(?:src|href)=\"https?://(?!greatexpectations\.io)[^\"]*\"", page) == []
