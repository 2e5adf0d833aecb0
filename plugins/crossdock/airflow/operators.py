"""The four verbs as operators, for crossdock's own DAGs and for those that data engineers write.

Each is a few lines around a function of `crossdock.pipeline`. What travels between tasks are ids and counts, never data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from crossdock.airflow import metrics
from crossdock.airflow.links import DeliveryLink, VerdictLink
from crossdock.airflow.schedules import is_asked, kind_of_run
from crossdock.airflow.work import exchange_at_work
from crossdock.contracts.agreement import ON_CHANGE

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from crossdock.handover import Outcome

RETRIES = {"retries": 3, "retry_delay": 10.0, "retry_exponential_backoff": 2.0}  # seconds; 10, 20, 40


class PullOperator(BaseOperator):
    """Freezes what a dataset's source holds as an extract, and returns the extract's id.

    Args:
        dataset: "<department>/<dataset>"; templated.
    """

    template_fields: Sequence[str] = ("dataset",)
    ui_color = "#dbeafe"

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:
        kwargs.setdefault("map_index_template", "{{ task.dataset }}")
        super().__init__(**RETRIES | kwargs)
        self.dataset = dataset
        self._pulled: str | None = None

    def execute(self, context: Context) -> str:  # noqa: ARG002 - Airflow's signature
        """Pulls."""
        from crossdock import pipeline

        with exchange_at_work() as exchange, metrics.timed("pull", self.dataset):
            extract = pipeline.pull(exchange, self.dataset)
        self._pulled = extract.id
        metrics.pulled(extract)
        self.log.info("Pulled %s rows of %s as extract %s.", f"{extract.rows:,}", extract.dataset, extract.id)
        return extract.id

    def get_openlineage_facets_on_complete(self, task: Any) -> OperatorLineage[Any, Any]:
        """Tells OpenLineage, where it is configured, from what source the extract came."""
        from crossdock.airflow import lineage

        return lineage.tell_of_pull(task, self._pulled)


class ValidateOperator(BaseOperator):
    """Judges an extract by its contract, and returns the verdict in numbers; a rejected extract fails the task.

    Args:
        extract: the id that `PullOperator` returned; templated.
    """

    template_fields: Sequence[str] = ("extract",)
    operator_extra_links = (VerdictLink(),)
    ui_color = "#dcfce7"

    def __init__(self, *, extract: Any, **kwargs: Any) -> None:
        kwargs.setdefault("map_index_template", "{{ dataset }}")
        super().__init__(**RETRIES | kwargs)
        self.extract = extract
        self._verdict: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Validates."""
        from crossdock import pipeline
        from crossdock.errors import Permanent
        from crossdock.storage.records import extract_by_id

        with exchange_at_work() as exchange:
            dataset = extract_by_id(exchange.state, self.extract).dataset
            with metrics.timed("validate", dataset):
                verdict = pipeline.validate(exchange, self.extract)
            metrics.judged(verdict)
            self._verdict = verdict.id
            context["dataset"] = verdict.dataset  # type: ignore[typeddict-unknown-key] # for map_index_template
            self.log.info(
                "%s: %s, %s of %s rows accepted.",
                verdict.dataset,
                verdict.outcome,
                f"{verdict.accepted:,}",
                f"{verdict.rows:,}",
            )
            for finding in verdict.findings:
                self.log.info(
                    "%s rows: %s (%s) %s", f"{finding.rows:,}", finding.rule, finding.severity, finding.reason
                )
            if verdict.outcome == "rejected":
                raise Permanent(
                    f"The extract of {verdict.dataset} was rejected; the last snapshot stays in force.",
                    where=f"verdict {verdict.id}",
                    fix=f"See why: crossdock quarantine show {verdict.id}",
                )
        return {
            "verdict": verdict.id,
            "dataset": verdict.dataset,
            "outcome": verdict.outcome,
            "rows": verdict.rows,
            "accepted": verdict.accepted,
            "quarantined": verdict.quarantined,
        }

    def get_openlineage_facets_on_complete(self, task: Any) -> OperatorLineage[Any, Any]:
        """Tells OpenLineage, where it is configured, which promises were kept; of rejected extracts too."""
        from crossdock.airflow import lineage

        return lineage.tell_of_validation(task, self._verdict)


