"""A delivery on its way: intended, prepared, stored, sent, booked; killed anywhere, it is done again from the start.

What is delivered, a snapshot or the withdrawal of an earlier delivery, is made by the caller's function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pyarrow.compute import coalesce

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.model import Contract
from crossdock.delivery.changes import Received
from crossdock.delivery.channels.channel import Ahead, Order
from crossdock.delivery.manifest import Consignment
from crossdock.delivery.prepared import Events, Prepared
from crossdock.delivery.rejections import RecordsRejected
from crossdock.errors import ConsumerRefused, ConsumerUnavailable, LedgerBroken, WrongUse
from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.identity import instant
from crossdock.keys import Keys
from crossdock.ledger.blinding import blind
from crossdock.ledger.book import Body, append, fingerprint
from crossdock.ledger.event_files import positions, read_events
from crossdock.ledger.events import EventWriter
from crossdock.ledger.own import own_key
from crossdock.ledger.seals import Sealing, unseal
from crossdock.routes import Route, Sent, outbox
from crossdock.storage.delivered import last_delivered
from crossdock.storage.recalls import Recall
from crossdock.storage.records import (
    Delivery,
    complete_delivery,
    supersede_delivery,
    unfinished_deliveries,
)
from crossdock.storage.rejections import record_rejections, resolve_rejections
from crossdock.storage.store import Ref
from crossdock.wordings import astray, went_elsewhere

_EVENTS = "events.parquet"
Make = Callable[[Path, Events, Ahead | None], Prepared]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One delivery under way: under what it goes, by which intent, and what it takes back, if it is a recall."""

    agreement: Agreement
    contract: Contract
    intent: Delivery
    recall: Recall | None = None


def dispatch(exchange: Exchange, deal: Deal, route: Route, make: Make) -> Prepared:
    """Prepares a delivery that was intended, sends it and books it.

    Args:
        exchange: where.
        deal: with an intent that is in the state.
        route: where it goes.
        make: prepares its files in an empty folder, adds its share events, and may send rows ahead.

    Raises:
        RecordsRejected: the consumer took nothing; the records that it rejects are in the delivery error store.
    """
    with exchange.scratch() as scratch, route.ahead(exchange, _order(deal), scratch) as ahead:
        prepared, entry = _prepare(exchange, deal, scratch, lambda files, events: make(files, events, ahead))
        try:
            sent = route.send(exchange, _consignment(deal, prepared), ahead)
        except RecordsRejected as rejected:
            rows = positions(scratch / _EVENTS, [row for row, _ in rejected.records], prepared.places)
            _keep(exchange, deal.intent, rejected, entry, rows)
            raise
    reached("handover.sent")
    _book(exchange, deal.intent, entry, sent)
    return prepared


def finish_arrived(exchange: Exchange, agreement: Agreement, route: Route) -> None:
    """Books deliveries of this agreement that arrived before their process was killed: the consumer holds them.

    One that did not arrive before a newer one did is superseded: the consumer would refuse it now. One that may have
    arrived where its connection led before is neither: `backlog` names it until it can be asked for there.

    Raises:
        ConsumerUnavailable, ConsumerRefused, WrongUse: it can't be asked where the agreement delivers now.
    """
    last = last_delivered(exchange.state, agreement.id)
    for delivery in unfinished_deliveries(exchange.state, agreement.id):
        key = f"{outbox(delivery)}/entry.json"
        try:
            sent = route.arrived(exchange, agreement, delivery) if exchange.store.exists(key) else None
        except (ConsumerUnavailable, ConsumerRefused, WrongUse):
            if went_elsewhere(exchange, delivery, agreement):
                continue  # a place that was left keeps nothing from going to the new one; it is asked again
            raise
        if sent:
            _book(exchange, delivery, Body.parse(exchange.store.read(key).decode()), sent)
        elif last and delivery.order < last.order and not astray(exchange, delivery, agreement):
            supersede_delivery(exchange.state, delivery)


def held(exchange: Exchange, last: Delivery | None) -> Received | None:
    """Returns what the consumer holds after its last booked delivery, where that was a delivery of changes.

    What it was to delete by now, it does not hold; we don't know it any more either (see `retention`).
    """
    if last is None or not is_held(exchange, last):
        return None
    return Received(delivery=last.id, rows=exchange.dataset(str(last.received_key)))


def is_held(exchange: Exchange, last: Delivery) -> bool:
    """Returns whether it is known what the consumer holds after a delivery."""
    return last.received_key is not None and exchange.store.exists(last.received_key)


