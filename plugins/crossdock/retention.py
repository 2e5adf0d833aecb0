"""What we kept of deliveries, and need or may have no longer: which records a consumer holds, in which form.

Only the newest delivery under an agreement is what the next changes are compared with; older ones are forgotten. When
the data life of the newest has passed, its consumer has deleted it, and so do we: the next delivery brings everything.
Manifests, receipts and the ledger stay: they hold no record.
"""

from __future__ import annotations

from datetime import datetime

from crossdock.contracts.durations import later
from crossdock.exchange import Exchange
from crossdock.storage.records import Delivery, deliveries


def expire(exchange: Exchange) -> int:
    """Deletes what is kept of deliveries beyond its use or its agreed life, and returns of how many."""
    made = [d for d in deliveries(exchange.state) if d.status == "delivered"]
    newest: dict[str, Delivery] = {}
    for each in made:
        known = newest.get(each.agreement)
        if known is None or _order(each) > _order(known):
            newest[each.agreement] = each
    over = [each for each in made if newest[each.agreement].id != each.id or _is_over(exchange, each)]
    kept = [each.received_key for each in over if each.received_key and exchange.store.exists(each.received_key)]
    for key in kept:
        exchange.store.delete(key)
    return len(kept)


def _order(delivery: Delivery) -> tuple[int, str]:
    return delivery.snapshot_seq, delivery.delivered_at or ""


def _is_over(exchange: Exchange, delivery: Delivery) -> bool:
    agreement = exchange.catalogue.agreements.get(delivery.agreement)
    if agreement is None or not agreement.data_life or delivery.delivered_at is None:
        return False
    try:
        return later(datetime.fromisoformat(delivery.delivered_at), agreement.data_life) <= exchange.clock()
    except OverflowError:
        return False  # for ever
