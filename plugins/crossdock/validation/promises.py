"""The expectations that Great Expectations lacks. Importing this module costs seconds: GX comes with it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd  # noqa: TID253 - this module is only imported to judge, never to build DAGs
import pyarrow as pa
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine  # noqa: TID253 - here is where it is used
from great_expectations.expectations.expectation import BatchExpectation, ColumnMapExpectation  # noqa: TID253 - here is where it is used
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (  # noqa: TID253 - here is where it is used
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (  # noqa: TID253 - here is where it is used
    ColumnMapMetricProvider,
)
from great_expectations.expectations.metrics.metric_provider import MetricProvider, metric_value  # noqa: TID253 - here is where it is used

from crossdock.contracts.limits import Limits
from crossdock.errors import Permanent
from crossdock.validation.checksums import SCHEMES, Scheme, broken_check_digits

BROKEN, CONSIDERED = "crossdock.rule.broken_rows", "crossdock.rule.considered_rows"
AGE = "crossdock.column.newest_age_seconds"
ROWS = "crossdock.snapshot.row_count"
RESULT = "crossdock.query.result"
DRIFT = "crossdock.drift.percent"


class OnlyScanned(Permanent):
    """A metric of crossdock was asked of an engine that has not scanned the extract."""


class _ScannedMetric(MetricProvider):
    """A number that only a scan knows; the Arrow engine answers it before this provider is ever called."""

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, **_: Any) -> None:  # noqa: N805 - GX binds the class
        raise OnlyScanned("This metric comes from crossdock's scan.", fix="Validate with `crossdock validate`.")


class BrokenRows(_ScannedMetric):
    """How many rows break the rule."""

    metric_name = BROKEN
    value_keys = ("rule",)


class ConsideredRows(_ScannedMetric):
    """How many rows the rule could be judged on."""

    metric_name = CONSIDERED
    value_keys = ("rule",)


class NewestAge(_ScannedMetric):
    """How old the newest value of the column is, in seconds; None when there is no value."""

    metric_name = AGE
    domain_keys = ("batch_id", "column")


class SnapshotRows(_ScannedMetric):
    """How many rows the snapshot would have with the extract merged into it."""

    metric_name = ROWS
    domain_keys = ("batch_id",)


class QueryResult(_ScannedMetric):
    """What the rule's query returned; None when that was no number."""

    metric_name = RESULT
    value_keys = ("rule",)


class Drift(_ScannedMetric):
    """How far the extract is from those before it, in percent; None when there are too few of them."""

    metric_name = DRIFT
    value_keys = ("rule",)


class RuleExpectation(BatchExpectation):
    """No row breaks the rule; `rule` is its id, which the engine answers for."""

    rule: str
    columns: list[str]

    success_keys: ClassVar[tuple[str, ...]] = ("rule",)
    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.row_count", BROKEN, CONSIDERED)

    def _validate(self, metrics: dict[Any, Any], *_: Any, **__: Any) -> dict[str, Any]:
        rows, broken, considered = (metrics[name] for name in self.metric_dependencies)
        return {
            "success": self._holds(broken, rows),
            "result": {
                "element_count": rows,
                "missing_count": rows - considered,
                "unexpected_count": broken,
                "unexpected_percent": 100 * broken / rows if rows else None,
            },
        }

    def _holds(self, broken: int, rows: int) -> bool:  # noqa: ARG002 - of how many, matters for shares
        return broken == 0


class ExpectColumnValuesToFitTheirType(RuleExpectation):
    """Every value that arrived is one of the column's type."""

    of_type: str


class ExpectValuesInsideToKeepTheRule(RuleExpectation):
    """Whatever an object, array or map holds keeps the rule of that name."""


class ExpectColumnValuesToBeWithin(RuleExpectation):
    """Every value is within bounds that GX's own expectation would round; they are given as text."""

    min_value: str | None
    max_value: str | None
    strict_min: bool
    strict_max: bool


class ExpectColumnValuesToExistInDataset(RuleExpectation):
    """Every key is held by another dataset."""

    dataset: str
    referred_columns: list[str]


