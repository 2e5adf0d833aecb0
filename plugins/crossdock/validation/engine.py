"""A Great Expectations engine that answers GX's own metrics from one Arrow scan, so that GX judges what Arrow counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import great_expectations  # noqa: TID253 - only imported to judge, never to build DAGs
from great_expectations.core import (  # noqa: TID253 - here is where it is used
    ExpectationSuite,
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine  # noqa: TID253 - here is where it is used
from great_expectations.expectations.expectation import Expectation  # noqa: TID253 - here is where it is used
from great_expectations.validator.metric_configuration import MetricConfigurationID  # noqa: TID253 - here is where it is used
from great_expectations.validator.validation_statistics import calc_validation_statistics  # noqa: TID253 - here is where it is used

from crossdock.contracts.model import Contract
from crossdock.errors import Permanent
from crossdock.identity import canonical
from crossdock.validation import promises
from crossdock.validation.facts import Facts
from crossdock.validation.plan import Check

# No samples: a result must not carry a row's value. Errors are raised, never turned into a failed expectation.
_RUNTIME: Mapping[str, Any] = {"catch_exceptions": False, "result_format": {"result_format": "BASIC"}}


class NoKernel(Permanent):
    """An expectation asks for a metric that no kernel answers."""


class EnginesDisagree(Permanent):
    """Great Expectations came to another result than the rows that were marked."""


class ArrowExecutionEngine(PandasExecutionEngine):
    """Knows the answers beforehand and computes nothing; a metric it has no answer to is an error."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts

    def judge(self, expectation: Expectation, check: Check) -> ExpectationValidationResult:
        """Lets the expectation judge the metrics that it says it needs, as GX's validator does.

        The validator itself would look up what those metrics are computed from elsewhere: four times the time.

        Raises:
            NoKernel: it needs one that the scan does not give.
        """
        return expectation.metrics_validate(
            metrics=_Answers(self._facts, check), runtime_configuration=dict(_RUNTIME), execution_engine=self
        )


class _Answers(dict[MetricConfigurationID, object]):
    """What the scan found out about one check, by GX's metric; empty, and yet it holds an answer or raises."""

    def __init__(self, facts: Facts, check: Check) -> None:
        super().__init__()
        self._facts, self._check = facts, check

    def __contains__(self, metric: object) -> bool:
        return True

    def __missing__(self, metric: MetricConfigurationID) -> object:
        facts, check, rule, name = self._facts, self._check, self._check.rule.id, metric.metric_name
        base, _, what = name.rpartition(".")
        if name == "column_values.nonnull.unexpected_count":
            return facts.nulls[check.columns[0].name]
        if base in _JUDGED_BY_KERNEL and what in _OF_RULE:
            return _OF_RULE[what](facts, rule)
        if name == promises.AGE:
            return facts.ages[check.columns[0].name]
        if name in _OF_ROWS:
            return _OF_ROWS[name](facts, rule)
        raise NoKernel(f"No kernel answers the metric '{name}'.", where=f"rule {rule}")


_OF_RULE: Mapping[str, Callable[[Facts, str], object]] = {
    "unexpected_count": lambda facts, rule: facts.broken[rule],
    "filtered_row_count": lambda facts, rule: facts.considered[rule],
    "unexpected_values": lambda _facts, _rule: [],
}
_OF_ROWS: Mapping[str, Callable[[Facts, str], object]] = {
    "table.row_count": lambda facts, _rule: facts.rows,
    promises.ROWS: lambda facts, _rule: facts.snapshot_rows,
    promises.RESULT: lambda facts, rule: facts.results[rule],
    promises.DRIFT: lambda facts, rule: facts.drifts[rule],
    promises.BROKEN: _OF_RULE["unexpected_count"],
    promises.CONSIDERED: _OF_RULE["filtered_row_count"],
}
# The metrics of GX whose condition a kernel of ours computes row for row as GX does on pandas.
_JUDGED_BY_KERNEL = frozenset(
    {
        "column_values.nonnull",
        "column_values.null",
        "column_values.unique",
        "column_values.in_set",
        "column_values.not_in_set",
        "column_values.match_regex",
        "column_values.not_match_regex",
        "column_values.value_length.between",
        "column_values.between",
        "column_values.gb11643_check_digit",
        "column_values.gb32100_check_digit",
        "column_pair_values.a_greater_than_b",
        "column_pair_values.equal",
        "compound_columns.unique",
    }
)


def run_suite(suite: ExpectationSuite, checks: Sequence[Check], facts: Facts) -> list[ExpectationValidationResult]:
    """Lets GX judge the suite, one result per check in their order, and holds it against the marked rows.

    Raises:
        EnginesDisagree: GX's count or verdict is not what the marks say.
    """
    engine = ArrowExecutionEngine(facts)
    results = [engine.judge(expectation, check) for expectation, check in zip(suite.expectations, checks, strict=True)]
    for check, result in zip(checks, results, strict=True):
        _must_agree(check, result, facts)
    return results


def result_document(contract: Contract, results: Sequence[ExpectationValidationResult], judged_at: str) -> bytes:
    """Returns GX's validation result as JSON; the same extract, contract and instant give the same bytes."""
    statistics = calc_validation_statistics(list(results))
    whole = ExpectationSuiteValidationResult(
        success=statistics.success,
        results=list(results),
        suite_name=contract.id,
        statistics={
            "evaluated_expectations": statistics.evaluated_expectations,
            "successful_expectations": statistics.successful_expectations,
            "unsuccessful_expectations": statistics.unsuccessful_expectations,
            "success_percent": statistics.success_percent,
        },
        meta={
            "great_expectations_version": great_expectations.__version__,
            "contract_version": contract.version,
            "validation_time": judged_at,
        },
    )
    return canonical(whole.to_json_dict())  # type: ignore[no-untyped-call] # GX leaves it untyped


def _must_agree(check: Check, result: ExpectationValidationResult, facts: Facts) -> None:
    if check.judges_extract and not check.counts:
        return
    marked = facts.broken[check.rule.id]
    same_verdict = check.counts or bool(result.success) == (marked == 0)
    if result.result["unexpected_count"] != marked or not same_verdict:
        raise EnginesDisagree(
            f"{marked} rows were marked, and Great Expectations says otherwise.", where=f"rule {check.rule.id}"
        )