class NotifyOperator(BaseOperator):
    """Tells a department what is wrong with its rows; skipped when there is nothing to tell.

    Args:
        extract: the id that `PullOperator` returned, whose newest verdict is told of; templated.
    """

    template_fields: Sequence[str] = ("extract",)
    ui_color = "#ffedd5"

    def __init__(self, *, extract: Any, **kwargs: Any) -> None:
        super().__init__(**RETRIES | kwargs)
        self.extract = extract

    def execute(self, context: Context) -> str:  # noqa: ARG002 - Airflow's signature
        """Notifies."""
        from crossdock import notices
        from crossdock.storage.records import extract_by_id, verdicts

        with exchange_at_work() as exchange:
            dataset = extract_by_id(exchange.state, self.extract).dataset if self.extract else ""
            judged = [v for v in verdicts(exchange.state, dataset=dataset) if v.extract == self.extract]
            sent = notices.notify(exchange, judged[0].id) if judged else None
        if sent is None:
            raise AirflowSkipException("There is nothing to tell.")
        return sent.sent_at


class _HandOverOperator(BaseOperator):
    """What push and publish share: one agreement in, its outcome out.

    A run that new data started skips what has a `frequency` with times of its own.
    """

    template_fields: Sequence[str] = ("agreement",)
    operator_extra_links = (DeliveryLink(),)
    verb: ClassVar[str]

    def __init__(self, *, agreement: str, frequency: str = ON_CHANGE, **kwargs: Any) -> None:
        kwargs.setdefault("map_index_template", "{{ task.agreement }}")
        super().__init__(**RETRIES | kwargs)
        self.agreement = agreement
        self.frequency = frequency
        self._outcome: Outcome | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Hands the current snapshot over, or skips with the reason why it does not leave."""
        from crossdock import pipeline

        if not is_asked(self.frequency, run=kind_of_run(context)):
            raise AirflowSkipException(f"not due: The agreement's frequency is {self.frequency}.")
        with exchange_at_work() as exchange, metrics.timed(self.verb, self.agreement):
            outcome: Outcome = getattr(pipeline, self.verb)(exchange, self.agreement)
        metrics.handed_over(outcome)
        self._outcome = outcome
        self.log.info("%s: %s. %s", outcome.agreement, outcome.status, outcome.reason)
        counts = dict(outcome.counts) if outcome.counts else {}
        result = {
            "agreement": outcome.agreement,
            "status": outcome.status,
            "delivery": outcome.delivery,
            "counts": counts,
        }
        if outcome.status in ("refused", "waiting"):
            context["ti"].xcom_push("return_value", result)
            raise AirflowSkipException(f"{outcome.status}: {outcome.reason}")
        return result

    def get_openlineage_facets_on_complete(self, task: Any) -> OperatorLineage[Any, Any]:
        """Tells OpenLineage, where it is configured, what went to whom."""
        from crossdock.airflow import lineage

        return lineage.tell_of_delivery(task, self._outcome)

    def get_openlineage_facets_on_failure(self, task: Any) -> OperatorLineage[Any, Any]:
        """Tells OpenLineage, where it is configured, that it failed."""
        from crossdock.airflow import lineage

        return lineage.tell_of_failure(task, self.agreement)


class PushOperator(_HandOverOperator):
    """Delivers the dataset's current snapshot to an agreement's consumer; a refusal is recorded and skips the task.

    Args:
        agreement: "<department>/<dataset>/<consumer>"; templated.
        frequency: "on_change", "once", or a cron expression or preset.
    """

    verb = "push"
    ui_color = "#fef3c7"


class PublishOperator(_HandOverOperator):
    """Releases the dataset's current snapshot as an open version under its publication.

    Args:
        agreement: "<department>/<dataset>/public"; templated.
        frequency: "on_change", "once", or a cron expression or preset.
    """

    verb = "publish"
    ui_color = "#fce7f3"