class ExpectBrokenRowsToBeWithin(RuleExpectation):
    """As many rows break the rule as the contract allows; no single row is to blame."""

    of: str
    limits: dict[str, Any]

    def _holds(self, broken: int, rows: int) -> bool:
        return Limits.of(self.limits).hold_of(broken, rows)


class ExpectColumnNewestValueToBeYoungerThan(BatchExpectation):
    """The newest value of the column is not older than that."""

    column: str
    max_age_seconds: float

    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column")
    success_keys: ClassVar[tuple[str, ...]] = ("max_age_seconds",)
    metric_dependencies: ClassVar[tuple[str, ...]] = (AGE,)

    def _validate(self, metrics: dict[Any, Any], *_: Any, **__: Any) -> dict[str, Any]:
        age = metrics[AGE]
        return {
            "success": age is not None and age <= self.max_age_seconds,
            "result": {"observed_value": None if age is None else f"{age:.0f} seconds old"},
        }


class ExpectSnapshotRowCountToBeWithin(BatchExpectation):
    """The snapshot has so many rows when an incremental extract is merged into it."""

    limits: dict[str, Any]

    success_keys: ClassVar[tuple[str, ...]] = ("limits",)
    metric_dependencies: ClassVar[tuple[str, ...]] = (ROWS,)

    def _validate(self, metrics: dict[Any, Any], *_: Any, **__: Any) -> dict[str, Any]:
        rows = metrics[ROWS]
        return {"success": Limits.of(self.limits).hold(rows), "result": {"observed_value": rows}}


class ExpectQueryResultToBeWithin(BatchExpectation):
    """The number that the rule's query returns is one that the contract allows; it may be a row's, so it is not told."""

    rule: str
    query: str
    limits: dict[str, Any]

    success_keys: ClassVar[tuple[str, ...]] = ("rule", "limits")
    metric_dependencies: ClassVar[tuple[str, ...]] = (RESULT,)

    def _validate(self, metrics: dict[Any, Any], *_: Any, **__: Any) -> dict[str, Any]:
        return {"success": Limits.of(self.limits).hold(metrics[RESULT]), "result": {}}


class ExpectDriftToBeWithin(BatchExpectation):
    """The extract is not further than that from those before it; with too few of them there is nothing to be far from."""

    rule: str
    columns: list[str]
    measure: str
    most: float

    success_keys: ClassVar[tuple[str, ...]] = ("rule", "most")
    metric_dependencies: ClassVar[tuple[str, ...]] = (DRIFT,)

    def _validate(self, metrics: dict[Any, Any], *_: Any, **__: Any) -> dict[str, Any]:
        drift = metrics[DRIFT]
        told = "too few earlier extracts" if drift is None else f"{drift:.3g} %"
        return {"success": drift is None or drift <= self.most, "result": {"observed_value": told}}


def _right(column: pd.Series[Any], scheme: Scheme) -> np.ndarray:
    return ~broken_check_digits(pa.array(column, pa.string()), scheme)


class Gb11643CheckDigit(ColumnMapMetricProvider):
    """Resident identity numbers whose check digit is right."""

    condition_metric_name = "column_values.gb11643_check_digit"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], **_: Any) -> np.ndarray:  # noqa: N805 - GX binds the class
        return _right(column, SCHEMES["gb11643"])


class Gb32100CheckDigit(ColumnMapMetricProvider):
    """Unified social credit codes whose check digit is right."""

    condition_metric_name = "column_values.gb32100_check_digit"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series[Any], **_: Any) -> np.ndarray:  # noqa: N805 - GX binds the class
        return _right(column, SCHEMES["gb32100"])


class ExpectColumnValuesToHaveGb11643CheckDigit(ColumnMapExpectation):
    """Every value is an 18-character resident identity number with the right check digit (GB 11643)."""

    map_metric = "column_values.gb11643_check_digit"


class ExpectColumnValuesToHaveGb32100CheckDigit(ColumnMapExpectation):
    """Every value is a unified social credit code with the right check digit (GB 32100)."""

    map_metric = "column_values.gb32100_check_digit"
