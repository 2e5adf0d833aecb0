"""What OpenLineage is told of a task, when Airflow's provider for it is configured: datasets, schemas, kept promises.

Datasets are named `<exchange>/<area>/<department>/<dataset>` as they lie in the store (source, landing, accepted,
quarantine, open), and `<exchange>/consumer/<consumer>/<department>/<dataset>`: department -> dataset -> consumer. The
exchange is Airflow's own namespace; it is in the name too, since DataHub looks at no more of a namespace than its scheme.
Their owners are departments. There are counts in it, and names that contracts and agreements give; never a value of a
row, and no address.

Catalogues of tables, as OpenMetadata is one, want names of parts between dots, and tell tables by the last two parts.
So each dataset has an alias beside its name, and its columns wherever it stands: without them it is not drawn there.
(Our names have too many parts to be taken for a table of the department's own.)

A job is drawn with what its last run read and wrote, and a mapped task is one job for all its datasets; one that begins,
or is killed, has read and written nothing yet. So what a task does for one dataset is told when it is done, as a job of
that dataset's own, whose parent the task is; and a dataset that was there and stays as it is, is told too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage import conf
from airflow.providers.openlineage.api import emit
from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.plugins.macros import lineage_job_name, lineage_run_id
from airflow.providers.openlineage.utils.utils import get_processing_engine_facet
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    documentation_dataset,
    job_type_job,
    output_statistics_output_dataset,
    ownership_dataset,
    parent_run,
    schema_dataset,
    symlinks_dataset,
)
from openlineage.client.uuid import generate_new_uuid

from crossdock.airflow.work import exchange_at_work

if TYPE_CHECKING:
    from crossdock.contracts.agreement import Agreement
    from crossdock.contracts.model import Column, Contract
    from crossdock.exchange import Exchange
    from crossdock.handover import Outcome
    from crossdock.storage.records import Extract, Verdict

_PRODUCER = "urn:crossdock"


def tell_of_pull(task: Any, extract_id: str | None) -> OperatorLineage[Any, Any]:
    """Tells of a pull that brought an extract; nothing when it brought none.

    Args:
        task: the task instance.
        extract_id: what it brought.

    Returns:
        What is left to say of the task itself: nothing.
    """
    from crossdock.storage.records import extract_by_id

    if extract_id is not None:
        with exchange_at_work() as exchange:
            extract = extract_by_id(exchange.state, extract_id)
            contract = exchange.contract(extract.dataset)
        columns = _as_pulled(contract)
        source = _input("source", contract.id, columns, _about(contract))
        landed = _output("landing", contract.id, columns, extract.id, rows=extract.rows)
        _tell(task, contract.id, RunState.COMPLETE, [source], [landed])
    return OperatorLineage()


def tell_of_validation(task: Any, verdict_id: str | None, *, of: str = "landing") -> OperatorLineage[Any, Any]:
    """Tells of a verdict, with what became of every promise; nothing when there was none. As `tell_of_pull`.

    Args:
        task: the task instance.
        verdict_id: the verdict.
        of: where the rows lay that were judged.
    """
    from crossdock.storage.records import extract_by_id, latest_snapshot, verdict_by_id

    if verdict_id is None:
        return OperatorLineage()
    with exchange_at_work() as exchange:
        verdict = verdict_by_id(exchange.state, verdict_id)
        if verdict is None:
            return OperatorLineage()
        contract = exchange.contract(verdict.dataset)
        snapshot = latest_snapshot(exchange.state, contract.id)
        judged = _judged(contract, extract_by_id(exchange.state, verdict.extract), verdict, of)
    rejected = verdict.outcome == "rejected"
    outputs = []
    if of != "quarantine":  # else they stay where they are
        outputs.append(_output("quarantine", contract.id, _as_pulled(contract), verdict.id, rows=verdict.quarantined))
    if snapshot:  # what was there stays as it is, also when this extract is rejected
        rows = verdict.accepted if snapshot.verdict == verdict.id else 0
        columns = _schema(contract.columns)
        outputs.insert(0, _output("accepted", contract.id, columns, snapshot.id, rows=rows, **_about(contract)))
    _tell(task, contract.id, RunState.FAIL if rejected else RunState.COMPLETE, [judged], outputs)
    return OperatorLineage()


def tell_of_delivery(task: Any, outcome: Outcome | None) -> OperatorLineage[Any, Any]:
    """Tells of what left under an agreement, now or before; nothing when nothing may leave now. As `tell_of_pull`.

    Args:
        task: the task instance.
        outcome: of the agreement; None when it was not its turn.
    """
    if outcome and outcome.delivery:
        counts = outcome.counts if outcome.status == "delivered" and outcome.counts else {}
        rows = counts.get("inserted", 0) + counts.get("updated", 0)
        _tell_of_agreement(task, outcome.agreement, RunState.COMPLETE, rows)
    return OperatorLineage()


def tell_of_failure(task: Any, agreement_id: str) -> OperatorLineage[Any, Any]:
    """Tells that a delivery failed, and of what had left under its agreement before. As `tell_of_pull`."""
    _tell_of_agreement(task, agreement_id, RunState.FAIL, 0)
    return OperatorLineage()


def _tell_of_agreement(task: Any, agreement_id: str, state: RunState, rows: int) -> None:
    from crossdock.storage.delivered import last_delivered

    with exchange_at_work() as exchange:
        agreement = _agreement(exchange, agreement_id)
        if agreement is None:
            return
        contract = exchange.contract(agreement.dataset)
        last = last_delivered(exchange.state, agreement.id)
    accepted = _input("accepted", contract.id, _schema(contract.columns), _about(contract))
    outputs = []
    if last:
        area = "open" if agreement.is_publication else f"consumer/{agreement.consumer}"
        owned = {} if agreement.is_publication else {"ownership": _owned(agreement.consumer, "consumer")}
        columns = _schema([contract.column(name) for name in agreement.columns])
        outputs.append(_output(area, contract.id, columns, last.id, rows=rows, **owned))
    _tell(task, contract.id, state, [accepted], outputs)


def _tell(task: Any, dataset: str, state: RunState, inputs: list[InputDataset], outputs: list[OutputDataset]) -> None:
    """Tells of what a task did for one dataset, as a job of its own below the task's."""
    namespace, job = conf.namespace(), lineage_job_name(task)
    above = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=lineage_run_id(task)), job=parent_run.Job(namespace=namespace, name=job)
    )
    kind = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="AIRFLOW", jobType="DATASET")
    run = Run(runId=str(generate_new_uuid()), facets={"parent": above, **get_processing_engine_facet()})
    for each in (RunState.START, state):
        emit(
            RunEvent(
                eventTime=datetime.now(UTC).isoformat(),
                producer=_PRODUCER,
                run=run,
                job=Job(namespace=namespace, name=f"{job}.{dataset.replace('/', '.')}", facets={"jobType": kind}),
                inputs=inputs,
                outputs=outputs,
                eventType=each,
            )
        )


