"""What consumers are owed: agreements in force whose consumer does not hold the newest snapshot, and since when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

from crossdock.contracts.agreement import ONCE, Agreement
from crossdock.delivery.decide import its_turn
from crossdock.exchange import Exchange
from crossdock.reviews import decided
from crossdock.storage.delivered import last_delivered
from crossdock.storage.recalls import RECALL
from crossdock.storage.records import (
    Delivery,
    latest_snapshot,
    snapshots_after,
    unfinished_deliveries,
)
from crossdock.storage.rejections import Rejection, rejections
from crossdock.wordings import astray

State = Literal["failing", "waiting", "due", "rejected", "astray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One agreement that is behind.

    `state`: "failing" when a delivery was tried and has not arrived, "waiting" until its frequency lets it go,
    "rejected" when all arrived but for some records that the consumer rejects, else "due". "astray" is a delivery that may
    have arrived, unbooked, where its connection led before: set the connection as it was, and it is looked for there.
    """

    agreement: str
    consumer: str
    state: State
    snapshots: int  # accepted since the consumer got one; 0 when only the agreement changed
    since: str  # when the first of them was accepted (or, without one, the newest)
    age_seconds: float
    tried_at: str | None  # the first attempt at what has not arrived
    last_delivered: str | None
    rejected: int  # records that the consumer rejects, each for itself
    maybe_at: str = ""  # the address of what is astray

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return asdict(self)


def backlog(exchange: Exchange) -> list[Owed]:
    """Returns every agreement that is behind, the longest one first."""
    agreements = exchange.catalogue.agreements.values()
    found = [each for agreement in agreements for each in _owed(exchange, agreement)]
    return sorted(found, key=lambda each: (-each.age_seconds, each.agreement))


def _owed(exchange: Exchange, agreement: Agreement) -> Iterator[Owed]:
    now, contract = exchange.clock(), exchange.contract(agreement.dataset)
    yield from _astray(exchange, agreement)
    snapshot = latest_snapshot(exchange.state, agreement.dataset)
    if snapshot is None or not decided(exchange, agreement, contract).allowed:
        return
    last = last_delivered(exchange.state, agreement.id)
    rejected = rejections(exchange.state, agreement.id)
    if last and (last.snapshot, last.agreement_digest) == (snapshot.id, agreement.digest):
        if rejected:
            yield _behind(now, agreement, last, rejected, state="rejected", since=rejected[0].first_at)
        return
    turn = its_turn(agreement, version=last.agreement_version, last=last.delivered_at or "", now=now) if last else None
    if turn and not turn.allowed and agreement.frequency == ONCE:
        return  # all that was granted was given
    many, since = snapshots_after(exchange.state, agreement.dataset, last.snapshot_seq if last else 0)
    tried = _tried(exchange, agreement, last)
    began = since or snapshot.accepted_at
    state: State = "failing" if tried else "waiting" if turn and not turn.allowed else "due"
    yield replace(_behind(now, agreement, last, rejected, state=state, since=began), snapshots=many, tried_at=tried)


def _astray(exchange: Exchange, agreement: Agreement) -> Iterator[Owed]:
    for each in unfinished_deliveries(exchange.state, agreement.id):
        where = astray(exchange, each, agreement)
        if where:
            last = last_delivered(exchange.state, agreement.id)
            lost = _behind(exchange.clock(), agreement, last, (), state="astray", since=each.intended_at)
            yield replace(lost, tried_at=each.intended_at, maybe_at=where)


def _behind(  # noqa: PLR0913 - what both kinds of debt have
    now: datetime,
    agreement: Agreement,
    last: Delivery | None,
    rejected: Sequence[Rejection],
    *,
    state: State,
    since: str,
) -> Owed:
    return Owed(
        agreement=agreement.id,
        consumer=agreement.consumer,
        state=state,
        snapshots=0,
        since=since,
        age_seconds=(now - datetime.fromisoformat(since)).total_seconds(),
        tried_at=None,
        last_delivered=last.delivered_at if last else None,
        rejected=len(rejected),
    )


def _tried(exchange: Exchange, agreement: Agreement, last: Delivery | None) -> str | None:
    """Returns when the oldest attempt was made that came after the last delivery and has not arrived."""
    after = (last.snapshot_seq, last.intended_at) if last else (-1, "")
    tries = [
        each.intended_at
        for each in unfinished_deliveries(exchange.state, agreement.id)
        if each.mode != RECALL and (each.snapshot_seq, each.intended_at) > after
    ]
    return min(tries, default=None)
