"""What consumers are owed: agreements in force whose consumer does not hold the newest snapshot, and since when.

What may have arrived where nobody can ask any more is owed too, until somebody gives it up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

from crossdock.contracts.agreement import ONCE, Agreement
from crossdock.delivery.decide import its_turn
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.identity import instant
from crossdock.reviews import decided
from crossdock.storage.delivered import last_delivered
from crossdock.storage.given_up import GivenUp, given_up_by_id, record_given_up
from crossdock.storage.recalls import RECALL
from crossdock.storage.records import (
    Delivery,
    delivery_by_id,
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
    have arrived, unbooked, where its connection led before: set the connection as it was, and it is looked for there; or
    give it up, when that address is gone for good.
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
    delivery: str = ""  # what is astray
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
    turn = its_turn(agreement, last, now=now) if last else None
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
        if where and given_up_by_id(exchange.state, each.id) is None:
            last = last_delivered(exchange.state, agreement.id)
            lost = _behind(exchange.clock(), agreement, last, (), state="astray", since=each.intended_at)
            yield replace(lost, tried_at=each.intended_at, delivery=each.id, maybe_at=where)


def give_up(exchange: Exchange, delivery_id: str, *, reason: str, by: str) -> GivenUp:
    """Takes a delivery that is astray out of the backlog, on record. Twice changes nothing.

    It is no share, as before; should its connection lead where it may be again, it is looked for, and booked if it is there.

    Args:
        exchange: where it was intended.
        delivery_id: which.
        reason: why nobody has to look for it any more.
        by: who says so.

    Raises:
        WrongUse: there is no such delivery, or it is not astray, or no reason.
    """
    found = delivery_by_id(exchange.state, delivery_id)
    if found is None:
        raise WrongUse(
            f"There is no delivery '{delivery_id}'.", fix="`crossdock deliveries backlog` shows what is owed."
        )
    if not reason.strip():
        raise WrongUse("To give a delivery up needs a reason.", where="--reason", fix="Say why nobody can have it.")
    where = astray(exchange, found, exchange.agreement(found.agreement)) if found.status == "intended" else ""
    if not where:
        raise WrongUse(
            f"Delivery {delivery_id} is not astray: its consumer can be asked for it, or it is known what became of it.",
            fix="Only what `crossdock deliveries backlog` calls astray can be given up.",
        )
    told = GivenUp(id=found.id, maybe_at=where, reason=reason, given_up_by=by, given_up_at=instant(exchange.clock()))
    return record_given_up(exchange.state, told)


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