def _namespace() -> str:
    """Returns where our datasets are named, as OpenLineage has it: scheme and authority, another for each exchange."""
    return f"crossdock://{conf.namespace()}"


def _agreement(exchange: Exchange, agreement_id: str) -> Agreement | None:
    dataset, _, _ = agreement_id.rpartition("/")
    return exchange.contracts.part(dataset).agreements.get(agreement_id)


def _input(
    area: str,
    dataset: str,
    columns: schema_dataset.SchemaDatasetFacet,
    facets: Mapping[str, DatasetFacet],
    found: Mapping[str, InputDatasetFacet] | None = None,
) -> InputDataset:
    known = {"symlinks": _alias(area, dataset), "schema": columns, **facets}
    return InputDataset(_namespace(), _name(area, dataset), facets=known, inputFacets=dict(found or {}))


def _output(
    area: str,
    dataset: str,
    columns: schema_dataset.SchemaDatasetFacet,
    version: str,
    *,
    rows: int,
    **facets: DatasetFacet,
) -> OutputDataset:
    known = {"symlinks": _alias(area, dataset), "schema": columns, "version": _version(version), **facets}
    return OutputDataset(
        _namespace(),
        _name(area, dataset),
        facets=known,
        outputFacets={
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
        },
    )


def _name(area: str, dataset: str) -> str:
    return f"{conf.namespace()}/{area}/{dataset}"


