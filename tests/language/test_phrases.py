"""Every reason that crossdock gives is there in Chinese, found in the code that gives it; what others wrote stays."""

from __future__ import annotations

import ast
import itertools
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.contracts import options, rows, rules
from crossdock.contracts.drifting import GivenBounds, GivenDrift, drift_rules
from crossdock.contracts.limits import Limits
from crossdock.contracts.model import Column, Tolerance
from crossdock.contracts.rules import Rules
from crossdock.errors import RowFilterInvalid
from crossdock.language.phrases import in_chinese
from crossdock.validation.plan import plan
from crossdock.validation.verdict import Counted, assess
from crossdock.web.language import Words
from crossdock.web.routes import _SAID
from extracts import column, contract, rule

PACKAGE = Path(rules.__file__).parents[1]
# Functions that return or yield reasons (none named: all of the module), beside what is found by itself: it follows `reason=`.
GIVERS = {
    "delivery/decide.py": (),
    "reviews.py": ("moot",),
    "delivery/protect.py": ("unsuitable",),
    "contracts/rules.py": ("sentence", "_span"),
}
# Sentences with a part in the hole that is words too; what they come to is tested below.
PUT_TOGETHER = {
    "The source has x1 that the contract does not know: x1.",
    "The source has x1 that the contract does not know, and its columns are frozen.",
    "The source lacks x1, which the contract promises.",
}
ENGLISH = re.compile(r"[A-Za-z]{2,}")


