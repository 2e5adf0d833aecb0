"""Looks over all datasets and deliveries at once, each by an index: what a dashboard asks, and never a whole table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from crossdock.storage.records import Delivery, Finding, Refusal
from crossdock.storage.rows import tuples
from crossdock.storage.state import State
from crossdock.storage.tables import delivery, extract, quarantine, refusal, snapshot, verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one dataset stands: its newest pull, its newest verdict, and the snapshot in force; None = never."""

    dataset: str
    pulled_at: str | None
    verdict: str | None
    outcome: str | None
    rows: int | None
    accepted: int | None
    quarantined: int | None
    shared_rows: int | None  # of the snapshot in force
    shared_verdict: str | None  # the verdict that accepted it
    accepted_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One verdict, without its findings."""

    id: str
    outcome: str
    rows: int
    accepted: int
    quarantined: int
    contract_version: str
    validated_at: str


def standings(state: State, datasets: Sequence[str]) -> list[Standing]:
    """Returns how each dataset stands, in the order given: one look into an index per dataset and kind."""
    named = _named(state, datasets)

    def newest(table: sa.Table, by: str, wanted: str) -> sa.ScalarSelect[Any]:
        query = sa.select(table.c[wanted]).where(table.c.dataset == named.c.dataset)
        return query.order_by(table.c[by].desc()).limit(1).correlate(named).scalar_subquery()

    ends = sa.select(
        named.c.dataset,
        newest(extract, "pulled_at", "pulled_at").label("pulled_at"),
        newest(verdict, "validated_at", "id").label("verdict"),
        newest(snapshot, "seq", "seq").label("snapshot"),
    ).cte("ends")
    query = (
        sa.select(
            ends.c.dataset, ends.c.pulled_at, ends.c.verdict, verdict.c.outcome, verdict.c.rows, verdict.c.accepted,
            verdict.c.quarantined, snapshot.c.rows.label("shared_rows"), snapshot.c.verdict.label("shared_verdict"),
            snapshot.c.accepted_at,
        )
        .join_from(ends, verdict, verdict.c.id == ends.c.verdict, isouter=True)
        .join(snapshot, snapshot.c.seq == ends.c.snapshot, isouter=True)
    )  # fmt: skip
    with state.connect() as connection:
        rows = [dict(zip(Standing.__slots__, row, strict=True)) for row in tuples(connection, query)]
    found = {row["dataset"]: Standing(**row) for row in rows}
    return [found[each] for each in datasets]


def _named(state: State, datasets: Sequence[str]) -> sa.CTE:
    """Returns names as rows, given as one JSON parameter: spelling thousands of them out takes longer than the answer."""
    names = sa.literal(json.dumps(list(datasets)), sa.String)
    if state.engine.dialect.name == "postgresql":
        value: Any = sa.func.jsonb_array_elements_text(sa.cast(names, JSONB)).column_valued("value")
    else:
        value = sa.func.json_each(names).table_valued("value").c.value
    return sa.select(value.label("dataset")).cte("named")


def judged(state: State, dataset: str, *, limit: int) -> list[Judged]:
    """Returns a dataset's newest verdicts, newest first."""
    query = (
        sa.select(*(verdict.c[name] for name in Judged.__slots__))
        .where(verdict.c.dataset == dataset)
        .order_by(verdict.c.validated_at.desc(), verdict.c.id)
        .limit(limit)
    )
    with state.connect() as connection:
        return [Judged(**row) for row in connection.execute(query).mappings()]


def open_findings(state: State, *, department: str | None = None) -> list[tuple[str, Finding]]:
    """Returns, with its dataset, each finding that put rows into quarantine which are still there."""
    query = (
        sa.select(quarantine.c.dataset, verdict.c.findings)
        .join(verdict, verdict.c.id == quarantine.c.id)
        .where(quarantine.c.status == "open")
    )
    if department:
        query = query.where(quarantine.c.dataset.startswith(f"{department}/", autoescape=True))
    with state.connect() as connection:
        rows = connection.execute(query).all()
    findings = [(dataset, Finding.from_dict(each)) for dataset, found in rows for each in found]
    return [(dataset, finding) for dataset, finding in findings if finding.severity == "error"]


def newest_deliveries(state: State, *, party: str | None, limit: int) -> list[Delivery]:
    """Returns the newest deliveries, of all or of those that a department provides or receives."""
    return _newest(state, lambda query: query, party, limit)


def unfinished(state: State, *, before: str, party: str | None, limit: int) -> list[Delivery]:
    """Returns deliveries that were intended before an instant and have not arrived, newest first."""
    waiting = sa.and_(delivery.c.status == "intended", delivery.c.intended_at < before)
    return _newest(state, lambda query: query.where(waiting), party, limit)


def under_agreement(state: State, agreement: str, *, limit: int) -> list[Delivery]:
    """Returns an agreement's newest deliveries."""
    return _newest(state, lambda query: query.where(delivery.c.agreement == agreement), None, limit)


def refused(state: State, *, since: str, party: str | None, limit: int) -> list[Refusal]:
    """Returns the newest refusal of each agreement under which nothing was delivered after it, newest first.

    Args:
        state: where they are on record.
        since: an instant; what was refused before is left out.
        party: a department, for what it provides or would receive; None for all.
        limit: how many at most.
    """
    newest_first = refusal.c.refused_at.desc(), refusal.c.id
    place = sa.func.row_number().over(partition_by=refusal.c.agreement, order_by=newest_first)
    query = sa.select(refusal, place.label("place")).where(refusal.c.refused_at >= since)
    if party:
        provided = refusal.c.dataset.startswith(f"{party}/", autoescape=True)
        query = query.where(sa.or_(provided, refusal.c.consumer == party))
    last = query.subquery()
    served = sa.exists().where(
        delivery.c.consumer == last.c.consumer,  # with the instant, an index
        delivery.c.intended_at > last.c.refused_at,
        delivery.c.agreement == last.c.agreement,
        delivery.c.status == "delivered",
    )
    standing = sa.select(*(last.c[column.name] for column in refusal.c)).where(last.c.place == 1, ~served)
    standing = standing.order_by(last.c.refused_at.desc(), last.c.id).limit(limit)
    with state.connect() as connection:
        return [Refusal(**row) for row in connection.execute(standing).mappings()]


def _newest(
    state: State, narrow: Callable[[sa.Select[Any]], sa.Select[Any]], party: str | None, limit: int
) -> list[Delivery]:
    """Asks once per role of the party: the database then walks an index and stops, where an OR would sort."""
    roles = (delivery.c.department == party, delivery.c.consumer == party) if party else (sa.true(),)
    found: dict[str, Delivery] = {}
    with state.connect() as connection:
        for role in roles:
            query = narrow(delivery.select().where(role)).order_by(delivery.c.intended_at.desc(), delivery.c.id)
            found |= {row["id"]: Delivery(**row) for row in connection.execute(query.limit(limit)).mappings()}
    return sorted(found.values(), key=lambda made: (made.intended_at, made.id), reverse=True)[:limit]
