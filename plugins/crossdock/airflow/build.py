"""Builds the DAGs from the compiled index: one per department that serves, consumer that receives, department that publishes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    DAG,
    AssetAny,
    AssetOrTimeSchedule,
    MultipleCronTriggerTimetable,
    get_parsing_context,
    task,
    task_group,
)
from airflow.sdk.exceptions import AirflowSkipException

from crossdock.airflow.assets import department_asset
from crossdock.airflow.operators import NotifyOperator, PublishOperator, PullOperator, PushOperator, ValidateOperator
from crossdock.airflow.schedules import kind_of_run
from crossdock.airflow.work import exchange_at_work, home_folder
from crossdock.contracts.agreement import AT_CHANGES
from crossdock.contracts.index import Index, IndexedAgreement, IndexedDataset, IndexedDepartment, load_index
from crossdock.contracts.schedules import due

START = pendulum.datetime(2026, 1, 1, tz="UTC")


def index(home: Path | None = None) -> Index:
    """Returns the index of the exchange's contracts, compiled only when one changed."""
    home = home or home_folder()
    return load_index(home / "contracts", home / "var" / "index.json", transforms=home / "transforms")


def receive_dags(found: Index) -> Iterator[DAG]:
    """Yields a `receive__<department>` DAG per department with datasets: pull and validate what is due, then tell."""
    for department in found.departments:
        name = f"receive__{department.id}"
        if department.datasets and wanted(name):
            yield _receive(name, department)


def share_dags(found: Index) -> Iterator[DAG]:
    """Yields a `share__<consumer>` DAG per consumer: one push task per agreement."""
    for consumer, agreements in sorted(found.shares().items()):
        name = f"share__{consumer}"
        if wanted(name):
            yield _hand_over(name, PushOperator, agreements, f"What {consumer} receives under its agreements.")


def publish_dags(found: Index) -> Iterator[DAG]:
    """Yields a `publish__<department>` DAG per department with publications: one publish task per dataset."""
    for department, agreements in sorted(found.publications().items()):
        name = f"publish__{department}"
        if wanted(name):
            yield _hand_over(name, PublishOperator, agreements, f"What {department} publishes as open data.")


def audit_dag() -> DAG:
    """Returns the nightly `audit` DAG: the ledger is verified, recounted and signed."""
    with DAG(
        "audit",
        schedule="@daily",
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=["crossdock"],
        doc_md="Verifies the whole ledger from its files, recounts every share, and, if all is sound, signs the day, "
        "compacts event files, and deletes those that are older than `[crossdock] events_kept`.",
    ) as dag:

        @task(doc_md="Recomputes the ledger from its files; fails when a place is broken or the counts differ.")
        def audit() -> dict[str, Any]:
            from airflow.sdk.configuration import conf

            from crossdock import pipeline
            from crossdock.airflow import metrics
            from crossdock.backlog import backlog
            from crossdock.errors import LedgerBroken

            with exchange_at_work() as exchange:
                found = pipeline.audit(exchange, keep=conf.get("crossdock", "events_kept", fallback=""))
                metrics.audited(sound=found.sound)
                metrics.owed(backlog(exchange))
                if not found.sound:
                    first = found.breaks[0].what if found.breaks else "The three ways of counting shares differ."
                    raise LedgerBroken(first, where="ledger", fix="Run `crossdock ledger verify`.")
            return {"shares": found.counted}

        @task(
            doc_md="Forgets which records consumers hold, where that is of no more use or its agreed life has passed."
        )
        def expire() -> int:
            from crossdock import retention

            with exchange_at_work() as exchange:
                return retention.expire(exchange)

        @task(
            doc_md="Counts downloads and visits in the access logs below `[crossdock] access_logs`; without it, nothing."
        )
        def usage() -> dict[str, int]:
            from airflow.sdk.configuration import conf

            from crossdock.usage.ingest import ingest

            folder = conf.get("crossdock", "access_logs", fallback="")
            if not folder:
                raise AirflowSkipException("[crossdock] access_logs names no folder.")
            with exchange_at_work() as exchange:
                known, key = exchange.catalogue.contracts, exchange.keys.ledger
                ours = {each.strip() for each in conf.get("crossdock", "own_requesters", fallback="").split(",")} - {""}
                return ingest(exchange.state, [Path(folder)], key=key, datasets=known, ours=ours).to_dict()

        audit()
        expire()
        usage()
    return dag


def wanted(dag_id: str) -> bool:
    """Returns whether a DAG is to be built here: a task's own process needs its own only."""
    asked = get_parsing_context().dag_id
    return asked is None or asked == dag_id


