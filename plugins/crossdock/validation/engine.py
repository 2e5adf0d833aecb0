"""A Great Expectations engine that answers GX's own metrics from one Arrow scan, so that GX judges what Arrow counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import great_expectations  # noqa: TID253 - only imported to judge, never to build DAGs
from great_expectations.core import (  # noqa: TID253
    ExpectationSuite,
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine  # noqa: TID253
from great_expectations.expectations.expectation import Expectation  # noqa: TID253
from great_expectations.validator.metric_configuration import MetricConfiguration  # noqa: TID253
from great_expectations.validator.validation_statistics import calc_validation_statistics  # noqa: TID253
from great_expectations.validator.validator import Validator  # noqa: TID253

from crossdock.contracts.model import Contract
from crossdock.contracts.sandbox import Result
from crossdock.errors import Permanent
from crossdock.identity import canonical
from crossdock.validation import promises
from crossdock.validation.plan import Check

# No samples: a result must not carry a row's value. Errors are raised, never turned into a failed expectation.
_RUNTIME: Mapping[str, Any] = {"catch_exceptions": False, "result_format": {"result_format": "BASIC"}}


class NoKernel(Permanent):
    """An expectation asks for a metric that no kernel answers."""


class EnginesDisagree(Permanent):
    """Great Expectations came to another result than the rows that were marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a scan found out and an expectation may ask for."""

    rows: int
    snapshot_rows: int  # of the snapshot, when an incremental extract is merged into it; else the extract's
    columns: Sequence[str]
    broken: Mapping[str, int]  # by rule id
    considered: Mapping[str, int]  # by rule id: rows with no value missing
    nulls: Mapping[str, int]  # by column
    ages: Mapping[str, float | None]  # by column of a freshness rule: seconds since its newest value
    results: Mapping[str, Result]  # by rule id: what its query returned


class ArrowExecutionEngine(PandasExecutionEngine):
    """Knows the answers beforehand and computes nothing; a metric it has no answer to is an error."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts
        self._answers: dict[Any, object] = {}

    def prepare(self, expectation: Expectation, check: Check) -> None:
        """Takes from GX which metrics the expectation needs, and answers them for the rule it stands for.

        Raises:
            NoKernel: it needs one that the scan does not give.
            EnginesDisagree: another rule needs the same metric with another answer.
        """
        needed = expectation.get_validation_dependencies(execution_engine=self, runtime_configuration=dict(_RUNTIME))
        for metric in needed.metric_configurations.values():
            answer = self._answer(metric, check)
            if self._answers.setdefault(metric.id, answer) != answer:
                raise EnginesDisagree("Two rules ask for one metric.", where=f"rule {check.rule.id}")

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[MetricConfiguration],
        metrics: Mapping[Any, Any] | None = None,  # noqa: ARG002 - GX's signature
        runtime_configuration: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> dict[Any, Any]:
        """Answers GX's metrics from the scan."""
        return {metric.id: self._resolve(metric) for metric in metrics_to_resolve}

    def _resolve(self, metric: MetricConfiguration) -> object:
        if metric.id in self._answers:
            return self._answers[metric.id]
        name = metric.metric_name
        if name == "table.columns":
            return list(self._facts.columns)
        if name == "table.column_types":
            return [{"name": column, "type": "arrow"} for column in self._facts.columns]
        if name.endswith((".condition", ".map")):
            return None  # what a count is computed from elsewhere; the counts are here
        raise NoKernel(f"Nothing answers the metric '{name}'.")

    def _answer(self, metric: MetricConfiguration, check: Check) -> object:
        facts, rule = self._facts, check.rule.id
        base, _, what = metric.metric_name.rpartition(".")
        if metric.metric_name == "column_values.nonnull.unexpected_count":
            return facts.nulls[metric.metric_domain_kwargs["column"]]
        if base in _JUDGED_BY_KERNEL and what in _OF_RULE:
            return _OF_RULE[what](facts, rule)
        if metric.metric_name == promises.AGE:
            return facts.ages[check.columns[0].name]
        if metric.metric_name in _OF_ROWS:
            return _OF_ROWS[metric.metric_name](facts, rule)
        raise NoKernel(f"No kernel answers the metric '{metric.metric_name}'.", where=f"rule {rule}")


_OF_RULE: Mapping[str, Callable[[Facts, str], object]] = {
    "unexpected_count": lambda facts, rule: facts.broken[rule],
    "filtered_row_count": lambda facts, rule: facts.considered[rule],
    "unexpected_values": lambda _facts, _rule: [],
}
_OF_ROWS: Mapping[str, Callable[[Facts, str], object]] = {
    "table.row_count": lambda facts, _rule: facts.rows,
    promises.ROWS: lambda facts, _rule: facts.snapshot_rows,
    promises.RESULT: lambda facts, rule: facts.results[rule],
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


class _QuietValidator(Validator):
    """GX's validator without its progress bars."""

    def _determine_progress_bars(self) -> bool:
        return False


def run_suite(suite: ExpectationSuite, checks: Sequence[Check], facts: Facts) -> list[ExpectationValidationResult]:
    """Lets GX judge the suite, one result per check in their order, and holds it against the marked rows.

    Raises:
        EnginesDisagree: GX's count or verdict is not what the marks say.
    """
    engine = ArrowExecutionEngine(facts)
    for expectation, check in zip(suite.expectations, checks, strict=True):
        engine.prepare(expectation, check)
    validator = _QuietValidator(execution_engine=engine)
    results = validator.graph_validate(
        configurations=suite.expectation_configurations, runtime_configuration=dict(_RUNTIME)
    )
    by_rule = {_rule_of(result): result for result in results}
    ordered = [by_rule[check.rule.id] for check in checks]
    for check, result in zip(checks, ordered, strict=True):
        _must_agree(check, result, facts)
    return ordered


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


def _rule_of(result: ExpectationValidationResult) -> str:
    meta = result.expectation_config.meta if result.expectation_config else None
    return str((meta or {})["rule"])


def _must_agree(check: Check, result: ExpectationValidationResult, facts: Facts) -> None:
    if check.scope in {"row_count", "freshness", "query"}:
        return
    marked = facts.broken[check.rule.id]
    same_verdict = check.counts or bool(result.success) == (marked == 0)
    if result.result["unexpected_count"] != marked or not same_verdict:
        raise EnginesDisagree(
            f"{marked} rows were marked, and Great Expectations says otherwise.", where=f"rule {check.rule.id}"
        )
