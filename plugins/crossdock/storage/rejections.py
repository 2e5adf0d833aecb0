"""The delivery error store: records that consumers rejected, each by its keyed hash, until a delivery takes them along."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crossdock.identity import content_id, instant
from crossdock.storage import tables
from crossdock.storage.records import Delivery
from crossdock.storage.rows import columns_of, one
from crossdock.storage.state import State

PATIENCE = timedelta(days=1)  # until a record is tried again although neither snapshot nor agreement changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One record that a consumer did not take, when that began, and how often it was tried."""

    id: str
    agreement: str
    record: str
    snapshot: str
    agreement_digest: str
    reason: str
    attempts: int
    first_at: str
    last_at: str
    retry_at: str | None = None
    resolved_at: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return asdict(self)

    def holds_back(self, snapshot: str, agreement_digest: str, at: datetime) -> bool:
        """Returns whether a delivery of a snapshot that is begun at an instant leaves the record out."""
        tried = (self.snapshot, self.agreement_digest) == (snapshot, agreement_digest)
        asked = self.retry_at is not None and self.retry_at <= instant(at)
        return tried and not asked and self.last_at > instant(at - PATIENCE)


def record_rejections(state: State, delivery: Delivery, records: Sequence[tuple[bytes, str]], at: str) -> None:
    """Records what was rejected of a delivery, each record with a reason in one word."""
    table = tables.rejection
    with state.begin() as connection:
        for record, reason in records:
            name = content_id("rejection", delivery.agreement, record.hex())
            row = one(connection, table, table.c.id == name)
            known = Rejection(**row) if row and row["resolved_at"] is None else None
            now = Rejection(
                id=name,
                agreement=delivery.agreement,
                record=record.hex(),
                snapshot=delivery.snapshot,
                agreement_digest=delivery.agreement_digest,
                reason=reason,
                attempts=known.attempts + 1 if known else 1,
                first_at=known.first_at if known else at,
                last_at=at,
            )
            connection.execute(table.delete().where(table.c.id == name))
            connection.execute(table.insert().values(columns_of(now)))


def rejections(state: State, agreement: str = "") -> list[Rejection]:
    """Returns the records that consumers (or one agreement's) still do not have, the oldest first."""
    with state.connect() as connection:
        return _open(connection, agreement)


def resolve_rejections(connection: Connection, delivery: Delivery, at: str) -> None:
    """Notes, in the transaction that books a delivery, that what it did not leave out is rejected no more."""
    begun = datetime.fromisoformat(delivery.intended_at)
    over = [
        each.id
        for each in _open(connection, delivery.agreement)
        if not each.holds_back(delivery.snapshot, delivery.agreement_digest, begun)
    ]
    table = tables.rejection
    for name in over:
        connection.execute(table.update().where(table.c.id == name).values(resolved_at=at))


def retry_rejections(state: State, agreement: str, at: str) -> int:
    """Has an agreement's rejected records tried again by its next delivery, and returns how many there are."""
    table = tables.rejection
    asked = table.update().where(table.c.agreement == agreement, table.c.resolved_at.is_(None))
    with state.begin() as connection:
        return int(connection.execute(asked.values(retry_at=at)).rowcount)


def forget_rejections(state: State, in_force: Collection[str], before: str) -> None:
    """Deletes records last tried before an instant that are rejected no more, or whose agreement is not among those in force."""
    table = tables.rejection
    with state.begin() as connection:
        over = {each.agreement for each in _open(connection, "")}.difference(in_force)
        of_no_use = sa.or_(table.c.resolved_at.is_not(None), table.c.agreement.in_(over))
        connection.execute(table.delete().where(table.c.last_at < before, of_no_use))


def _open(connection: Connection, agreement: str) -> list[Rejection]:
    table = tables.rejection
    query = table.select().where(table.c.resolved_at.is_(None)).order_by(table.c.first_at, table.c.id)
    if agreement:
        query = query.where(table.c.agreement == agreement)
    return [Rejection(**row) for row in connection.execute(query).mappings()]
