"""Two DAGs per request for data, each with the alarm of its deadline.

`review__...` shows the provider what the request means, waits for an answer and records it. What was approved is
announced as new data of its department, so the DAG that delivers it follows by itself; `fulfil__...` waits until it has.
Both are about one wording, and named by it: what is worded anew is asked anew, and no answer is for what was not shown.
The DAGs of a wording that is gone stay for a week, so that what waits in them can see that, and end; Airflow does nothing
more for a DAG that is not there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, AssetAlias, Param, task
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, TaskAwaitingInput

from crossdock.airflow.asking import REASON, ask_for_reason, reason_of
from crossdock.airflow.assets import department_asset
from crossdock.airflow.build import START, wanted
from crossdock.airflow.operators import RETRIES
from crossdock.airflow.work import exchange_at_work
from crossdock.contracts.agreement import REQUESTED
from crossdock.contracts.index import Index, IndexedAgreement
from crossdock.contracts.zone import wall_clock

if TYPE_CHECKING:
    from airflow.sdk import Context

    from crossdock.exchange import Exchange
    from crossdock.explanation import Explanation
    from crossdock.language.speech import Speech

_APPROVED = AssetAlias("crossdock_approved")
_YES, _NO = "批准 Approve", "驳回 Reject"
_LOOK_AGAIN, _AT_LAST = timedelta(minutes=5), timedelta(days=366)  # whether it was delivered
_ASKED_STILL = timedelta(hours=1)


class Question(HITLOperator):
    """Asks a person whether a request is granted, as long as it is asked in this wording; else it is skipped, and says why.

    Args:
        agreement: what is asked for.
        wording: the digest of its wording.
        kwargs: see `HITLOperator`.
    """

    def __init__(self, *, agreement: str, wording: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.agreement = agreement
        self.wording = wording

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Returns the answer; where the time to look again has come, or a rejection has no reason, waits on."""
        if event.get("error_type") != "timeout":
            ask_for_reason(self, context, event, chosen=_NO)
            return super().execute_complete(context, event)
        with exchange_at_work() as exchange:
            _demand_asked(exchange, self.agreement, self.wording)
        # The question is not put anew: that would take away an answer which came in this moment.
        raise TaskAwaitingInput(method_name="execute_complete", timeout=self.response_timeout)


def review_dags(found: Index) -> Iterator[DAG]:
    """Yields two DAGs per agreement that is requested, `review__<department>__<dataset>__<consumer>__<wording>` and `fulfil__...`.

    Each runs once.
    """
    made = {"review": _review, "fulfil": _fulfil}
    for agreement in (*found.agreements, *found.former):
        for kind, make in made.items() if agreement.status == REQUESTED else ():
            name = f"{kind}__{agreement.id.replace('/', '__')}__{agreement.digest[:8]}"
            if wanted(name):
                yield make(name, agreement)


def _dag(name: str, agreement: IndexedAgreement, due: str, doc: str) -> DAG:
    """Returns a DAG that is to have ended when something is due, or Airflow raises the alarm."""
    by = datetime.fromisoformat(due)
    return DAG(
        name,
        schedule="@once",
        start_date=START,
        is_paused_upon_creation=False,  # it comes while Airflow runs, and its clock does already
        default_args=RETRIES,
        deadline=DeadlineAlert(
            reference=DeadlineReference.FIXED_DATETIME(by),
            interval=timedelta(0),
            callback=AsyncCallback(overdue, {"agreement": agreement.id, "what": name.partition("__")[0]}),
        ),
        tags=["crossdock", "review", agreement.department],
        doc_md=f"{doc} {wall_clock(by)}, Beijing time.",
    )


def _review(name: str, agreement: IndexedAgreement) -> DAG:
    asks = f"Asks **{agreement.department}** whether **{agreement.consumer}** may receive `{agreement.dataset}`; the answer is due at"
    with _dag(name, agreement, agreement.review_due, asks) as dag:

        @task(doc_md="Puts the request in words, with a masked example; skipped when it was answered already.")
        def look() -> dict[str, str]:
            return _described(agreement.id, agreement.digest)

        answer = Question(
            task_id="answer",
            agreement=agreement.id,
            wording=agreement.digest,
            subject="{{ ti.xcom_pull('look')['subject'] }}",
            body="{{ ti.xcom_pull('look')['body'] }}",
            options=[_YES, _NO],
            params={
                REASON: Param(
                    "", type="string", title="理由 Reason", description="驳回须说明理由。 A rejection needs one."
                )
            },
            response_timeout=_ASKED_STILL,
            doc_md="Waits for a person; what they say and who they are is recorded. Each hour it sees whether it is asked still.",
        )

        @task(outlets=[_APPROVED], doc_md="Records the answer; what was approved is announced, and delivered.")
        def record(**context: Any) -> str:
            approved = _record(agreement, context["ti"].xcom_pull(task_ids="answer"))
            if approved:
                context["outlet_events"][_APPROVED].add(department_asset(agreement.department))
            return "approved" if approved else "rejected"

        look() >> answer >> record()
    return dag


