"""How a snapshot is handed over under an agreement, to a consumer or to the public: the steps that push and publish share.

decide            may it leave? a no is recorded with its reason, and ends it
finish            an earlier delivery that arrived, but was killed before it was booked, is booked first
intend            a row in the state: from here on, whoever repeats this makes the same delivery
prepare, outbox   files, share events and the ledger entry to come are stored; nothing has left yet
send              the channel (or the open area) takes it: whole or not at all, and once
book              receipt and ledger entry in one transaction: whoever comes second finds them and stops
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path

from crossdock.contracts.agreement import ONCE, Agreement
from crossdock.contracts.model import Contract
from crossdock.delivery.channels.channel import Ahead, wrong_options
from crossdock.delivery.cuts import Cut
from crossdock.delivery.decide import day_of, delivery_id, its_turn
from crossdock.delivery.prepare import prepare
from crossdock.delivery.prepared import Events, Prepared
from crossdock.delivery.rejections import RecordsRejected
from crossdock.delivery.terms import Terms
from crossdock.dispatch import Deal, dispatch, finish_arrived, held, is_held
from crossdock.errors import LedgerBroken
from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.fingerprints import shelf_name
from crossdock.identity import content_id, instant
from crossdock.refusals import refuse
from crossdock.reviews import decided
from crossdock.routes import Route
from crossdock.storage.delivered import last_delivered
from crossdock.storage.recalls import RECALL
from crossdock.storage.records import Delivery, Snapshot, intend_delivery, latest_snapshot
from crossdock.storage.rejections import rejections
from crossdock.storage.shelf import MANY

_ROUNDS = 5  # of rejections, until a consumer that always finds something new is taken at its word


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one agreement: "delivered", "unchanged", "refused" or "waiting" (nothing accepted yet), and why."""

    agreement: str
    status: str
    reason: str
    delivery: str | None = None
    counts: Mapping[str, int] | None = None