def spelled(node):
    """Returns a text of the code with something in its holes, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "x1" for part in node.values)
    return None


def sentences(node):
    """Yields the texts below a node that are whole sentences."""
    parts = {id(each) for joined in ast.walk(node) if isinstance(joined, ast.JoinedStr) for each in joined.values}
    for each in ast.walk(node):
        text = spelled(each)
        if text and id(each) not in parts and re.fullmatch(r"[A-Z].* .*[.:]?( x1)?", text, re.DOTALL):
            yield text


def functions(tree):
    return [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]


def reasons_of(path):
    """Yields every sentence that a module gives as a reason, by keyword or from a function that returns reasons."""
    tree, name = ast.parse(path.read_text("utf-8")), str(path.relative_to(PACKAGE))
    for function in functions(tree):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        if name in GIVERS and function.name in (GIVERS[name] or (function.name,)):
            yield from itertools.chain.from_iterable(map(sentences, body))
        for call in (each for part in body for each in ast.walk(part) if isinstance(each, ast.Call)):
            for keyword in call.keywords:
                if keyword.arg == "reason":
                    yield from sentences(keyword.value)
                    yield from named(keyword.value, body)


def named(value, body):
    """Yields the sentences that a function has put into a variable which it gives as a reason."""
    if isinstance(value, ast.Name):
        for part in body:
            for each in ast.walk(part):
                if isinstance(each, ast.Assign) and any(
                    isinstance(t, ast.Name) and t.id == value.id for t in each.targets
                ):
                    yield from sentences(each.value)


MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("demo", "cli", "display", "language", "web", "storage")
]


def left(sentence):
    """Returns the English that is left of a sentence in Chinese, but for what is called the same in every language."""
    return ENGLISH.findall(re.sub(r"x1|UTC|GB|today\(\)|under", "", in_chinese(sentence)))


def test_no_reason_is_without_its_chinese():
    found = {text for path in MODULES for text in reasons_of(path)}
    assert len(found) > 45
    assert found >= PUT_TOGETHER
    assert {text: left(text) for text in found - PUT_TOGETHER if left(text)} == {}


def test_what_pages_refuse_is_said_in_chinese():
    found = set(_SAID.values())
    for path in sorted((PACKAGE / "web").glob("*.py")):
        for each in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "HTTPException":
                found.add(spelled(each.args[1]))
    assert len(found) >= 12
    assert [text for text in sorted(found) if in_chinese(text) == text] == []


@pytest.mark.parametrize("policy", ["discard", "freeze", "evolve"])
def test_what_is_said_of_an_extract_as_a_whole_is_said_in_chinese(policy):
    names = [f"x{number}" for number in range(30)]
    counted = {
        "rows": 100, "failing": 100, "broken": {"c": 100, "c.type": 0}, "waived": {}, "of_extract_waived": frozenset(),
        "unkept": frozenset(), "missing": names, "extra": names,
    }  # fmt: skip
    found = set()
    for tolerance in (Tolerance(), Tolerance(rows=5), Tolerance(percent=0.5), Tolerance(rows=5, percent=12)):
        bounded = rule("c", "not_null", "c", tolerance=tolerance)
        given_contract = contract([column("c")], (bounded,), tolerance=tolerance, new_columns=policy)
        found |= {each.reason for each in assess(given_contract, plan(given_contract), Counted(**counted)).findings}
        nothing = counted | {"missing": [], "extra": []}
        found |= {each.reason for each in assess(given_contract, plan(given_contract), Counted(**nothing)).findings}
    assert len(found) >= 20 + 20 + 1 + 3 + 3
    assert {text: left(re.sub(r"x\d+", "x1", text)) for text in found if left(re.sub(r"x\d+", "x1", text))} == {}


class Collected(Rules):
    """Rules without a document, which nothing is wrong with here."""

    def __init__(self, columns: list[Column]) -> None:
        super().__init__(None, {each.name: each for each in columns})


def test_drift_is_said_in_chinese():
    rules_ = Collected([column("x1", "integer"), column("x2")])
    rules_.add(rule("x2.in_set", "in_set", "x2", values=("a",)), ())
    bounds = GivenBounds(warning=0.5, error=12)
    drift_rules(rules_, (), GivenDrift(rows=bounds, missing=bounds, values=bounds, shares=bounds))
    found = {each.reason for each in rules_.found.values() if each.kind == "drift"}
    assert len(found) == 2 * 5
    for text in found:
        assert not left(text.replace("x2", "x1")), text
        assert ("x1" in in_chinese(text)) == ("x1" in text)
        assert ("0.5 " if "0.5 " in text else "12 ") in in_chinese(text)


numbers = st.integers(-9, 10**6) | st.floats(-1e9, 1e9, allow_nan=False) | st.dates(date(1900, 1, 1)).map(str)


@given(
    what=st.sampled_from(list(rules._MEASURED.values())), low=st.none() | numbers, high=st.none() | numbers, strict_low=st.booleans(),
    strict_high=st.booleans(), gaps=st.lists(st.tuples(numbers, numbers), max_size=3), percent=st.booleans(),
)  # fmt: skip
def test_limits_are_said_in_chinese(what, low, high, gaps, **how):
    if low is None and high is None and not gaps:
        return
    text = Limits(low=low, high=high, gaps=tuple(gaps), **how).sentence(what)
    said = in_chinese(text)
    assert said != text
    assert not ENGLISH.search(said)
    for number in filter(None, (low, high, *itertools.chain.from_iterable(gaps))):
        assert str(number) in said


@pytest.mark.parametrize("types", ["string", "integer", "number", "boolean", "date", "timestamp", "time"])
def test_why_a_value_does_not_fit_its_type_names_the_type(types):
    assert not ENGLISH.search(in_chinese(rules.sentence(rule("r", "type", "x1", type=types))))


@pytest.mark.parametrize("age", [timedelta(days=2), timedelta(hours=36), timedelta(minutes=90), timedelta(seconds=5)])
def test_ages_are_said_in_chinese(age):
    text = rules.sentence(rule("r", "freshness", "x1", max_age_seconds=int(age.total_seconds())))
    assert not left(text)


FILTERS = [
    "x = ", "nothing = 1", "flag > true", "flag between true and false", "number > today()", "number under '5'", "x under ''",
    "number = 'five'", "inside = 1", "not (" * 100 + "x = '1'" + ")" * 100, "x = '1'" + " " * 100_000, "day > today() - 9999 years",
]  # fmt: skip


@pytest.mark.parametrize("text", FILTERS, ids=range(len(FILTERS)))
def test_why_a_row_filter_can_not_be_used_is_said_in_chinese(text):
    known = [
        column("x"),
        column("flag", "boolean"),
        column("number", "integer"),
        column("day", "date"),
        column("inside", "object"),
    ]
    with pytest.raises(RowFilterInvalid) as refused:
        rows.parse(text, {each.name: each for each in known}, today=date(2026, 1, 1))
    said = in_chinese(str(refused.value))
    assert said.startswith("行筛选条件")
    assert not ENGLISH.search(re.sub("nothing|flag|number|inside|day|today|under", "", said))


def test_every_text_format_is_named():
    for form in options.TEXT_FORMATS:
        assert in_chinese(f"It is no {form}.") == f"不是有效的 {form}。"


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("It is missing.", "缺失。"),
        ("It is no valid date.", "不是有效的日期。"),
        ("The same date stands in several rows.", "date 在多行中重复。"),
        ("It does not match the pattern ^a.b{2}$.", "不符合格式 ^a.b{2}$。"),
        ("Its length is not at least 2 and at most 40.", "长度应不少于 2 且不超过 40。"),
        ("The number of rows is not 5.", "行数应为 5。"),
        ("The number of rows that break it is not less than 2.5 percent.", "违反该规则的行数应小于 2.5 %。"),
        ("It is not at least 0, or is 7, or is from 10 to 20.", "数值应不少于 0，且不应为 7，且不应在 10 到 20 之间。"),
        ("The newest x is older than 2 days.", "最新的 x 已超过 2 天。"),
        ("It does not exist in this dataset.", "在 本数据集 中不存在。"),
        ("The agreement is not approved: its status is 'draft'.", "协议未获批准：其状态为“草案”。"),
        ("The agreement expired at 2025-12-31 23:59, Beijing time.", "协议已于 2025-12-31 23:59（北京时间）到期。"),
        ("The source lacks a column 'a', which the contract promises.", "数据源缺少数据合同承诺的字段“a”。"),
        ("The source lacks 7 more columns, which the contract promises.", "数据源还缺少数据合同承诺的 7 个字段。"),
        ("The extract is rejected: more than 5 rows fail.", "整体拒收：超过 5 行不合格。"),
        ("The extract is rejected: more than 5 % of the rows break a.b.", "整体拒收：超过 5 % 的行违反 a.b。"),
        ("The request was rejected: No basis.\nAsk again.", "申请被驳回：No basis.\nAsk again."),
        ("Entries made to try the register are nobody.", "Entries made to try the register are nobody."),
        ("A card that is after the person was registered is wrong.", "A card that is after the person was registered is wrong."),
        ("It is a test entry.", "It is a test entry."),
        ("It is not for sale.", "It is not for sale."),
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
