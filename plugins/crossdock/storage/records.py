"""The rows of state: what the exchange knows of extracts, verdicts, snapshots, deliveries and refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from crossdock.contracts.zone import day_at
from crossdock.errors import WrongUse
from crossdock.identity import RowsDigest
from crossdock.storage import tables
from crossdock.storage.rows import add, columns_of, newest_snapshot, one, standing
from crossdock.storage.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken promise of a contract: the rule, why, and how many rows. Never holds a value of a row."""

    rule: str
    column: str
    reason: str
    rows: int
    severity: str = "error"

    def to_dict(self) -> dict[str, str | int]:
        """Returns the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Reads the JSON form."""
        return cls(**value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """What one pull brought, after the value `watermark` (None: everything), or quarantined rows to be judged again."""

    id: str
    dataset: str
    key: str
    rows: int
    sha256: str
    digest: RowsDigest
    drift: Mapping[str, Sequence[str]]
    watermark: str | None
    incremental: bool
    pulled_at: str
    replays: Sequence[str] | None = None  # the verdicts that set its rows aside; None for what was pulled


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of validating an extract."""

    id: str
    extract: str
    dataset: str
    contract_version: str
    contract_digest: str
    outcome: str
    rows: int
    accepted: int
    quarantined: int
    accepted_digest: RowsDigest
    quarantined_digest: RowsDigest
    findings: tuple[Finding, ...]
    quarantine_key: str | None
    result_key: str
    validated_at: str
    profile: Mapping[str, Any] | None = None

    @property
    def pass_rate(self) -> float:
        """The share of the extract's rows that were accepted, from 0 to 1; nothing of nothing is all of it."""
        return self.accepted / self.rows if self.rows else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The accepted rows that may be shared; `seq` orders all snapshots by when they came into force."""

    id: str
    dataset: str
    verdict: str
    key: str
    rows: int
    sha256: str
    digest: RowsDigest
    accepted_at: str
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One snapshot going to one consumer under one agreement; the fields after `intended_at` come with completion."""

    id: str
    agreement: str
    agreement_version: str
    agreement_digest: str
    dataset: str
    department: str
    consumer: str
    channel: str
    mode: str
    snapshot: str
    snapshot_seq: int
    intended_at: str
    status: str = "intended"
    delivered_at: str | None = None
    counts: Mapping[str, int] | None = None
    digests: Mapping[str, str] | None = None
    manifest_key: str | None = None
    manifest_sha256: str | None = None
    received_key: str | None = None
    receipt: Mapping[str, Any] | None = None

    @property
    def day(self) -> date:
        """The day of the first attempt: what a row filter calls today, however often it is tried."""
        return day_at(datetime.fromisoformat(self.intended_at))

    @property
    def order(self) -> tuple[int, str]:
        """Its place among the deliveries under its agreement: what is less was made of older data, or begun before."""
        return self.snapshot_seq, self.intended_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A delivery that an agreement did not allow, and why."""

    id: str
    agreement: str
    dataset: str
    consumer: str
    snapshot: str | None
    reason: str
    refused_at: str


def record_extract(state: State, extract: Extract) -> None:
    """Records an extract; one that is known only moves its pull time forward."""
    table = tables.extract
    with state.begin() as connection:
        if not add(connection, table, columns_of(extract)):
            older = table.update().where(table.c.id == extract.id, table.c.pulled_at < extract.pulled_at)
            connection.execute(older.values(pulled_at=extract.pulled_at))


def extract_by_id(state: State, extract_id: str) -> Extract:
    """Returns an extract.

    Raises:
        WrongUse: there is none of that id.
    """
    with state.connect() as connection:
        row = one(connection, tables.extract, tables.extract.c.id == extract_id)
    if row is None:
        raise WrongUse(f"There is no extract '{extract_id}'.", where="state", fix="Pull the dataset first.")
    return Extract(**{**row, "digest": RowsDigest.parse(row["digest"])})


def last_pulled(state: State, dataset: str) -> str | None:
    """Returns the instant of a dataset's newest pull, or None when it was never pulled."""
    query = sa.select(sa.func.max(tables.extract.c.pulled_at)).where(tables.extract.c.dataset == dataset)
    with state.connect() as connection:
        found: str | None = connection.execute(query).scalar_one()
    return found


def verdict_by_id(state: State, verdict_id: str) -> Verdict | None:
    """Returns a verdict, or None."""
    with state.connect() as connection:
        row = one(connection, tables.verdict, tables.verdict.c.id == verdict_id)
    return _verdict(row) if row else None


def verdicts(state: State, *, dataset: str | None = None, most: int | None = None) -> list[Verdict]:
    """Returns verdicts (of one dataset, or all), newest first, at most so many."""
    query = tables.verdict.select().order_by(tables.verdict.c.validated_at.desc(), tables.verdict.c.id).limit(most)
    if dataset is not None:
        query = query.where(tables.verdict.c.dataset == dataset)
    with state.connect() as connection:
        return [_verdict(row) for row in connection.execute(query).mappings()]


def latest_snapshot(state: State, dataset: str) -> Snapshot | None:
    """Returns the snapshot in force for a dataset, or None when nothing was ever accepted."""
    with state.connect() as connection:
        row = newest_snapshot(connection, tables.snapshot.c.dataset == dataset)
    return _snapshot(row) if row else None


def snapshot_by_seq(state: State, seq: int) -> Snapshot | None:
    """Returns the snapshot at a place in the order of acceptance, or None."""
    with state.connect() as connection:
        row = one(connection, tables.snapshot, tables.snapshot.c.seq == seq)
    return _snapshot(row) if row else None


def snapshots_after(state: State, dataset: str, seq: int) -> tuple[int, str | None]:
    """Returns how many of a dataset's snapshots came after one, and when the first of them did."""
    table = tables.snapshot
    query = sa.select(sa.func.count(), sa.func.min(table.c.accepted_at))
    with state.connect() as connection:
        found = connection.execute(query.where(table.c.dataset == dataset, table.c.seq > seq)).one()
    return int(found[0]), found[1]


def intend_delivery(state: State, delivery: Delivery) -> Delivery:
    """Records the intent to deliver before anything leaves; returns the row as it stands (perhaps delivered already)."""
    with state.begin() as connection:
        return Delivery(**standing(connection, tables.delivery, columns_of(delivery)))


def complete_delivery(connection: Connection, delivery: Delivery) -> bool:
    """Marks an intended delivery as delivered, in the caller's transaction.

    Returns:
        False when another writer completed it first: the caller must then append nothing.
    """
    done = replace(delivery, status="delivered")
    fence = tables.delivery.update().where(tables.delivery.c.id == delivery.id, tables.delivery.c.status != "delivered")
    return connection.execute(fence.values(columns_of(done))).rowcount == 1


def supersede_delivery(state: State, delivery: Delivery) -> None:
    """Notes that an intended delivery will not arrive any more; should it have all the same, it can still be completed."""
    table = tables.delivery
    never = table.update().where(table.c.id == delivery.id, table.c.status == "intended")
    with state.begin() as connection:
        connection.execute(never.values(status="superseded"))


def forget_delivery(state: State, delivery: Delivery) -> None:
    """Takes the record of a superseded delivery away; of one that was completed after all it stays."""
    table, given_up = tables.delivery, tables.given_up
    never = sa.and_(table.c.id == delivery.id, table.c.status == "superseded")
    with state.begin() as connection:
        connection.execute(given_up.delete().where(given_up.c.id.in_(sa.select(table.c.id).where(never))))
        connection.execute(table.delete().where(never))


def delivery_by_id(state: State, delivery_id: str) -> Delivery | None:
    """Returns a delivery, or None."""
    with state.connect() as connection:
        row = one(connection, tables.delivery, tables.delivery.c.id == delivery_id)
    return Delivery(**row) if row else None


def unfinished_deliveries(state: State, agreement: str) -> list[Delivery]:
    """Returns an agreement's deliveries that were intended but never booked, oldest snapshot first."""
    table = tables.delivery
    query = (
        table.select()
        .where(table.c.agreement == agreement, table.c.status == "intended")
        .order_by(table.c.snapshot_seq, table.c.id)
    )
    with state.connect() as connection:
        return [Delivery(**row) for row in connection.execute(query).mappings()]


def deliveries(state: State) -> list[Delivery]:
    """Returns all deliveries, newest first."""
    query = tables.delivery.select().order_by(tables.delivery.c.intended_at.desc(), tables.delivery.c.id)
    with state.connect() as connection:
        return [Delivery(**row) for row in connection.execute(query).mappings()]


def record_refusal(state: State, refusal: Refusal) -> None:
    """Records a refusal; the same one is recorded once."""
    with state.begin() as connection:
        add(connection, tables.refusal, columns_of(refusal))


def refusals(state: State) -> list[Refusal]:
    """Returns all refusals, newest first."""
    query = tables.refusal.select().order_by(tables.refusal.c.refused_at.desc(), tables.refusal.c.id)
    with state.connect() as connection:
        return [Refusal(**row) for row in connection.execute(query).mappings()]


def _snapshot(row: RowMapping) -> Snapshot:
    return Snapshot(**{**row, "digest": RowsDigest.parse(row["digest"])})


def _verdict(row: RowMapping) -> Verdict:
    digests = {name: RowsDigest.parse(row[name]) for name in ("accepted_digest", "quarantined_digest")}
    return Verdict(**{**row, **digests, "findings": tuple(Finding.from_dict(f) for f in row["findings"])})
