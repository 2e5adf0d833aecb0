"""A DAG per request for data: show the provider what it means, wait for an answer until it is due, record it.

What was approved is announced as new data of its department, so the DAG that delivers it follows by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, AssetAlias, Param, task
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowSkipException

from crossdock.airflow.assets import department_asset
from crossdock.airflow.build import START, wanted
from crossdock.airflow.operators import RETRIES
from crossdock.airflow.work import exchange_at_work
from crossdock.contracts.index import Index, IndexedAgreement
from crossdock.contracts.model import REQUESTED

_APPROVED = AssetAlias("crossdock_approved")
_YES, _NO = "Approve", "Reject"


def review_dags(found: Index) -> Iterator[DAG]:
    """Yields a `review__<department>__<dataset>__<consumer>` DAG per agreement that is requested; it runs once."""
    for agreement in found.agreements:
        name = f"review__{agreement.id.replace('/', '__')}"
        if agreement.status == REQUESTED and wanted(name):
            yield _review(name, agreement)


def _review(name: str, agreement: IndexedAgreement) -> DAG:
    due = datetime.fromisoformat(agreement.review_due)
    with DAG(
        name,
        schedule="@once",
        start_date=START,
        default_args=RETRIES,
        deadline=DeadlineAlert(
            reference=DeadlineReference.FIXED_DATETIME(due),
            interval=timedelta(0),
            callback=AsyncCallback(overdue, {"agreement": agreement.id}),
        ),
        tags=["crossdock", "review", agreement.department],
        doc_md=f"Asks **{agreement.department}** whether **{agreement.consumer}** may receive `{agreement.dataset}`; the answer is due at {due:%Y-%m-%d %H:%M} UTC.",
    ) as dag:

        @task(doc_md="Puts the request in words, with a masked example; skipped when it was answered already.")
        def look() -> dict[str, str]:
            return _described(agreement.id)

        answer = HITLOperator(
            task_id="answer",
            subject="{{ ti.xcom_pull('look')['subject'] }}",
            body="{{ ti.xcom_pull('look')['body'] }}",
            options=[_YES, _NO],
            params={"reason": Param("", type="string", title="Reason", description="A rejection needs one.")},
            doc_md="Waits for a person; what they say and who they are is recorded.",
        )

        @task(outlets=[_APPROVED], doc_md="Records the answer; what was approved is announced, and delivered.")
        def record(**context: Any) -> str:
            approved = _record(agreement.id, context["ti"].xcom_pull(task_ids="answer"))
            if approved:
                context["outlet_events"][_APPROVED].add(department_asset(agreement.department))
            return "approved" if approved else "rejected"

        look() >> answer >> record()
    return dag


async def overdue(agreement: str, **_: Any) -> None:
    """Says, as an error in Airflow's log, that a request was not answered in time."""
    logging.getLogger(__name__).error("The request %s was not answered in time.", agreement)


def _described(agreement_id: str) -> dict[str, str]:
    from crossdock.explanation import explain
    from crossdock.reviews import requests

    with exchange_at_work() as exchange:
        asked = next((each for each in requests(exchange) if each.agreement == agreement_id), None)
        if asked is None or asked.review is not None:
            raise AirflowSkipException("The request was answered, or taken back.")
        said = explain(exchange, agreement_id)
    columns = "\n".join(
        f"| {c.name} | {c.label} | {c.form} | {c.classification} | {c.legal_basis} |" for c in said.columns
    )
    example = "\n".join(f"| {' | '.join(f'`{value}`' for value in row.values())} |" for row in said.example)
    names = " | ".join(column.name for column in said.columns)
    leaving = "" if said.rows_leaving is None else f" ({said.rows_leaving:,} of {said.rows_in_force:,} rows now)"
    return {
        "subject": f"{said.who} of {agreement_id.rpartition('/')[0]}?",
        "body": f"{said.purpose} {said.legal_basis}\n\n{said.valid}. {said.when} {said.how} {said.kept}\n\n"
        f"Rows: {said.rows}{leaving}. Not given: {', '.join(said.withheld) or 'nothing'}.\n\n"
        f"| column | | leaves | classified | legal basis of its own |\n|---|---|---|---|---|\n{columns}\n\n"
        f"| {names} |\n|{'---|' * len(said.columns)}\n{example}\n\nThe answer is due at {asked.due_at[:16]} UTC.",
    }


def _record(agreement_id: str, answered: Any) -> bool:
    from crossdock.reviews import answer

    by = answered["responded_by_user"]
    with exchange_at_work() as exchange:
        given = answer(
            exchange,
            agreement_id,
            approved=answered["chosen_options"] == [_YES],
            reason=str(answered["params_input"]["reason"]),
            by=str(by["name"] or by["id"]),
        )
    return bool(given.review and given.review.approved)
