"""What a consumer's folder, bucket or SFTP server holds: the manifests there, and whether one more delivery fits after them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from crossdock.delivery.channels.channel import Shipment
from crossdock.errors import ConsumerRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One delivery that is there."""

    delivery: str
    order: tuple[int, str]  # the snapshot's sequence, then the instant of the first attempt
    base: str | None


def read_held(manifests: Iterable[bytes]) -> list[Held]:
    """Reads manifests, the oldest first; what is no manifest of ours is the consumer's own business and is passed over."""
    held = []
    for data in manifests:
        try:
            body = json.loads(data)
            order = (int(body["snapshot"]["sequence"]), str(body["intended_at"]))
            held.append(Held(delivery=str(body["delivery"]), order=order, base=body["base"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return sorted(held, key=lambda h: h.order)


def admit(shipment: Shipment, held: list[Held], location: str) -> None:
    """Refuses a delivery that is older than what is there, or whose changes build on something else.

    A consumer may have removed deliveries it has taken in, so the base itself need not be there any more.

    Raises:
        ConsumerRefused: with the delivery that is in the way.
    """
    if shipment.delivery_id in {h.delivery for h in held}:
        return  # Another process was first: what is there is compared next.
    prepared = shipment.prepared
    mine = (shipment.consignment.sequence, shipment.consignment.intended_at)
    if held and held[-1].order > mine:
        raise newer(held[-1].delivery, location)
    if prepared.replaces:
        return
    known = {h.delivery for h in held}
    rivals = [h.delivery for h in held if h.base == prepared.base]
    if prepared.base in known and held[-1].delivery != prepared.base:
        rivals.append(held[-1].delivery)
    if rivals:
        raise another_base(shipment, rivals[-1], location)


def newer(holds: str, location: str) -> ConsumerRefused:
    """Returns the error for a delivery that is older than the one which the consumer holds."""
    return ConsumerRefused(
        f"The consumer already holds a newer delivery, {holds}.", where=location, fix="Deliver the newest snapshot."
    )


def another_base(shipment: Shipment, holds: str, location: str) -> ConsumerRefused:
    """Returns the error for changes that build on something else than what the consumer holds."""
    return ConsumerRefused(
        f"The changes build on delivery {shipment.prepared.base}, but the consumer holds {holds}.",
        where=location,
        fix="Finish that delivery first, then prepare the changes anew.",
    )


def relative_path(shipment_path: object, where: str) -> PurePosixPath:
    """Returns an agreement's `path` option, which must stay below the consumer's own place.

    Raises:
        ConsumerRefused: it is empty, absolute, or leads elsewhere.
    """
    text = str(shipment_path) if isinstance(shipment_path, str | int) else ""
    path = PurePosixPath(text)
    unsafe = any(ord(c) < 32 or c in "\\\x7f" for c in text) or any(p.startswith(".") for p in path.parts)
    if not path.parts or path.is_absolute() or unsafe:
        raise ConsumerRefused(
            "The agreement's `path` is no plain relative path.", where=where, fix="Write for example: path: population."
        )
    return path
