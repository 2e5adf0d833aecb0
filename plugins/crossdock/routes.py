"""Where deliveries go: to a department, through its agreement's channel, or to everybody, into the open area."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from crossdock.contracts.agreement import Agreement
from crossdock.delivery.channels.channel import Ahead, Order, Receipt, Shipment, address, arrived, deliver, has_place
from crossdock.delivery.channels.channel import ahead as begin_ahead
from crossdock.delivery.manifest import Consignment, manifest
from crossdock.errors import ConsumerRefused, ObjectMissing
from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.publishing.catalogue import index
from crossdock.publishing.versions import Release, release
from crossdock.publishing.withdrawal import Notice, notice_key, withdraw_version, withdrawn_at
from crossdock.storage.recalls import RECALL, Recall, recall_by_id
from crossdock.storage.records import Delivery, delivery_by_id
from crossdock.wordings import forget_address, is_at, keep_address, keep_wording, leads_to, wording_of


def outbox(delivery: Delivery) -> str:
    """Returns the key prefix under which we keep what belongs to a delivery."""
    return f"outbox/{delivery.consumer}/{delivery.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Proof that a delivery is where it should be: receipt and signed manifest."""

    receipt: Mapping[str, Any]
    manifest_key: str
    manifest_sha256: str


class Route(Protocol):
    """Where deliveries go. Sending twice changes nothing and gives the same proof."""

    def ahead(self, exchange: Exchange, order: Order, scratch: Path) -> AbstractContextManager[Ahead | None]:
        """Returns what takes rows while the delivery is prepared, where there is such a thing; see `channel.ahead`."""
        ...

    def send(self, exchange: Exchange, consignment: Consignment, ahead: Ahead | None) -> Sent:
        """Hands over, or finishes what went ahead."""
        ...

    def arrived(self, exchange: Exchange, agreement: Agreement, delivery: Delivery) -> Sent | None:
        """Returns the proof of a delivery that is there already, None when it is not."""
        ...


class ToConsumer:
    """The route to a department: through the agreement's channel, with a signed manifest kept in our outbox."""

    def ahead(self, exchange: Exchange, order: Order, scratch: Path) -> AbstractContextManager[Ahead | None]:
        """See `Route.ahead`."""
        return begin_ahead(order, exchange.lookup(order.agreement.delivery.connection), scratch)

    def send(self, exchange: Exchange, consignment: Consignment, ahead: Ahead | None) -> Sent:
        """See `Route.send`."""
        signed = manifest(consignment, exchange.keys)
        agreement = consignment.agreement
        key = f"outbox/{agreement.consumer}/{consignment.delivery_id}/manifest.json"
        _demand_base(exchange, consignment)
        keep_wording(exchange, agreement, consignment.contract)
        exchange.store.put_new(key, signed)
        connection = exchange.lookup(agreement.delivery.connection)
        where = address(agreement, connection)
        before = keep_address(exchange, agreement, consignment.delivery_id, where)
        shipment = Shipment(consignment=consignment, manifest=signed, sign=exchange.keys.sign)
        try:
            receipt = deliver(shipment, connection, ahead)
        except ConsumerRefused:
            if not before:
                forget_address(exchange, agreement, consignment.delivery_id)  # it answered that nothing is there
            raise
        return _proof(receipt, key, where, before)

    def arrived(self, exchange: Exchange, agreement: Agreement, delivery: Delivery) -> Sent | None:
        """See `Route.arrived`: it is looked for where the agreement sent it when it was made."""
        wording = wording_of(exchange, delivery)
        agreed = wording.agreement if wording else agreement
        if not has_place(agreed):
            return None
        connection = exchange.lookup(agreed.delivery.connection)
        receipt = arrived(agreed, delivery.id, connection)
        if receipt is None:
            return None
        where = address(agreed, connection)
        before = keep_address(exchange, agreed, delivery.id, where)
        return _proof(receipt, f"{outbox(delivery)}/manifest.json", where, before)


def _demand_base(exchange: Exchange, consignment: Consignment) -> None:
    """Sees that changes go where what they build on went; a consumer of files may have taken that away, and can't tell."""
    agreement, base = consignment.agreement, consignment.prepared.base
    before = delivery_by_id(exchange.state, base) if base else None
    if before is None or not (before.receipt or {}).get("address"):
        return
    where = leads_to(exchange, agreement)
    if not is_at(exchange, before, agreement, where):
        raise ConsumerRefused(
            f"The changes build on delivery {base}, which went to {(before.receipt or {})['address']}; by now the connection "
            f"leads to {where}, where it is not.",
            where=f"connection {agreement.delivery.connection}",
            fix="Set the connection as it was, have the consumer take along what it held, or name another place in the "
            "agreement to begin anew.",
        )