def _receive(name: str, department: IndexedDepartment) -> DAG:
    datasets = _in_order(department.datasets)
    with DAG(
        name,
        schedule=_times(dataset.schedule for dataset in datasets),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=["crossdock", "receive", department.id],
        dag_display_name=f"receive {department.zh}",
        doc_md=_receive_doc(department),
    ) as dag:

        @task(doc_md="Lists the datasets whose own frequency says that they are due; a run by hand takes all.")
        def due_datasets(**context: Any) -> list[str]:
            return _due(datasets, by_hand=kind_of_run(context) == "manual", now=context["dag_run"].run_after)

        @task_group
        def dataset(dataset: str) -> None:
            pulled = PullOperator(
                task_id="pull", dataset=dataset, doc_md="Freezes what the source holds as an extract."
            )
            judged = ValidateOperator(
                task_id="validate", extract=pulled.output, doc_md="Judges the extract by its contract."
            )
            if department.told:
                told = NotifyOperator(
                    task_id="notify",
                    extract=pulled.output,
                    trigger_rule="all_done",
                    doc_md="Tells the department what is wrong with its rows.",
                )
                judged >> told
                # A leaf of its own, so that a rejected extract still fails the run.
                judged >> EmptyOperator(task_id="judged")

        @task(
            trigger_rule="all_done",
            outlets=[department_asset(department.id)],
            doc_md="Tells the DAGs that deliver this department's data; skipped when nothing was accepted.",
        )
        def announce(**context: Any) -> list[str]:
            pulled = context["ti"].xcom_pull(task_ids="due_datasets") or []
            verdicts = context["ti"].xcom_pull(task_ids="dataset.validate", map_indexes=list(range(len(pulled))))
            accepted = [verdict["dataset"] for verdict in verdicts or [] if verdict]
            if not accepted:
                raise AirflowSkipException("No dataset was accepted.")
            return accepted

        # `announce` always ends well; this leaf makes the run fail when a dataset did.
        all_went_well = EmptyOperator(task_id="all_went_well")
        dataset.expand(dataset=due_datasets()) >> [announce(), all_went_well]
    return dag


def _receive_doc(department: IndexedDepartment) -> str:
    rows = "\n".join(f"| {d.title} | `{d.id}` | {d.schedule or 'when asked'} |" for d in department.datasets)
    return f"Pulls and validates the datasets of **{department.zh} / {department.en}**.\n\n| | dataset | frequency |\n|---|---|---|\n{rows}\n"


def _in_order(datasets: tuple[IndexedDataset, ...]) -> list[IndexedDataset]:
    """Puts a dataset after those of the same department that it refers to."""
    placed: dict[str, IndexedDataset] = {}
    waiting = {dataset.id: dataset for dataset in sorted(datasets, key=lambda d: d.id)}
    while waiting:
        free = [d for d in waiting.values() if not (set(d.refers_to) & waiting.keys()) - {d.id}] or list(
            waiting.values()
        )
        for dataset in free:
            placed[dataset.id] = waiting.pop(dataset.id)
    return list(placed.values())


def _due(datasets: list[IndexedDataset], *, by_hand: bool, now: datetime) -> list[str]:
    if by_hand:
        return [dataset.id for dataset in datasets]
    from crossdock.storage.records import last_pulled

    with exchange_at_work() as exchange:
        pulled = {dataset.id: last_pulled(exchange.state, dataset.id) for dataset in datasets}
    return [d.id for d in datasets if due(d.schedule, pulled[d.id], now)]


def _times(frequencies: Iterable[str | None]) -> MultipleCronTriggerTimetable | None:
    """Returns the timetable of every time that one of these states: all share one DAG, and each keeps its own times."""
    crons = sorted({each for each in frequencies if each and each not in AT_CHANGES})
    return MultipleCronTriggerTimetable(*crons, timezone="UTC") if crons else None


def _schedule(agreements: list[IndexedAgreement]) -> Any:
    """Returns when agreements are looked at: at the times they state, and on assets only where one is on change."""
    timetable = _times(a.frequency for a in agreements)
    changing = sorted({a.department for a in agreements if a.frequency in AT_CHANGES})
    if not changing:
        return timetable
    changed = AssetAny(*map(department_asset, changing))
    return AssetOrTimeSchedule(timetable=timetable, assets=changed) if timetable else changed


def _hand_over(name: str, operator: type[Any], agreements: list[IndexedAgreement], doc: str) -> DAG:
    with DAG(
        name,
        schedule=_schedule(agreements),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=["crossdock", name.partition("__")[0]],
        doc_md=doc,
    ) as dag:
        for agreement in agreements:
            operator(
                task_id=agreement.dataset.replace("/", "__"),
                agreement=agreement.id,
                frequency=agreement.frequency,
                map_index_template=None,
                execution_timeout=timedelta(hours=2),
                doc_md=f"Agreement `{agreement.id}`, by {agreement.channel}, {agreement.frequency}.",
            )
    return dag
