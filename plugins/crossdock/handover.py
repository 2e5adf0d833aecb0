"""How a snapshot is handed over under an agreement, to a consumer or to the public: the steps that push and publish share.

decide            may it leave? a no is recorded with its reason, and ends it
finish            an earlier delivery that arrived, but was killed before it was booked, is booked first
intend            a row in the state: from here on, whoever repeats this makes the same delivery
prepare, outbox   files, share events and the ledger entry to come are stored; nothing has left yet
send              the channel (or the open area) takes it: whole or not at all, and once
book              receipt and ledger entry in one transaction: whoever comes second finds them and stops
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from crossdock.contracts.model import Agreement, Contract
from crossdock.delivery.changes import Received
from crossdock.delivery.channels.channel import Shipment, arrived, deliver
from crossdock.delivery.decide import decide, delivery_id
from crossdock.delivery.manifest import Consignment, manifest
from crossdock.delivery.prepare import Prepared, prepare
from crossdock.errors import ConsumerRefused
from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.identity import content_id, file_sha256, instant
from crossdock.ledger.book import Body, append
from crossdock.ledger.events import EventWriter
from crossdock.publishing.versions import Release, release
from crossdock.storage.records import (
    Delivery,
    Refusal,
    Snapshot,
    complete_delivery,
    intend_delivery,
    last_delivered,
    latest_snapshot,
    record_refusal,
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
class Sent:
    """Proof that a delivery is where it should be: receipt and signed manifest."""

    receipt: Mapping[str, Any]
    manifest_key: str
    manifest_sha256: str


class Route(Protocol):
    """Where deliveries go. Sending twice changes nothing and gives the same proof."""

    def send(self, exchange: Exchange, consignment: Consignment) -> Sent:
        """Hands over."""
        ...

    def arrived(self, exchange: Exchange, agreement: Agreement, delivery: Delivery) -> Sent | None:
        """Returns the proof of a delivery that is there already, None when it is not."""
        ...


def hand_over(exchange: Exchange, agreement: Agreement, route: Route) -> Outcome:
    """Hands the dataset's current snapshot over, if the agreement allows it and the consumer does not have it yet."""
    contract = exchange.contract(agreement.dataset)
    snapshot = latest_snapshot(exchange.state, agreement.dataset)
    decision = decide(agreement, contract, now=exchange.clock())
    if not decision.allowed:
        return _refuse(exchange, agreement, snapshot, decision.reason)
    if snapshot is None:
        return Outcome(agreement=agreement.id, status="waiting", reason="The dataset has no accepted snapshot yet.")
    _finish_arrived(exchange, agreement, route)
    last = last_delivered(exchange.state, agreement.id)
    if last and (last.snapshot, last.agreement_digest) == (snapshot.id, agreement.digest):
        return Outcome(
            agreement=agreement.id, status="unchanged", reason="The consumer holds this snapshot.", delivery=last.id
        )
    name = _name(exchange, agreement, contract, snapshot, last)
    intent = intend_delivery(exchange.state, _intent(exchange, agreement, snapshot, name))
    reached("handover.intended")
    with exchange.scratch() as scratch:
        prepared, entry = _prepare(exchange, agreement, contract, intent, scratch)
        sent = route.send(exchange, _consignment(agreement, contract, intent, prepared))
    reached("handover.sent")
    _book(exchange, intent, entry, sent)
    return Outcome(
        agreement=agreement.id,
        status="delivered",
        reason=decision.reason,
        delivery=name,
        counts=prepared.counts.to_dict(),
    )


def _refuse(exchange: Exchange, agreement: Agreement, snapshot: Snapshot | None, reason: str) -> Outcome:
    refusal = Refusal(
        id=content_id("refusal", agreement.id, agreement.digest, snapshot.id if snapshot else None, reason),
        agreement=agreement.id,
        dataset=agreement.dataset,
        consumer=agreement.consumer,
        snapshot=snapshot.id if snapshot else None,
        reason=reason,
        refused_at=instant(exchange.clock()),
    )
    record_refusal(exchange.state, refusal)
    return Outcome(agreement=agreement.id, status="refused", reason=reason)


def _name(
    exchange: Exchange, agreement: Agreement, contract: Contract, snapshot: Snapshot, last: Delivery | None
) -> str:
    """Returns the delivery's id: all that its bytes depend on, so that whoever repeats it makes the same bytes."""
    base = delivery_id(agreement, snapshot=snapshot.id, sequence=snapshot.seq or 0, keys=exchange.keys)
    return content_id(base, contract.digest, last.id if last else None)


def _intent(exchange: Exchange, agreement: Agreement, snapshot: Snapshot, name: str) -> Delivery:
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
        intended_at=instant(exchange.clock()),
    )


def _prepare(
    exchange: Exchange, agreement: Agreement, contract: Contract, intent: Delivery, scratch: Path
) -> tuple[Prepared, Body]:
    """Prepares the files, and stores the share events and the ledger entry to come before anything leaves."""
    snapshot = latest_snapshot(exchange.state, agreement.dataset)
    if snapshot is None or snapshot.id != intent.snapshot:
        raise ConsumerRefused("Another snapshot came into force meanwhile.", where=agreement.id, fix="Push again.")
    (scratch / "files").mkdir()
    with EventWriter(scratch / "events.parquet") as events:
        prepared = prepare(
            agreement,
            contract,
            exchange.dataset(snapshot.key),
            keys=exchange.keys,
            previous=_held(exchange, agreement),
            scratch=scratch / "files",
            events=events,
        )
    outbox = _outbox(intent)
    sha256 = file_sha256(events.path)
    event_file = Ref(key=f"ledger/events/{intent.id}-{sha256[:16]}.parquet", rows=events.rows, sha256=sha256)
    exchange.store.put_file(event_file.key, events.path)
    if prepared.received:
        exchange.store.put_file(f"{outbox}/received.parquet", prepared.received)
    entry = _entry(agreement, contract, intent, prepared, event_file)
    exchange.store.put_new(f"{outbox}/entry.json", entry.to_json().encode())
    reached("handover.prepared")
    return prepared, entry


