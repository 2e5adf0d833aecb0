"""What we kept of deliveries, and need or may have no longer: which records a consumer holds, in which form.

Only the newest delivery under an agreement is what the next changes are compared with; older ones are forgotten, but
for the last at each place where the agreement delivered before it was changed: it can still be recalled. When the data
life has passed, the consumer has deleted it, and so do we: the next delivery brings everything.
Manifests, receipts and the ledger stay: they hold no record. Of a delivery that never arrived, since a newer one did or
the consumer rejected some of its records, nothing stays after a month: neither here nor, of attempts that were killed,
there. So it is, a month after the last try, with a record that the consumer rejected, when it has it now, or when the
agreement has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from crossdock.contracts.durations import later
from crossdock.delivery.channels.channel import clear
from crossdock.errors import ConsumerRefused, ConsumerUnavailable, WrongUse
from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.identity import instant
from crossdock.ledger.own import unbooked_files
from crossdock.routes import outbox
from crossdock.storage.delivered import last_delivered
from crossdock.storage.recalls import RECALL
from crossdock.storage.records import Delivery, deliveries, forget_delivery
from crossdock.storage.rejections import forget_rejections
from crossdock.wordings import Place, wording_of

_A_MONTH = timedelta(days=30)  # longer than any process that may still be at it


def expire(exchange: Exchange) -> int:
    """Deletes what is kept of deliveries beyond its use or its agreed life, and returns of how many."""
    all_known = deliveries(exchange.state)
    made = [d for d in all_known if d.status == "delivered" and d.channel != "open"]
    forgotten = _forget_unarrived(exchange, [d for d in all_known if d.status == "superseded" and d.mode != RECALL])
    for agreement in sorted({each.agreement for each in made}):
        under = sorted((d for d in made if d.agreement == agreement), key=_arrival, reverse=True)
        for each in _of_no_use(exchange, under):
            exchange.store.delete(str(each.received_key))
            forgotten += 1
    in_force = {name for name, each in exchange.catalogue.agreements.items() if exchange.clock() < each.end}
    forget_rejections(exchange.state, in_force, instant(exchange.clock() - _A_MONTH))
    return forgotten


def _forget_unarrived(exchange: Exchange, superseded: Sequence[Delivery]) -> int:
    """Deletes all that is left of deliveries that did not arrive and can't be tried again: a newer one came after them."""
    latest = instant(exchange.clock() - _A_MONTH)
    newest = {agreement: last_delivered(exchange.state, agreement) for agreement in {d.agreement for d in superseded}}
    never = [
        each
        for each in superseded
        if each.intended_at < latest
        and (last := newest[each.agreement])
        and each.order < last.order
        and _cleared(exchange, each)
    ]
    for key in unbooked_files(exchange.store, {each.id for each in never}):
        exchange.store.delete(key)
    for each in never:
        for key in list(exchange.store.list(f"{outbox(each)}/")):
            exchange.store.delete(key)
        reached("retention.deleted")
        forget_delivery(exchange.state, each)
    return len(never)


def _cleared(exchange: Exchange, delivery: Delivery) -> bool:
    """Clears what a delivery left at its consumer, as far as that lets us; returns False when it is to be tried again."""
    wording = wording_of(exchange, delivery)  # None: nothing has left
    if wording and not wording.agreement.is_publication:
        try:
            clear(wording.agreement, delivery.id, exchange.lookup(wording.agreement.delivery.connection))
        except ConsumerUnavailable:
            return False
        except (ConsumerRefused, WrongUse):
            pass  # what we may not delete, or can't find any more, is the consumer's
    return True


def _of_no_use(exchange: Exchange, under: Sequence[Delivery]) -> Iterator[Delivery]:
    """Yields those of one agreement's deliveries, newest first, of which something is kept in vain."""
    newest = last_delivered(exchange.state, under[0].agreement)
    kept = [each for each in under if each.received_key and exchange.store.exists(each.received_key)]
    older = [each for each in kept if newest is None or each.id != newest.id]
    last_there = _last_at_each_place(exchange, under) if older else set()
    for each in kept:
        if (each in older and each.id not in last_there) or _is_over(exchange, each):
            yield each


def _last_at_each_place(exchange: Exchange, under: Sequence[Delivery]) -> set[str]:
    """Returns the deliveries, of some newest first, after which none is known to have gone to the same place."""
    places: dict[str, Place | None] = {}  # by wording
    last: dict[Place, str] = {}
    for each in under:
        if each.agreement_digest not in places:
            wording = wording_of(exchange, each)
            places[each.agreement_digest] = wording.place if wording else None
        there = places[each.agreement_digest]
        if there is not None:
            last.setdefault(there, each.id)
    return set(last.values())


def _arrival(delivery: Delivery) -> tuple[int, str]:
    return delivery.snapshot_seq, delivery.delivered_at or ""


def _is_over(exchange: Exchange, delivery: Delivery) -> bool:
    agreement = exchange.catalogue.agreements.get(delivery.agreement)
    if agreement is None or not agreement.data_life or delivery.delivered_at is None:
        return False
    try:
        return later(datetime.fromisoformat(delivery.delivered_at), agreement.data_life) <= exchange.clock()
    except OverflowError:
        return False  # for ever