def _prepare(
    exchange: Exchange, deal: Deal, scratch: Path, make: Callable[[Path, Events], Prepared]
) -> tuple[Prepared, Body]:
    """Prepares the files, and stores the share events and the ledger entry to come before anything leaves."""
    intent = deal.intent
    (scratch / "files").mkdir()
    kept = outbox(intent)
    version = _key_version(exchange, f"{kept}/entry.json")
    with EventWriter(scratch / _EVENTS, exchange.shelf) as events:
        prepared = make(scratch / "files", Sealing(events, version, exchange.keys))
    _demand_counted(events, prepared)
    event_file = Ref(key=own_key(intent.id, events.sha256), rows=events.rows, sha256=events.sha256)
    exchange.store.put_file(event_file.key, events.path)
    if prepared.received:
        exchange.store.put_file(f"{kept}/received.parquet", prepared.received)
    entry = replace(_entry(deal, prepared, event_file, events.tree, exchange.keys), key_version=version)
    exchange.store.put_new(f"{kept}/entry.json", entry.to_json().encode())
    reached("handover.prepared")
    return prepared, entry


def _demand_counted(events: EventWriter, prepared: Prepared) -> None:
    """Sees that there is one share event for each record that is delivered or deleted, whoever made them."""
    counts = prepared.counts
    if events.counts != {"insert": counts.inserted, "update": counts.updated, "delete": counts.deleted}:
        raise LedgerBroken(
            f"The share events are not of the {counts.delivered:,} rows that go and the {counts.deleted:,} that are deleted.",
            fix="Nothing has left. This is a fault in crossdock: keep the snapshot and report it.",
        )


def _key_version(exchange: Exchange, entry: str) -> int:
    """Returns the version of the ledger key for a delivery: that of an earlier attempt at it, else the newest."""
    if exchange.store.exists(entry):
        return Body.parse(exchange.store.read(entry).decode()).key_version
    return exchange.keys.ledger_version


def _entry(deal: Deal, prepared: Prepared, events: Ref, tree: str, keys: Keys) -> Body:
    """Returns the ledger entry to come; manifest and instant are known once the delivery has arrived."""
    agreement, contract, intent = deal.agreement, deal.contract, deal.intent
    return Body(
        delivery=intent.id,
        dataset=contract.id,
        department=contract.department,
        theme=contract.theme,
        sharing=contract.sharing,
        subject=contract.subject.kind if contract.subject else "",
        consumer=agreement.consumer,
        agreement=agreement.id,
        agreement_version=agreement.version,
        contract_version=contract.version,
        purpose=agreement.purpose,
        legal_basis=agreement.legal_basis,
        withheld_until=agreement.withheld_until.isoformat() if agreement.withheld_until else "",
        columns=agreement.columns,
        channel=agreement.delivery.channel,
        mode=intent.mode,
        snapshot=intent.snapshot,
        counts=prepared.counts.to_dict(),
        digests=blind(prepared.digests.to_dict(), intent.id, keys),
        events=events,
        events_tree=tree,
        manifest_key="",
        manifest_sha256="",
        delivered_at="",
        record="",
    )


def _keep(
    exchange: Exchange, intent: Delivery, rejected: RecordsRejected, entry: Body, rows: Mapping[int, int]
) -> None:
    """Keeps what was rejected by its keyed hash, which stands in the share events: at these positions, of these rows."""
    reasons, found, start = dict(rejected.records), [], 0
    for batch in read_events(exchange.store, entry.events.key):
        here = [position for position in rows if start <= position < start + batch.num_rows]
        records = unseal(coalesce(batch["record"], batch["subject"]), exchange.keys, entry.key_version)
        found += [(records[position - start].as_py(), reasons[rows[position]]) for position in here]
        start += batch.num_rows
    record_rejections(exchange.state, intent, found, instant(exchange.clock()))
    supersede_delivery(exchange.state, intent)
    reached("handover.rejected")


def _order(deal: Deal) -> Order:
    intent = deal.intent
    return Order(
        delivery_id=intent.id,
        agreement=deal.agreement,
        sequence=intent.snapshot_seq,
        intended_at=intent.intended_at,
    )


def _consignment(deal: Deal, prepared: Prepared) -> Consignment:
    return Consignment(
        delivery_id=deal.intent.id,
        agreement=deal.agreement,
        contract=deal.contract,
        snapshot=deal.intent.snapshot,
        sequence=deal.intent.snapshot_seq,
        intended_at=deal.intent.intended_at,
        prepared=prepared,
        recall=deal.recall,
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
            resolve_rejections(connection, done, at)
    reached("handover.booked")
