"""How a snapshot is handed over under an agreement, to a consumer or to the public: the steps that push and publish share.

decide            may it leave? a no is recorded with its reason, and ends it
finish            an earlier delivery that arrived, but was killed before it was booked, is booked first
intend            a row in the state: from here on, whoever repeats this makes the same delivery
prepare, outbox   files, share events and the ledger entry to come are stored; nothing has left yet
send              the channel (or the open area) takes it: whole or not at all, and once
book              receipt and ledger entry in one transaction: whoever comes second finds them and stops
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from crossdock.contracts.model import ONCE, Agreement, Contract
from crossdock.delivery.changes import Received
from crossdock.delivery.decide import day_of, decide, delivery_id, its_turn
from crossdock.delivery.manifest import Consignment
from crossdock.delivery.prepare import Prepared, prepare
from crossdock.delivery.terms import Terms
from crossdock.errors import LedgerBroken
from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.identity import content_id, file_sha256, instant
from crossdock.ledger.book import Body, append, fingerprint
from crossdock.ledger.events import EventWriter
from crossdock.refusals import refuse
from crossdock.routes import Route, Sent, outbox
from crossdock.storage.records import (
    Delivery,
    Snapshot,
    complete_delivery,
    intend_delivery,
    last_delivered,
    latest_snapshot,
    unfinished_deliveries,
)
from crossdock.storage.store import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one agreement: "delivered", "unchanged", "refused" or "waiting" (nothing accepted yet), and why."""

    agreement: str
    status: str
    reason: str
    delivery: str | None = None
    counts: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deal:
    """One delivery under way: what goes, under what, by which intent."""

    agreement: Agreement
    contract: Contract
    snapshot: Snapshot
    intent: Delivery


def hand_over(exchange: Exchange, agreement: Agreement, route: Route) -> Outcome:
    """Hands the dataset's current snapshot over, if the agreement allows it and the consumer does not have it yet."""
    contract = exchange.contract(agreement.dataset)
    snapshot = latest_snapshot(exchange.state, agreement.dataset)
    now = exchange.clock()
    decision = decide(agreement, contract, now=now)
    if not decision.allowed:
        refuse(exchange, agreement, snapshot, decision.reason)
        _finish_arrived(exchange, agreement, route)  # what left while it was allowed counts, though nothing more may
        return Outcome(agreement=agreement.id, status="refused", reason=decision.reason)
    if snapshot is None:
        return Outcome(agreement=agreement.id, status="waiting", reason="The dataset has no accepted snapshot yet.")
    _finish_arrived(exchange, agreement, route)
    day = day_of(agreement, contract, now)
    last = last_delivered(exchange.state, agreement.id)
    if last:
        waiting = _holds(last, agreement, snapshot, day) or _out_of_turn(exchange, agreement, snapshot, last, now)
        if waiting:
            return waiting
    name = _name(exchange, agreement, snapshot, last, day)
    intent = intend_delivery(exchange.state, _intent(agreement, snapshot, name, now))
    reached("handover.intended")
    deal = _Deal(agreement=agreement, contract=contract, snapshot=snapshot, intent=intent)
    with exchange.scratch() as scratch:
        prepared, entry = _prepare(exchange, deal, scratch)
        sent = route.send(exchange, _consignment(deal, prepared))
    reached("handover.sent")
    _book(exchange, intent, entry, sent)
    return Outcome(
        agreement=agreement.id,
        status="delivered",
        reason=decision.reason,
        delivery=name,
        counts=prepared.counts.to_dict(),
    )


def _holds(last: Delivery, agreement: Agreement, snapshot: Snapshot, day: date | None) -> Outcome | None:
    """Returns the outcome when what would be delivered is what was delivered last, else None."""
    made_of = (last.snapshot, last.agreement_digest, last.day if day else None)
    if made_of != (snapshot.id, agreement.digest, day):
        return None
    return Outcome(
        agreement=agreement.id, status="unchanged", reason="The consumer holds this snapshot.", delivery=last.id
    )


def _out_of_turn(
    exchange: Exchange, agreement: Agreement, snapshot: Snapshot, last: Delivery, now: datetime
) -> Outcome | None:
    """Returns the outcome when the agreement's frequency allows nothing now, else None; a grant used up is refused."""
    turn = its_turn(agreement, version=last.agreement_version, last=last.delivered_at or last.intended_at, now=now)
    if turn.allowed:
        return None
    if agreement.frequency == ONCE:
        refuse(exchange, agreement, snapshot, turn.reason)
        return Outcome(agreement=agreement.id, status="refused", reason=turn.reason)
    return Outcome(agreement=agreement.id, status="waiting", reason=turn.reason)