def hand_over(exchange: Exchange, agreement: Agreement, route: Route) -> Outcome:
    """Hands the dataset's current snapshot over, if the agreement allows it and the consumer does not have it yet."""
    contract = exchange.contract(agreement.dataset)
    snapshot = latest_snapshot(exchange.state, agreement.dataset)
    now = exchange.clock()
    decision = decided(exchange, agreement, contract)
    if (
        decision.allowed and not agreement.is_publication
    ):  # what its channel can't use is found before anything is begun
        wrong = next((what for _, what, _ in wrong_options(agreement)), None)
        decision = replace(decision, allowed=False, reason=wrong) if wrong else decision
    if not decision.allowed:
        refuse(exchange, agreement, snapshot, decision.reason)
        finish_arrived(exchange, agreement, route)  # what left while it was allowed counts, though nothing more may
        return Outcome(agreement=agreement.id, status="refused", reason=decision.reason)
    if snapshot is None:
        return Outcome(agreement=agreement.id, status="waiting", reason="The dataset has no accepted snapshot yet.")
    finish_arrived(exchange, agreement, route)
    day = day_of(agreement, contract, now)
    last = last_delivered(exchange.state, agreement.id)
    turn = _Turn(agreement=agreement, contract=contract, snapshot=snapshot, last=last, day=day, now=now)
    if last:
        waiting = _holds(exchange, turn, last) or _out_of_turn(exchange, turn, last)
        if waiting:
            return waiting
    for _ in range(_ROUNDS - 1):
        try:
            delivery, prepared = _deliver(exchange, turn, route)
            break
        except RecordsRejected:
            continue  # they are in the error store now: without them
    else:
        delivery, prepared = _deliver(exchange, turn, route)
    return Outcome(
        agreement=agreement.id,
        status="delivered",
        reason=decision.reason,
        delivery=delivery,
        counts=prepared.counts.to_dict(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What a delivery is made of."""

    agreement: Agreement
    contract: Contract
    snapshot: Snapshot
    last: Delivery | None
    day: date | None
    now: datetime

    def held_back(self, exchange: Exchange) -> list[bytes]:
        """Returns the records, by keyed hash, that the consumer has rejected of this snapshot."""
        found = rejections(exchange.state, self.agreement.id)
        return sorted(
            bytes.fromhex(each.record)
            for each in found
            if each.holds_back(self.snapshot.id, self.agreement.digest, self.now)
        )


def _deliver(exchange: Exchange, turn: _Turn, route: Route) -> tuple[str, Prepared]:
    held_back = turn.held_back(exchange)
    name = _name(exchange, turn, held_back)
    intent = intend_delivery(exchange.state, _intent(turn.agreement, turn.snapshot, name, turn.now))
    reached("handover.intended")
    deal = Deal(agreement=turn.agreement, contract=turn.contract, intent=intent)
    return name, dispatch(exchange, deal, route, partial(_made_of, exchange, deal, turn.snapshot, held_back))


def _holds(exchange: Exchange, turn: _Turn, last: Delivery) -> Outcome | None:
    """Returns the outcome when what would be delivered is what was delivered last, else None."""
    agreement, snapshot, day = turn.agreement, turn.snapshot, turn.day
    recalled = last.mode == RECALL
    made_of = (last.snapshot, last.agreement_digest, last.day if day and not recalled else day)
    if made_of != (snapshot.id, agreement.digest, day):
        return None
    if agreement.is_keyed and not recalled and not _has_newest_pseudonyms(exchange, last):
        return None
    if not recalled and len(turn.held_back(exchange)) < len(rejections(exchange.state, agreement.id)):
        return None  # some that were rejected are to be tried again
    reason = "It was recalled: the next snapshot goes, or this one under a changed agreement."
    if not recalled:
        reason = "The consumer holds this snapshot."
    return Outcome(agreement=agreement.id, status="unchanged", reason=reason, delivery=last.id)


def _has_newest_pseudonyms(exchange: Exchange, last: Delivery) -> bool:
    """Looks in the last delivery's manifest whether the pseudonym key was rotated since."""
    told = json.loads(exchange.store.read(str(last.manifest_key)))
    return bool(told["pseudonym_key"] == exchange.keys.protection_version)


def _out_of_turn(exchange: Exchange, turn: _Turn, last: Delivery) -> Outcome | None:
    """Returns the outcome when the agreement's frequency allows nothing now, else None; a grant used up is refused."""
    agreement = turn.agreement
    due = its_turn(agreement, last, now=turn.now)
    if due.allowed:
        return None
    if agreement.frequency == ONCE:
        refuse(exchange, agreement, turn.snapshot, due.reason)
        return Outcome(agreement=agreement.id, status="refused", reason=due.reason)
    return Outcome(agreement=agreement.id, status="waiting", reason=due.reason)


def _name(exchange: Exchange, turn: _Turn, held_back: Sequence[bytes]) -> str:
    """Returns the delivery's id: all that its bytes depend on, so that whoever repeats it makes the same bytes."""
    sequence = turn.snapshot.seq or 0
    base = delivery_id(turn.agreement, snapshot=turn.snapshot.id, sequence=sequence, keys=exchange.keys)
    last, day = turn.last.id if turn.last else None, turn.day.isoformat() if turn.day else None
    left_out = [record.hex() for record in held_back]
    forgotten = turn.last is not None and turn.agreement.delivery.mode == "changes" and not is_held(exchange, turn.last)
    return content_id(
        base, turn.contract.digest, last, day, *([left_out] if left_out else []), *forgotten * ["forgotten"]
    )


def _intent(agreement: Agreement, snapshot: Snapshot, name: str, now: datetime) -> Delivery:
    return Delivery(
        id=name,
        agreement=agreement.id,
        agreement_version=agreement.version,
        agreement_digest=agreement.digest,
        dataset=agreement.dataset,
        department=agreement.provider,
        consumer=agreement.consumer,
        channel=agreement.delivery.channel,
        mode=agreement.delivery.mode,
        snapshot=snapshot.id,
        snapshot_seq=snapshot.seq or 0,
        intended_at=instant(now),
    )


def _made_of(  # noqa: PLR0913, PLR0917 - the first four are bound by the caller
    exchange: Exchange,
    deal: Deal,
    snapshot: Snapshot,
    held_back: Sequence[bytes],
    scratch: Path,
    events: Events,
    ahead: Ahead | None,
) -> Prepared:
    """Prepares what the agreement makes of a snapshot, and sees that it is the snapshot that was accepted."""
    rows = exchange.dataset(snapshot.key)
    prepared = prepare(
        deal.agreement,
        Terms.of(deal.agreement, deal.contract, rows.schema, exchange.keys, today=deal.intent.day),
        rows,
        previous=held(exchange, last_delivered(exchange.state, deal.agreement.id)),
        scratch=scratch,
        events=events,
        ahead=ahead,
        held_back=held_back,
        cut=None if held_back else _cut(exchange, deal, snapshot),
        prints=_prints(exchange, deal, snapshot, scratch),
    )
    if prepared.digests.accepted != snapshot.digest:
        raise LedgerBroken(
            f"The snapshot holds {prepared.digests.accepted.rows:,} rows that are not those which were accepted.",
            where=snapshot.key,
            fix="Nothing has left. The file was changed after its verdict: put back the one that the state names.",
        )
    return prepared


def _prints(exchange: Exchange, deal: Deal, snapshot: Snapshot, scratch: Path) -> Path | None:
    """Returns the fingerprints of the snapshot's rows, if changes are asked for and they are on the shelf."""
    path = scratch / "fingerprints"
    wanted = deal.agreement.delivery.mode == "changes" and snapshot.rows >= MANY
    return path if wanted and exchange.shelf.take(shelf_name(snapshot.sha256, exchange.keys.ledger), path) else None


def _cut(exchange: Exchange, deal: Deal, snapshot: Snapshot) -> Cut | None:
    """Returns under what name others find what is made of the snapshot's rows, where it is worth it."""
    if snapshot.rows < MANY:
        return None
    agreement, contract = deal.agreement, deal.contract
    day = day_of(agreement, contract, datetime.fromisoformat(deal.intent.intended_at))
    return Cut.of(exchange.shelf, contract, agreement.rows, day, sha256=snapshot.sha256, accepted=snapshot.digest)
