"""The steward's DAGs, started by hand: release quarantined rows once a person has approved it, or judge them again.

What joins the snapshot is announced as a department's new data, so the DAGs that deliver it follow by themselves.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetAlias, Param, task
from airflow.sdk.exceptions import AirflowSkipException

from crossdock.airflow.asking import REASON, Approval, reason_of
from crossdock.airflow.assets import department_asset
from crossdock.airflow.operators import RETRIES
from crossdock.airflow.work import exchange_at_work

_MENDED = AssetAlias("crossdock_mended")
_SAMPLES = 6


def release_dag() -> DAG:
    """Returns `quarantine__release`: show what a verdict set aside, wait for a person, waive, and judge again."""
    with DAG(
        "quarantine__release",
        schedule=None,
        params={
            "verdict": Param("", type="string", title="Verdict", description="An id from `crossdock quarantine list`."),
            "rules": Param([], type="array", title="Rules", description="Waive these only; none: all that can be."),
        },
        default_args=RETRIES,
        tags=["crossdock", "quarantine"],
        doc_md="Accepts quarantined rows although they break rules, once somebody has approved it and said why.",
    ) as dag:

        @task(doc_md="Tells what is in quarantine: counts, reasons, and samples by shape, never a value.")
        def look(**context: Any) -> dict[str, str]:
            return _described(str(context["params"]["verdict"]))

        approve = Approval(
            task_id="approve",
            subject="{{ ti.xcom_pull('look')['subject'] }}",
            body="{{ ti.xcom_pull('look')['body'] }}",
            params={REASON: Param("", type="string", title="Reason", description="Needed; kept for ever.")},
            doc_md="Waits for a person; what they write and who they are is recorded with the rows.",
        )

        @task(doc_md="Records who waives which rules for which rows, and why.")
        def release(**context: Any) -> str:
            return _release(context["params"], context["ti"].xcom_pull(task_ids="approve"))

        released = release()
        look() >> approve >> released
        _judge_again(released)  # type: ignore[arg-type] # TaskFlow resolves it
    return dag


def replay_dag() -> DAG:
    """Returns `quarantine__replay`: judge a dataset's quarantined rows again after something was mended."""
    with DAG(
        "quarantine__replay",
        schedule=None,
        params={"dataset": Param("", type="string", title="Dataset", description="<department>/<dataset>")},
        default_args=RETRIES,
        tags=["crossdock", "quarantine"],
        doc_md="Judges a dataset's quarantined rows again after its contract, a transform or a reference was mended.",
    ) as dag:
        _judge_again("{{ params.dataset }}")
    return dag


def _described(verdict_id: str) -> dict[str, str]:
    from crossdock import stewardship
    from crossdock.language.speech import in_both

    with exchange_at_work() as exchange:
        verdict, entry = stewardship.held(exchange, verdict_id)
        shown = stewardship.sample(exchange, verdict, most=_SAMPLES)
    findings = "\n".join(f"| {f.rule} | {in_both(f.reason)} | {f.rows:,} |" for f in verdict.findings)
    shapes = "\n".join(
        f"| {sample.arrival:,} | {column} | `{'' if shape is None else shape}` |"
        for sample in shown
        for column, shape in sample.shapes.items()
    )
    return {
        "subject": f"Release {entry.rows:,} rows of {verdict.dataset}?",
        "body": f"{verdict.accepted:,} of {verdict.rows:,} rows were accepted under contract {verdict.contract_version}."
        f"\n\n| rule | reason | rows |\n|---|---|---|\n{findings}\n\n| row | column | shape |\n|---|---|---|\n{shapes}\n",
    }


def _release(params: Any, answer: Any) -> str:
    """Records the waiver and returns its dataset."""
    from crossdock import stewardship

    by = answer["responded_by_user"]
    with exchange_at_work() as exchange:
        waiver = stewardship.release(
            exchange,
            str(params["verdict"]),
            rules=[str(rule) for rule in params["rules"]],
            reason=reason_of(answer),
            by=str(by["name"] or by["id"]),
        )
    return waiver.dataset


@task(task_id="replay", outlets=[_MENDED], doc_md="Judges the rows again; what passes joins the snapshot.")
def _judge_again(dataset: str, **context: Any) -> dict[str, Any]:
    from crossdock import stewardship

    with exchange_at_work() as exchange:
        done = stewardship.replay(exchange, dataset)
    if done.verdict is None:
        raise AirflowSkipException(f"Nothing that the {done.rows:,} rows of {dataset} are judged by has changed.")
    context["outlet_events"][_MENDED].add(department_asset(dataset.partition("/")[0]))
    from airflow.providers.openlineage.api import is_openlineage_active

    if is_openlineage_active():
        from crossdock.airflow import lineage

        lineage.tell_of_validation(context["ti"], done.verdict.id, of="quarantine")
    return {"dataset": dataset, "rows": done.rows, "mended": done.mended, "verdict": done.verdict.id}
