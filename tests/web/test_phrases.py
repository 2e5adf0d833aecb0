"""Every reason that crossdock gives is there in Chinese, found in the code that gives it; what others wrote stays."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest

from crossdock import reviews
from crossdock.contracts import limits, rules
from crossdock.delivery import decide, protect
from crossdock.validation import verdict
from crossdock.web.language import Words
from crossdock.web.phrases import in_chinese

GIVEN = {  # the code, and the functions in it that give reasons; none: all of it
    decide: (), reviews: ("decided",), protect: ("unsuitable",), rules: ("sentence", "_span"),
    verdict: ("assess",),
}  # fmt: skip


def spelled(node):
    """Returns a text of the code with something in its holes, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "x1" for part in node.values)
    return None


def sentences(module, functions):
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    defined = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    for function in (each for each in defined if not functions or each.name in functions):
        for node in itertools.chain.from_iterable(map(ast.walk, function.body)):
            text = spelled(node)
            documented = text == ast.get_docstring(function, clean=False)
            if text and text.endswith(".") and text[0].isupper() and " " in text and not documented:
                yield text


@pytest.mark.parametrize("module", GIVEN, ids=lambda module: module.__name__)
def test_no_reason_is_without_its_chinese(module):
    found = set(sentences(module, GIVEN[module]))
    assert found
    assert [text for text in sorted(found) if in_chinese(text) == text] == []


def test_bounds_are_said_in_chinese():
    for low, high, strict_low, strict_high in itertools.product((None, 1), (None, 9.5), (True, False), (True, False)):
        if low is not None or high is not None:
            bounds = limits.Limits(low=low, high=high, strict_low=strict_low, strict_high=strict_high)
            said = in_chinese(bounds.sentence("The number of its items"))
            assert said.startswith("项数应")
            assert ("9.5" in said) == (high is not None)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("It is missing.", "缺失。"),
        ("It is no valid date.", "不是有效的 date。"),
        ("It does not match the pattern ^a.b{2}$.", "不符合格式 ^a.b{2}$。"),
        ("Its length is not at least 2 and at most 40.", "长度应不少于 2 且不超过 40。"),
        ("The agreement is not approved: its status is 'draft'.", "协议未获批准：其状态为“draft”。"),
        ("The source lacks a column 'a', which the contract promises.", "数据源缺少数据合同承诺的字段“a”。"),
        ("The source lacks 7 more columns, which the contract promises.", "数据源还缺少数据合同承诺的 7 个字段。"),
        ("The extract is rejected: more than 5 rows fail.", "整体拒收：超过 5 行不合格。"),
        ("The extract is rejected: more than 5 % of the rows break a.b.", "整体拒收：超过 5 % 的行违反 a.b。"),
        ("The request was rejected: No basis.\nAsk again.", "申请被驳回：No basis.\nAsk again."),
        ("Entries made to try the register are nobody.", "Entries made to try the register are nobody."),
        ("A card that is after the person was registered is wrong.", "A card that is after the person was registered is wrong."),
        ("{0.__class__}", "{0.__class__}"),
        ("It fails {0.__class__}.", "未通过 {0.__class__}。"),
    ],
)  # fmt: skip
def test_a_sentence_is_said_in_chinese_or_as_it_was_written(english, chinese):
    assert in_chinese(english) == chinese


@pytest.mark.parametrize(("language", "said"), [("zh", "缺失。"), ("en", "It is missing.")])
def test_it_is_said_to_the_reader(language, said):
    words = Words(language=language, root="", path="", query={})
    assert words.sentence("It is missing.") == said
    assert words.state("conditional") == ("有条件共享" if language == "zh" else "conditional")
    assert words.state("0 3 * * *") == "0 3 * * *"
