"""What every channel does, and how an agreement's channel is found: the module of that name in this package.

A channel comes late in the way of a delivery (`delivery.prepare` tells the whole): intent, prepare, outbox and manifest
are done, receipt and ledger entry follow. So a channel may be killed anywhere, run twice, or run in two processes at
once (a worker that was cut off goes on after its retry began), and must keep four promises:

1. All or nothing: a consumer sees the delivery whole or not at all.
2. Once: delivering what has arrived changes nothing and returns the first receipt. The delivery id tells.
3. In order: what is older than what the consumer holds is refused, never put over it.
4. Changes are only put on the delivery they were worked out against (`Prepared.base`), else refused: first finish the
   delivery that `arrived` without a receipt in the state, then prepare anew.

A new channel is one module here with what `Channel` lists; the conformance tests find it by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from crossdock.connections import Connection
from crossdock.contracts.agreement import Agreement
from crossdock.delivery.manifest import Consignment
from crossdock.delivery.prepared import Ahead as Taking
from crossdock.delivery.prepared import Prepared
from crossdock.errors import ConsumerRefused, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is known of a delivery before it is prepared."""

    delivery_id: str
    agreement: Agreement
    sequence: int  # the snapshot's place in the order of acceptance
    intended_at: str  # instant of the first attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A consignment and its signed manifest: what a channel carries; `sign` signs what it must cut up on the way."""

    consignment: Consignment
    manifest: bytes
    sign: Callable[[bytes], str]

    @property
    def delivery_id(self) -> str:
        """The id under which the consumer keeps it."""
        return self.consignment.delivery_id

    @property
    def order(self) -> Order:
        """What was known of it before."""
        made = self.consignment
        return Order(
            delivery_id=made.delivery_id,
            agreement=made.agreement,
            sequence=made.sequence,
            intended_at=made.intended_at,
        )

    @property
    def agreement(self) -> Agreement:
        """The agreement it goes under."""
        return self.consignment.agreement

    @property
    def prepared(self) -> Prepared:
        """Its files and counts."""
        return self.consignment.prepared

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which holds that of every file."""
        return sha256(self.manifest).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Proof that a delivery arrived, as the consumer's side keeps it: the same however often it is asked for."""

    delivery_id: str
    location: str  # for people: a path, table or object; never a secret
    digest: str  # SHA-256 of the manifest
    delivered_at: str

    def to_dict(self) -> dict[str, str]:
        """Returns the JSON form."""
        return asdict(self)


class Ahead(Taking, Protocol):
    """What the consumer's system does, unseen, before the manifest is made: it takes rows, or tells what it holds."""

    def finish(self, shipment: Shipment) -> Receipt | None:
        """Makes them count; returns None when nothing was begun, and the delivery still has to be made; raises as `deliver`."""
        ...


REQUIRED, OPTIONAL = True, False


class Channel(Protocol):
    """A module of this package."""

    OPTIONS: Mapping[str, bool]  # what `delivery` may say beside channel, connection and mode; whether it must

    def target(self, agreement: Agreement) -> object:
        """Returns the place at the consumer that the agreement names.

        Raises:
            ConsumerRefused: it is no proper one.
        """
        ...

    def address(self, connection: Connection) -> str:
        """Returns which of the consumer's systems a connection leads to, for people and to compare; no secret is in it."""
        ...

    def deliver(self, shipment: Shipment, connection: Connection) -> Receipt:
        """Delivers, or finds that it was delivered.

        Raises:
            ConsumerUnavailable: the consumer's system did not answer; try again.
            ConsumerRefused: it answered, and will not take the delivery.
        """
        ...

    def arrived(self, agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
        """Returns the receipt of a delivery that the consumer holds, None when it does not; changes nothing."""
        ...


def ahead(order: Order, connection: Connection, scratch: Path) -> AbstractContextManager[Ahead | None]:
    """Returns what takes rows ahead, where the agreement's channel has a function of this name; else None.

    Leaving the context takes back what was not finished.
    """
    begin = getattr(_channel(order.agreement), "ahead", None)
    begun: AbstractContextManager[Ahead | None] = begin(order, connection, scratch) if begin else nullcontext()
    return begun


def deliver(shipment: Shipment, connection: Connection, ahead: Ahead | None = None) -> Receipt:
    """Delivers through the agreement's channel, or finishes what went ahead; see `Channel.deliver`."""
    receipt = ahead.finish(shipment) if ahead else None
    return receipt or _channel(shipment.agreement).deliver(shipment, connection)


def arrived(agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
    """Asks the agreement's channel whether a delivery arrived; see `Channel.arrived`."""
    return _channel(agreement).arrived(agreement, delivery_id, connection)


def clear(agreement: Agreement, delivery_id: str, connection: Connection) -> None:
    """Removes what killed attempts at a delivery that never arrived have left, where the agreement's channel leaves any.

    Call it when nobody can be at that delivery any more. One that did arrive is not touched. Raises as `Channel.arrived`.
    """
    remove = getattr(_channel(agreement), "clear", None)
    if remove:
        remove(agreement, delivery_id, connection)


def place(agreement: Agreement) -> tuple[str, str, str]:
    """Returns where an agreement's deliveries go: channel, connection and what it names there."""
    spec = agreement.delivery
    named = "" if agreement.is_publication else str(_channel(agreement).target(agreement))
    return spec.channel, spec.connection, named


def has_place(agreement: Agreement) -> bool:
    """Returns whether an agreement names a proper place; what was to go to another has never arrived."""
    try:
        place(agreement)
    except ConsumerRefused:
        return False
    return True


def address(agreement: Agreement, connection: Connection) -> str:
    """Returns where the agreement's channel finds the consumer by a connection; see `Channel.address`."""
    return _channel(agreement).address(connection)


def wrong_options(agreement: Agreement) -> Iterator[tuple[str, str, str]]:
    """Yields name, what and fix of each option of the agreement's delivery that its channel can't use."""
    channel, given = _channel(agreement), agreement.delivery.options
    for name in sorted(given.keys() - channel.OPTIONS.keys()):
        what = f"A delivery by {agreement.delivery.channel} has no option '{name}'."
        yield name, what, did_you_mean(name, channel.OPTIONS)
    missing = [name for name, required in channel.OPTIONS.items() if required and not given.get(name)]
    for name in missing:
        yield name, f"A delivery by {agreement.delivery.channel} needs the option '{name}'.", f"Write {name}: ..."
    if not missing:
        try:
            channel.target(agreement)
        except ConsumerRefused as error:
            yield next(name for name, required in channel.OPTIONS.items() if required), error.what, error.fix


def recognised(shipment: Shipment, receipt: Receipt | None) -> Receipt | None:
    """Returns the receipt of what the consumer holds under the shipment's delivery id, if any.

    Raises:
        ConsumerRefused: it is there with another manifest than ours.
    """
    if receipt and receipt.digest != shipment.digest:
        raise ConsumerRefused(
            f"Delivery {receipt.delivery_id} is there already, with other content.",
            where=receipt.location,
            fix="A delivery's content never changes: compare both manifests, and remove the one that is not signed by us.",
        )
    return receipt


def _channel(agreement: Agreement) -> Channel:
    """Loading has checked the name against the modules of this package."""
    return cast("Channel", import_module(f"crossdock.delivery.channels.{agreement.delivery.channel}"))
