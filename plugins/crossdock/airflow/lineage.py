"""What OpenLineage is told of a task, when Airflow's provider for it is configured: datasets, schemas, kept promises.

Datasets are named `<area>/<department>/<dataset>` in one namespace, as they lie in the store (source, landing, accepted,
quarantine, open), and `consumer/<consumer>/<department>/<dataset>`: department -> dataset -> consumer. There are counts
in it, and names that contracts and agreements give; never a value of a row, and no address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    documentation_dataset,
    output_statistics_output_dataset,
    ownership_dataset,
    schema_dataset,
)

from crossdock.airflow.work import exchange_at_work

if TYPE_CHECKING:
    from crossdock.contracts.agreement import Agreement
    from crossdock.contracts.model import Column, Contract
    from crossdock.exchange import Exchange
    from crossdock.storage.records import Extract, Verdict

NAMESPACE = "crossdock"


def of_pull(extract_id: str | None) -> OperatorLineage[Any, Any]:
    """Returns the lineage of a pull that brought an extract; none when it brought nothing."""
    from crossdock.storage.records import extract_by_id

    if extract_id is None:
        return OperatorLineage()
    with exchange_at_work() as exchange:
        extract = extract_by_id(exchange.state, extract_id)
        contract = exchange.contract(extract.dataset)
        source = InputDataset(NAMESPACE, f"source/{contract.id}", facets=_about(contract))
        return OperatorLineage(inputs=[source], outputs=[_output("landing", contract.id, extract.id, extract.rows)])


def of_validation(verdict_id: str | None) -> OperatorLineage[Any, Any]:
    """Returns the lineage of a verdict, with what became of every promise; none when there was no verdict."""
    from crossdock.storage.records import extract_by_id, latest_snapshot, verdict_by_id

    if verdict_id is None:
        return OperatorLineage()
    with exchange_at_work() as exchange:
        verdict = verdict_by_id(exchange.state, verdict_id)
        if verdict is None:
            return OperatorLineage()
        contract = exchange.contract(verdict.dataset)
        outputs = []
        snapshot = latest_snapshot(exchange.state, contract.id)
        if snapshot and snapshot.verdict == verdict.id:
            schema = {"schema": _schema(contract.columns), **_about(contract)}
            outputs.append(_output("accepted", contract.id, snapshot.id, verdict.accepted, **schema))
        if verdict.quarantined:
            outputs.append(_output("quarantine", contract.id, verdict.id, verdict.quarantined))
        judged = _judged(contract, extract_by_id(exchange.state, verdict.extract), verdict)
        return OperatorLineage(inputs=[judged], outputs=outputs)


def of_delivery(agreement_id: str, delivery_id: str | None) -> OperatorLineage[Any, Any]:
    """Returns the lineage of what left under an agreement; without a delivery, that of what would have left."""
    from crossdock.storage.records import delivery_by_id

    with exchange_at_work() as exchange:
        agreement = _agreement(exchange, agreement_id)
        if agreement is None:
            return OperatorLineage()
        contract = exchange.contract(agreement.dataset)
        accepted = InputDataset(NAMESPACE, f"accepted/{contract.id}", facets=_about(contract))
        delivery = delivery_by_id(exchange.state, delivery_id) if delivery_id else None
        if delivery is None or delivery.counts is None:
            return OperatorLineage(inputs=[accepted])
        rows = delivery.counts["inserted"] + delivery.counts["updated"]
        area = "open" if agreement.is_publication else f"consumer/{agreement.consumer}"
        columns = _schema([contract.column(name) for name in agreement.columns])
        return OperatorLineage(
            inputs=[accepted], outputs=[_output(area, contract.id, delivery.id, rows, schema=columns)]
        )


def _agreement(exchange: Exchange, agreement_id: str) -> Agreement | None:
    dataset, _, _ = agreement_id.rpartition("/")
    return exchange.contracts.part(dataset).agreements.get(agreement_id)


def _output(area: str, dataset: str, version: str, rows: int, **facets: DatasetFacet) -> Dataset:
    return OutputDataset(
        NAMESPACE,
        f"{area}/{dataset}",
        facets={"version": dataset_version_dataset.DatasetVersionDatasetFacet(version), **facets},
        outputFacets={
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
        },
    )


def _about(contract: Contract) -> dict[str, DatasetFacet]:
    owner = ownership_dataset.Owner(name=f"department:{contract.department}", type="provider")
    return {
        "documentation": documentation_dataset.DocumentationDatasetFacet(f"{contract.title.zh} / {contract.title.en}"),
        "ownership": ownership_dataset.OwnershipDatasetFacet([owner]),
    }


def _schema(columns: Sequence[Column]) -> schema_dataset.SchemaDatasetFacet:
    return schema_dataset.SchemaDatasetFacet([_field(column, place) for place, column in enumerate(columns, 1)])


def _field(column: Column, place: int) -> schema_dataset.SchemaDatasetFacetFields:
    return schema_dataset.SchemaDatasetFacetFields(
        name=column.field or column.name,
        type=column.type,
        description=column.label or column.description or None,
        ordinal_position=place,
        fields=[_field(child, number) for number, child in enumerate(column.children, 1)],
    )


def _judged(contract: Contract, extract: Extract, verdict: Verdict) -> InputDataset:
    facets: dict[str, InputDatasetFacet] = {
        "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
            columnMetrics={}, rowCount=verdict.rows
        ),
        "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            list(_assertions(contract, verdict))
        ),
    }
    version = dataset_version_dataset.DatasetVersionDatasetFacet(extract.id)
    return InputDataset(NAMESPACE, f"landing/{contract.id}", facets={"version": version}, inputFacets=facets)


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