def _alias(area: str, dataset: str) -> symlinks_dataset.SymlinksDatasetFacet:
    """Returns the name by which a catalogue of tables knows a dataset: its last two parts are no other's, nor the end of any."""
    name = f"crossdock.of-{dataset.replace('/', '-')}.{area.replace('/', '-')}"
    return symlinks_dataset.SymlinksDatasetFacet([symlinks_dataset.Identifier(_namespace(), name, "CATALOG")])


def _version(of: str) -> dataset_version_dataset.DatasetVersionDatasetFacet:
    return dataset_version_dataset.DatasetVersionDatasetFacet(of)


def _about(contract: Contract) -> dict[str, DatasetFacet]:
    return {
        "documentation": documentation_dataset.DocumentationDatasetFacet(f"{contract.title.zh} / {contract.title.en}"),
        "ownership": _owned(contract.department, "provider"),
    }


def _owned(department: str, role: str) -> ownership_dataset.OwnershipDatasetFacet:
    return ownership_dataset.OwnershipDatasetFacet(
        [ownership_dataset.Owner(name=f"department:{department}", type=role)]
    )


def _schema(columns: Sequence[Column]) -> schema_dataset.SchemaDatasetFacet:
    return schema_dataset.SchemaDatasetFacet([_field(column, place) for place, column in enumerate(columns, 1)])


def _as_pulled(contract: Contract) -> schema_dataset.SchemaDatasetFacet:
    """Returns the columns by the names that the source has for them, which landing and quarantine keep."""
    return _schema([replace(column, name=column.source_name) for column in contract.columns])


def _field(column: Column, place: int) -> schema_dataset.SchemaDatasetFacetFields:
    return schema_dataset.SchemaDatasetFacetFields(
        name=column.field or column.name,
        type=column.type,
        description=column.label or column.description or None,
        ordinal_position=place,
        fields=[_field(child, number) for number, child in enumerate(column.children, 1)],
    )


def _judged(contract: Contract, extract: Extract, verdict: Verdict, area: str) -> InputDataset:
    facets: dict[str, InputDatasetFacet] = {
        "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
            columnMetrics={}, rowCount=verdict.rows
        ),
        "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            list(_assertions(contract, verdict))
        ),
    }
    return _input(area, contract.id, _as_pulled(contract), {"version": _version(extract.id)}, facets)


def _assertions(contract: Contract, verdict: Verdict) -> Iterator[data_quality_assertions_dataset.Assertion]:
    """Yields one assertion per rule, and one per finding about what goes without saying."""
    broken = {finding.rule: finding for finding in verdict.findings}
    rules = {rule.id: rule for rule in contract.rules}
    for name, rule in rules.items():
        finding = broken.get(name)
        yield data_quality_assertions_dataset.Assertion(
            assertion=rule.kind,
            success=finding is None,
            column="+".join(rule.columns) or None,
            severity=finding.severity if finding else rule.severity,
            name=name,
            description=rule.reason,
            actual=f"{finding.rows} rows" if finding else None,
        )
    for name in broken.keys() - rules.keys():
        finding = broken[name]
        yield data_quality_assertions_dataset.Assertion(
            assertion=name.rpartition(".")[2],
            success=False,
            column=finding.column or None,
            severity=finding.severity,
            name=name,
            description=finding.reason,
            actual=f"{finding.rows} rows",
        )