def _held(exchange: Exchange, agreement: Agreement) -> Received | None:
    """Returns what the consumer holds after its last booked delivery, where that was a delivery of changes."""
    last = last_delivered(exchange.state, agreement.id)
    if last is None or last.received_key is None:
        return None
    return Received(delivery=last.id, rows=exchange.dataset(last.received_key))


def _outbox(delivery: Delivery) -> str:
    return f"outbox/{delivery.consumer}/{delivery.id}"


def _entry(agreement: Agreement, contract: Contract, intent: Delivery, prepared: Prepared, events: Ref) -> Body:
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
        manifest_key="",
        manifest_sha256="",
        delivered_at="",
    )


def _consignment(agreement: Agreement, contract: Contract, intent: Delivery, prepared: Prepared) -> Consignment:
    return Consignment(
        delivery_id=intent.id,
        agreement=agreement,
        contract=contract,
        snapshot=intent.snapshot,
        sequence=intent.snapshot_seq,
        intended_at=intent.intended_at,
        prepared=prepared,
    )


def _book(exchange: Exchange, intent: Delivery, entry: Body, sent: Sent) -> None:
    """Completes the delivery and appends its ledger entry in one transaction, once."""
    at = instant(exchange.clock())
    received = f"{_outbox(intent)}/received.parquet"
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
    booked = replace(entry, manifest_key=sent.manifest_key, manifest_sha256=sent.manifest_sha256, delivered_at=at)
    with exchange.state.begin() as connection:
        if complete_delivery(connection, done):
            append(connection, booked)
    reached("handover.booked")


def _finish_arrived(exchange: Exchange, agreement: Agreement, route: Route) -> None:
    """Books deliveries of this agreement that arrived before their process was killed: the consumer holds them."""
    for delivery in unfinished_deliveries(exchange.state, agreement.id):
        key = f"{_outbox(delivery)}/entry.json"
        sent = route.arrived(exchange, agreement, delivery) if exchange.store.exists(key) else None
        if sent:
            _book(exchange, delivery, Body.parse(exchange.store.read(key).decode()), sent)


class ToConsumer:
    """The route to a department: through the agreement's channel, with a signed manifest kept in our outbox."""

    def send(self, exchange: Exchange, consignment: Consignment) -> Sent:
        """See `Route.send`."""
        signed = manifest(consignment, exchange.keys)
        agreement = consignment.agreement
        key = f"outbox/{agreement.consumer}/{consignment.delivery_id}/manifest.json"
        exchange.store.put_new(key, signed)
        connection = exchange.lookup(agreement.delivery.connection)
        receipt = deliver(Shipment(consignment=consignment, manifest=signed), connection)
        return Sent(receipt=receipt.to_dict(), manifest_key=key, manifest_sha256=receipt.digest)

    def arrived(self, exchange: Exchange, agreement: Agreement, delivery: Delivery) -> Sent | None:
        """See `Route.arrived`."""
        receipt = arrived(agreement, delivery.id, exchange.lookup(agreement.delivery.connection))
        if receipt is None:
            return None
        return Sent(
            receipt=receipt.to_dict(), manifest_key=f"{_outbox(delivery)}/manifest.json", manifest_sha256=receipt.digest
        )


class ToPublic:
    """The route to everybody: an immutable version in the open area, and the pointer that shows it."""

    def send(self, exchange: Exchange, consignment: Consignment) -> Sent:
        """See `Route.send`."""
        released = Release(
            publication=consignment.agreement,
            contract=consignment.contract,
            publisher=exchange.catalogue.departments[consignment.agreement.provider],
            data=consignment.prepared.rows,
            snapshot=consignment.snapshot,
            snapshot_seq=consignment.sequence,
            released_at=consignment.intended_at,
        )
        version = release(exchange.store, released, sign=exchange.keys.sign)
        receipt = {
            "delivery_id": consignment.delivery_id,
            "location": exchange.store.url(version.folder),
            "version": version.id,
        }
        return Sent(receipt=receipt, manifest_key=version.manifest_key, manifest_sha256=version.manifest_sha256)

    def arrived(self, exchange: Exchange, agreement: Agreement, delivery: Delivery) -> Sent | None:
        """See `Route.arrived`: a version is public once the pointer shows it."""
        found = exchange.store.read_versioned(f"open/{agreement.dataset}/latest.json")
        pointer = json.loads(found[0]) if found else {}
        if (pointer.get("snapshot"), pointer.get("snapshot_seq")) != (delivery.snapshot, delivery.snapshot_seq):
            return None
        folder = f"open/{agreement.dataset}"
        signed = exchange.store.read(f"{folder}/{pointer['manifest']}")
        receipt = {
            "delivery_id": delivery.id,
            "location": exchange.store.url(f"{folder}/versions/{pointer['version']}"),
            "version": pointer["version"],
        }
        return Sent(
            receipt=receipt,
            manifest_key=f"{folder}/{pointer['manifest']}",
            manifest_sha256=hashlib.sha256(signed).hexdigest(),
        )
