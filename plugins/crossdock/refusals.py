"""What does not leave is on record: who was to get what, and why they did not."""

from __future__ import annotations

from dataclasses import dataclass

from crossdock.contracts.agreement import Agreement
from crossdock.errors import DeliveryRefused, WrongUse
from crossdock.exchange import Exchange
from crossdock.identity import content_id, instant
from crossdock.storage.records import Refusal, Snapshot, record_refusal


def demand(exchange: Exchange, agreement_id: str) -> Agreement:
    """Returns the agreement that a delivery is asked for under.

    Raises:
        DeliveryRefused: there is none, so nothing may leave; the refusal is recorded.
        ContractInvalid: its file is there but wrong.
    """
    try:
        return exchange.agreement(agreement_id)
    except WrongUse as error:
        dataset, _, consumer = agreement_id.rpartition("/")
        _record(exchange, _Refused(agreement_id, dataset, consumer), error.what)
        raise DeliveryRefused(error.what, where=error.where, fix=error.fix) from error


def refuse(exchange: Exchange, agreement: Agreement, snapshot: Snapshot | None, reason: str) -> None:
    """Records that a delivery was not allowed; the same refusal is recorded once."""
    asked = _Refused(agreement.id, agreement.dataset, agreement.consumer, agreement.digest, snapshot)
    _record(exchange, asked, reason)


@dataclass(frozen=True, slots=True)
class _Refused:
    """What was asked for and does not leave."""

    agreement: str
    dataset: str
    consumer: str
    digest: str = ""
    snapshot: Snapshot | None = None


def _record(exchange: Exchange, asked: _Refused, reason: str) -> None:
    snapshot = asked.snapshot.id if asked.snapshot else None
    refusal = Refusal(
        id=content_id("refusal", asked.agreement, asked.digest, snapshot, reason),
        agreement=asked.agreement,
        dataset=asked.dataset,
        consumer=asked.consumer,
        snapshot=snapshot,
        reason=reason,
        refused_at=instant(exchange.clock()),
    )
    record_refusal(exchange.state, refusal)