def _fulfil(name: str, agreement: IndexedAgreement) -> DAG:
    waits = f"Waits until **{agreement.consumer}** has received `{agreement.dataset}`, or will not; it is due at"
    with _dag(name, agreement, agreement.deliver_by, waits) as dag:

        @task.sensor(
            mode="reschedule",
            poke_interval=_LOOK_AGAIN.total_seconds(),
            timeout=_AT_LAST.total_seconds(),
            doc_md="Ends when it was delivered, rejected, taken back or worded anew.",
        )
        def delivered() -> bool:
            return _settled(agreement.id, agreement.digest)

        delivered()
    return dag


async def overdue(agreement: str, what: str = "review", **_: Any) -> None:
    """Says, as an error in Airflow's log, that a request was not answered, or what was approved not delivered, in time."""
    missed = {"review": "answered", "fulfil": "delivered"}[what]
    logging.getLogger(__name__).error("The request %s was not %s in time.", agreement, missed)


def _settled(agreement_id: str, wording: str) -> bool:
    from crossdock.reviews import request

    with exchange_at_work() as exchange:
        asked = request(exchange, agreement_id)
        if asked is None or exchange.agreement(agreement_id).digest != wording:
            return True
        return bool(asked.delivered_at or (asked.review and not asked.review.approved))


def _demand_asked(exchange: Exchange, agreement_id: str, wording: str) -> None:
    """Sees that a request is asked in this wording and was not answered; a file that can't be read now may be mended."""
    from crossdock.errors import ContractInvalid
    from crossdock.language.speech import in_both
    from crossdock.reviews import moot

    try:
        reason = moot(exchange, agreement_id, wording)
    except ContractInvalid:
        return
    if reason:
        raise AirflowSkipException(in_both(reason))


def _described(agreement_id: str, wording: str) -> dict[str, str]:
    from crossdock.explanation import explain_to
    from crossdock.language.speech import CHINESE, ENGLISH
    from crossdock.reviews import request

    with exchange_at_work() as exchange:
        _demand_asked(exchange, agreement_id, wording)
        asked = request(exchange, agreement_id)
        if asked is None:
            raise AirflowException("The agreement's file can't be read.")
        chinese, english = explain_to(exchange, agreement_id, (CHINESE, ENGLISH))
    dataset, example = agreement_id.rpartition("/")[0], ""
    if english.example:
        names = " | ".join(english.example[0])
        rows = "\n".join(f"| {' | '.join(f'`{value}`' for value in row.values())} |" for row in english.example)
        example = f"\n\n| {names} |\n|{'---|' * len(english.example[0])}\n{rows}"
    told = "\n\n".join(
        _put(said, speech, wall_clock(datetime.fromisoformat(asked.due_at)))
        for said, speech in ((chinese, CHINESE), (english, ENGLISH))
    )
    return {"subject": f"{chinese.who} {dataset}？ {english.who}: {dataset}?", "body": f"{told}{example}"}


def _put(said: Explanation, speech: Speech, due: str) -> str:
    """Returns an agreement in words of one language, as Markdown."""
    say = speech.say
    columns = "\n".join(
        f"| {c.name} | {c.label} | {c.form} | {c.classification} | {c.legal_basis} |" for c in said.columns
    )
    leaving = ""
    if said.rows_leaving is not None:
        leaving = say(
            f"（现有 {said.rows_in_force:,} 行中的 {said.rows_leaving:,} 行）",
            f" ({said.rows_leaving:,} of {said.rows_in_force:,} rows now)",
        )
    nothing = say("无", "nothing")
    withheld, told = (", ".join(names) or nothing for names in (said.withheld, said.told_by_filter))
    head = say(
        "字段 | 名称 | 交付形式 | 定级 | 单独依据", "column | label | leaves | classified | legal basis of its own"
    )
    parts = (
        f"{said.purpose} {said.legal_basis} {said.usage} {said.limitations}",
        " ".join((say(f"{said.valid}。", f"{said.valid}."), said.when, said.how, said.kept, said.secrecy)),
        say(
            f"行：{said.rows}{leaving}。不提供：{withheld}。\n由筛选可知的未提供字段：{told}。",
            f"Rows: {said.rows}{leaving}. Not given: {withheld}.\nOf what is not given, the rows tell: {told}.",
        ),
        f"| {head} |\n|---|---|---|---|---|\n{columns}",
        say(f"须于 {due}（北京时间）前答复。", f"The answer is due at {due}, Beijing time."),
    )
    return "\n\n".join(parts)


def _record(agreement: IndexedAgreement, answered: Any) -> bool:
    from crossdock.reviews import answer, demand_wording

    by = answered["responded_by_user"]
    with exchange_at_work() as exchange:
        demand_wording(exchange, agreement.id, agreement.digest)
        given = answer(
            exchange,
            agreement.id,
            approved=answered["chosen_options"] == [_YES],
            reason=reason_of(answered),
            by=str(by["name"] or by["id"]),
        )
    return bool(given.review and given.review.approved)
