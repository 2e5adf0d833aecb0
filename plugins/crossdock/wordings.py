"""Under which wording of agreement and contract a delivery was made, and so where it went; kept beside the outbox.

The files change while their consumers hold what came of an earlier wording. What was agreed then is kept from the first
delivery under it on: signed, once, and named by the two digests that the delivery's signed manifest tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.model import Contract
from crossdock.delivery.channels.channel import address, arrived, place
from crossdock.delivery.manifest import verify_manifest
from crossdock.errors import StorageConflict, WrongUse
from crossdock.exchange import Exchange
from crossdock.identity import canonical, content_id
from crossdock.storage.records import Delivery

Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What was agreed, and what the contract said of columns, subject and key; without its rules and its source."""

    agreement: Agreement
    contract: Contract

    @property
    def place(self) -> Place:
        """Where deliveries under it go."""
        return place(self.agreement)


_WORDING: TypeAdapter[Wording] = TypeAdapter(Wording)


def keep_wording(exchange: Exchange, agreement: Agreement, contract: Contract) -> None:
    """Keeps the wording of a delivery that is about to leave, unless it is kept."""
    key = _key(agreement.consumer, agreement.digest, contract.digest)
    if exchange.store.exists(key):
        return  # perhaps spelled otherwise, by another version of this code
    told = replace(contract, rules=(), transforms=(), source=None, path=Path())
    wording = Wording(agreement=replace(agreement, path=Path()), contract=told)
    body = _WORDING.dump_python(wording, mode="json")
    exchange.store.put_new(key, canonical({**body, "signature": exchange.keys.sign(canonical(body))}))


def wording_of(exchange: Exchange, delivery: Delivery) -> Wording | None:
    """Returns the wording that a delivery was made under; None when it is not on record.

    Raises:
        StorageConflict: what is on record is not what we signed.
    """
    manifest = delivery.manifest_key or f"outbox/{delivery.consumer}/{delivery.id}/manifest.json"
    if not exchange.store.exists(manifest):
        return None  # it has not left
    told = json.loads(exchange.store.read(manifest))
    digests = str(told["agreement"]["digest"]), str(told["contract"]["digest"])
    key = _key(delivery.consumer, *digests)
    if not exchange.store.exists(key):
        return None  # it left before wordings were kept
    signed = exchange.store.read(key)
    if verify_manifest(signed, exchange.keys.public()):
        wording = _WORDING.validate_json(signed)
        if (wording.agreement.digest, wording.contract.digest) == digests:
            return wording
    what = "The wording of an agreement that is on record is not what we signed."
    raise StorageConflict(what, where=key, fix="Restore it from a backup.")


def went_elsewhere(exchange: Exchange, delivery: Delivery, agreement: Agreement) -> bool:
    """Returns whether a delivery is known to have gone to another place than the agreement names now."""
    wording = wording_of(exchange, delivery)
    return wording is not None and wording.place != place(agreement)


def at_place(exchange: Exchange, made: list[Delivery], there: Place) -> Iterator[tuple[Delivery, Wording]]:
    """Yields those of some deliveries that are known to have gone to a place, in their order, with their wordings."""
    for each in made:
        wording = wording_of(exchange, each)
        if wording and wording.place == there:
            yield each, wording


def keep_address(exchange: Exchange, agreement: Agreement, delivery_id: str, where: str) -> str:
    """Keeps to which address a delivery is sent for the first time; returns that address where it was another one, else "".

    A connection may lead elsewhere before we could note that the delivery arrived.
    """
    key = _address_key(agreement.consumer, delivery_id)
    if not exchange.store.exists(key):
        exchange.store.put_new(key, canonical({"address": where}))
    first = str(json.loads(exchange.store.read(key))["address"])
    return first if first != where else ""


def forget_address(exchange: Exchange, agreement: Agreement, delivery_id: str) -> None:
    """Forgets to which address a delivery was sent first: its consumer has refused it there."""
    exchange.store.delete(_address_key(agreement.consumer, delivery_id))


def astray(exchange: Exchange, delivery: Delivery, agreement: Agreement) -> str:
    """Returns the address at which an unfinished delivery may have arrived, where nobody can ask any more; else "".

    Args:
        exchange: where it was intended.
        delivery: intended, and not found where its connection leads.
        agreement: the agreement as it is now.
    """
    key = _address_key(delivery.consumer, delivery.id)
    if not exchange.store.exists(key):
        return ""  # nothing has left
    wording = wording_of(exchange, delivery)
    first = str(json.loads(exchange.store.read(key))["address"])
    try:
        return first if first != leads_to(exchange, wording.agreement if wording else agreement) else ""
    except WrongUse:
        return first  # the connection is gone


def leads_to(exchange: Exchange, agreement: Agreement) -> str:
    """Returns where the connection of an agreement with a department leads now.

    Raises:
        WrongUse: there is no such connection, or it has no address.
    """
    return address(agreement, exchange.lookup(agreement.delivery.connection))


def is_at(exchange: Exchange, delivery: Delivery, agreed: Agreement, where: str) -> bool:
    """Returns whether a delivery's consumer is where the agreement's connection leads now.

    It led there when the delivery was made, or the consumer has moved there and holds the delivery.

    Args:
        exchange: where it was made.
        delivery: completed.
        agreed: the agreement as it was then.
        where: see `leads_to`.

    Raises:
        ConsumerUnavailable, ConsumerRefused: it can't be asked there.
    """
    if (delivery.receipt or {}).get("address") == where:
        return True
    found = arrived(agreed, delivery.id, exchange.lookup(agreed.delivery.connection))
    return found is not None and found.digest == delivery.manifest_sha256


def _address_key(consumer: str, delivery_id: str) -> str:
    return f"outbox/{consumer}/{delivery_id}/sent_to.json"


def _key(consumer: str, agreement: str, contract: str) -> str:
    return f"outbox/{consumer}/agreed/{content_id(agreement, contract)}.json"