def _name(exchange: Exchange, agreement: Agreement, snapshot: Snapshot, last: Delivery | None, day: date | None) -> str:
    """Returns the delivery's id: all that its bytes depend on, so that whoever repeats it makes the same bytes."""
    base = delivery_id(agreement, snapshot=snapshot.id, sequence=snapshot.seq or 0, keys=exchange.keys)
    contract = exchange.contract(agreement.dataset)
    return content_id(base, contract.digest, last.id if last else None, day.isoformat() if day else None)


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


def _prepare(exchange: Exchange, deal: _Deal, scratch: Path) -> tuple[Prepared, Body]:
    """Prepares the files, and stores the share events and the ledger entry to come before anything leaves."""
    intent = deal.intent
    (scratch / "files").mkdir()
    with EventWriter(scratch / "events.parquet") as events:
        rows = exchange.dataset(deal.snapshot.key)
        prepared = prepare(
            deal.agreement,
            Terms.of(deal.agreement, deal.contract, rows.schema, exchange.keys, today=deal.intent.day),
            rows,
            previous=_held(exchange, deal.agreement),
            scratch=scratch / "files",
            events=events,
        )
    if prepared.digests.accepted != deal.snapshot.digest:
        raise LedgerBroken(
            f"The snapshot holds {prepared.digests.accepted.rows:,} rows that are not those which were accepted.",
            where=deal.snapshot.key,
            fix="Nothing has left. The file was changed after its verdict: put back the one that the state names.",
        )
    kept = outbox(intent)
    sha256 = file_sha256(events.path)
    event_file = Ref(key=f"ledger/events/{intent.id}-{sha256[:16]}.parquet", rows=events.rows, sha256=sha256)
    exchange.store.put_file(event_file.key, events.path)
    if prepared.received:
        exchange.store.put_file(f"{kept}/received.parquet", prepared.received)
    entry = _entry(deal, prepared, event_file, events.tree)
    exchange.store.put_new(f"{kept}/entry.json", entry.to_json().encode())
    reached("handover.prepared")
    return prepared, entry


def _held(exchange: Exchange, agreement: Agreement) -> Received | None:
    """Returns what the consumer holds after its last booked delivery, where that was a delivery of changes."""
    last = last_delivered(exchange.state, agreement.id)
    if last is None or last.received_key is None:
        return None
    return Received(delivery=last.id, rows=exchange.dataset(last.received_key))


def _entry(deal: _Deal, prepared: Prepared, events: Ref, tree: str) -> Body:
    """Returns the ledger entry to come; manifest and instant are known once the delivery has arrived."""
    agreement, contract, intent = deal.agreement, deal.contract, deal.intent
    return Body(
        delivery=intent.id,
        dataset=contract.id,
        department=contract.department,
        theme=contract.theme,
        consumer=agreement.consumer,
        agreement=agreement.id,
        agreement_version=agreement.version,
        contract_version=contract.version,
        purpose=agreement.purpose,
        legal_basis=agreement.legal_basis,
        columns=agreement.columns,
        channel=agreement.delivery.channel,
        mode=agreement.delivery.mode,
        snapshot=intent.snapshot,
        counts=prepared.counts.to_dict(),
        digests=prepared.digests.to_dict(),
        events=events,
        events_tree=tree,
        manifest_key="",
        manifest_sha256="",
        delivered_at="",
        record="",
    )


def _consignment(deal: _Deal, prepared: Prepared) -> Consignment:
    return Consignment(
        delivery_id=deal.intent.id,
        agreement=deal.agreement,
        contract=deal.contract,
        snapshot=deal.intent.snapshot,
        sequence=deal.intent.snapshot_seq,
        intended_at=deal.intent.intended_at,
        prepared=prepared,
    )


def _book(exchange: Exchange, intent: Delivery, entry: Body, sent: Sent) -> None:
    """Completes the delivery and appends its ledger entry in one transaction, once."""
    at = instant(exchange.clock())
    received = f"{outbox(intent)}/received.parquet"
    done = replace(
        intent,
        delivered_at=at,
        counts=dict(entry.counts),
        digests=dict(entry.digests),
        manifest_key=sent.manifest_key,
        manifest_sha256=sent.manifest_sha256,
        received_key=received if exchange.store.exists(received) else None,
        receipt=dict(sent.receipt),
    )
    booked = replace(
        entry,
        manifest_key=sent.manifest_key,
        manifest_sha256=sent.manifest_sha256,
        delivered_at=at,
        record=fingerprint(done),
    )
    with exchange.state.begin() as connection:
        if complete_delivery(connection, done):
            append(connection, booked)
    reached("handover.booked")


def _finish_arrived(exchange: Exchange, agreement: Agreement, route: Route) -> None:
    """Books deliveries of this agreement that arrived before their process was killed: the consumer holds them."""
    for delivery in unfinished_deliveries(exchange.state, agreement.id):
        key = f"{outbox(delivery)}/entry.json"
        sent = route.arrived(exchange, agreement, delivery) if exchange.store.exists(key) else None
        if sent:
            _book(exchange, delivery, Body.parse(exchange.store.read(key).decode()), sent)
