import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crossdock.contracts.expectations import SUPPORTED, rule_of_expectation
from crossdock.contracts.model import Rule
from crossdock.errors import WrongUse
from crossdock.validation.engine import ArrowExecutionEngine, EnginesDisagree, NoKernel, run_suite
from crossdock.validation.facts import Facts
from crossdock.validation.plan import plan
from crossdock.validation.suite import compile_suite, expectation_of
from extracts import column, contract, failures, judged, rule

PLUGINS = Path(__file__).parents[2] / "plugins"
KEYWORDS = {
    "column": "x",
    "column_A": "x",
    "column_B": "y",
    "column_list": ["x", "y"],
    "regex": "^a",
    "value": 2,
    "value_set": ["a"],
    "min_value": 1,
}
ONE = contract([column("x")], [rule("x.filled", "not_null", "x")])
FACTS = Facts(
    rows=3,
    snapshot_rows=3,
    broken={"x.filled": 1, "x.type": 0},
    considered={"x.filled": 2, "x.type": 3},
    nulls={"x": 1},
    ages={},
    results={},
    drifts={},
)


@pytest.mark.parametrize("name", sorted(SUPPORTED))
def test_every_expectation_that_a_contract_may_name_is_judged(name, tmp_path):
    given = {key: KEYWORDS[key] for key in SUPPORTED[name] if key in KEYWORDS}
    kind, columns, args = rule_of_expectation(name, given)
    typed = "integer" if kind == "between" else "string"
    promised = contract([column("x", typed), column("y")], [Rule(id="r", kind=kind, columns=columns, args=args)])
    rows = {"x": ["1", "2"], "y": [None, None]} if kind == "between" else {"x": ["a", None], "y": ["a", "b"]}
    assert judged(tmp_path, promised, rows).rows == 2


def test_great_expectations_judges_what_was_counted():
    checks = plan(ONE)
    results = run_suite(compile_suite(ONE, checks), checks, FACTS)
    assert [result.success for result in results] == [False, True]
    assert results[0].result["unexpected_count"] == 1
    assert results[0].result["partial_unexpected_list"] == []


def test_a_count_that_differs_from_the_marks_is_an_error():
    checks = plan(ONE)
    wrong = replace(FACTS, nulls={"x": 2})  # GX takes nulls by column, the marks are by rule
    with pytest.raises(EnginesDisagree, match="1 rows were marked"):
        run_suite(compile_suite(ONE, checks), checks, wrong)


def test_a_metric_without_a_kernel_raises():
    from great_expectations.expectations.core import ExpectColumnValuesToMatchLikePattern

    engine = ArrowExecutionEngine(FACTS)
    expectation = ExpectColumnValuesToMatchLikePattern(column="x", like_pattern="a%")
    with pytest.raises(NoKernel, match="like_pattern"):
        engine.judge(expectation, plan(ONE)[0])


def test_a_rule_without_an_expectation_raises():
    check = plan(ONE)[0]
    with pytest.raises(WrongUse, match="No expectation says"):
        expectation_of(replace(check, rule=replace(check.rule, kind="riddle")))


def test_bounds_that_great_expectations_would_round_are_judged_exactly(tmp_path):
    big = 2**53 + 1
    promised = contract(
        [column("n", "integer"), column("m", "number", precision=6, scale=2), column("s")],
        [
            rule("above", "between", "n", min=big),
            rule("from", "between", "n", min=big - 1),
            rule("cents", "between", "m", min="0.10", max="0.30"),
            rule("text", "between", "s", min="b", max="k"),
            rule("never", "between", "n", min=2**70),
        ],
    )
    rows = {"n": [str(big), str(big - 1), None], "m": ["0.10", "0.30", "0.31"], "s": ["b", "a", "kk"]}
    assert failures(judged(tmp_path, promised, rows)) == {
        "above": [1],
        "cents": [2],
        "text": [1, 2],
        "never": [0, 1],
    }


def test_judging_opens_no_connection(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("the judge went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert judged(tmp_path, ONE, {"x": ["a", None]}).outcome == "partial"


def test_importing_the_judge_does_not_import_great_expectations():
    code = "import crossdock.validation.judge, sys; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(PLUGINS)}, check=False).returncode == 0