def _proof(receipt: Receipt, key: str, where: str, before: str) -> Sent:
    """A connection may lead elsewhere one day: the receipt tells where it led, and where else the delivery may be."""
    told = receipt.to_dict() | {"address": where} | ({"maybe_at": before} if before else {})
    return Sent(receipt=told, manifest_key=key, manifest_sha256=receipt.digest)


class ToPublic:
    """The route to everybody: an immutable version in the open area, and the pointer that shows it."""

    def ahead(self, exchange: Exchange, order: Order, scratch: Path) -> AbstractContextManager[None]:  # noqa: ARG002 - the protocol's signature
        """See `Route.ahead`."""
        return nullcontext()

    def send(self, exchange: Exchange, consignment: Consignment, ahead: Ahead | None) -> Sent:  # noqa: ARG002 - the protocol's signature
        """See `Route.send`."""
        keep_wording(exchange, consignment.agreement, consignment.contract)
        if consignment.recall:
            return self._withdraw(exchange, consignment, consignment.recall)
        released = Release(
            publication=consignment.agreement,
            contract=consignment.contract,
            publisher=exchange.provider(consignment.agreement),
            data=consignment.prepared.rows,
            snapshot=consignment.snapshot,
            snapshot_seq=consignment.sequence,
            released_at=consignment.intended_at,
            pseudonym_key=exchange.keys.protection_version if consignment.agreement.is_keyed else None,
        )
        version = release(exchange.store, released, sign=exchange.keys.sign)
        receipt = {
            "delivery_id": consignment.delivery_id,
            "location": exchange.store.url(version.folder),
            "version": version.id,
        }
        return Sent(receipt=receipt, manifest_key=version.manifest_key, manifest_sha256=version.manifest_sha256)

    def arrived(self, exchange: Exchange, agreement: Agreement, delivery: Delivery) -> Sent | None:
        """See `Route.arrived`: a version is public once the pointer shows it, if it was made under this agreement."""
        if delivery.mode == RECALL:
            return self._withdrawn(exchange, delivery)
        found = exchange.store.read_versioned(f"open/{agreement.dataset}/latest.json")
        pointer = json.loads(found[0]) if found else {}
        if (pointer.get("snapshot"), pointer.get("snapshot_seq")) != (delivery.snapshot, delivery.snapshot_seq):
            return None
        if not pointer["version"] or withdrawn_at(exchange.store, agreement.dataset, pointer["version"]):
            return None
        folder = f"open/{agreement.dataset}"
        signed = exchange.store.read(f"{folder}/{pointer['manifest']}")
        if json.loads(signed)["agreement"]["digest"] != delivery.agreement_digest:
            return None
        index(exchange.store, agreement.dataset)  # it comes after the pointer, so a killed release may lack it
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

    def _withdraw(self, exchange: Exchange, consignment: Consignment, recall: Recall) -> Sent:
        """Puts the signed notice into the open area, from where on the withdrawal counts, and does it."""
        told = replace(consignment, prepared=replace(consignment.prepared, files=()))  # nothing lies beside the notice
        notice = notice_key(consignment.contract.id, recall.id)
        exchange.store.put_new(notice, manifest(told, exchange.keys))
        reached("withdrawal.told")
        done = self._withdrawn(exchange, delivery_by_id(exchange.state, recall.id))
        if done is None:
            raise ObjectMissing("The notice of a withdrawal is not there.", where=notice, fix="Recall again.")
        return done

    @staticmethod
    def _withdrawn(exchange: Exchange, delivery: Delivery | None) -> Sent | None:
        """Finishes a withdrawal that was told, and returns its proof; None when it was not."""
        key = notice_key(delivery.dataset, delivery.id) if delivery else ""
        recall = recall_by_id(exchange.state, delivery.id) if delivery else None
        recalled = delivery_by_id(exchange.state, recall.recalled) if recall else None
        if not (delivery and recall and recalled and recalled.receipt and exchange.store.exists(key)):
            return None
        signed = exchange.store.read(key)
        version = str(recalled.receipt["version"])
        withdraw_version(
            exchange.store,
            Notice(
                dataset=delivery.dataset,
                delivery=delivery.id,
                version=version,
                reason=recall.reason,
                snapshot=delivery.snapshot,
                snapshot_seq=delivery.snapshot_seq,
                at=delivery.intended_at,
                shown=bool(json.loads(signed)["replaces"]),
            ),
        )
        receipt = {"delivery_id": delivery.id, "location": exchange.store.url(key), "withdrawn": version}
        return Sent(receipt=receipt, manifest_key=key, manifest_sha256=hashlib.sha256(signed).hexdigest())
