"""What reached consumers under an agreement, by the order of its snapshots."""

from __future__ import annotations

import sqlalchemy as sa

from crossdock.storage import tables
from crossdock.storage.recalls import RECALL
from crossdock.storage.records import Delivery
from crossdock.storage.state import State

_table = tables.delivery


def delivered(state: State, agreement: str) -> list[Delivery]:
    """Returns all completed deliveries under an agreement, recalls among them, newest first."""
    with state.connect() as connection:
        return [Delivery(**row) for row in connection.execute(_newest_first(agreement)).mappings()]


def last_delivered(state: State, agreement: str) -> Delivery | None:
    """Returns the newest completed delivery under an agreement; None when there is none.

    A recall has the wording of what it takes the place of. So one that went to where older deliveries had gone, before
    the agreement named another place, is never the newest.
    """
    with state.connect() as connection:
        query = _newest_first(agreement).limit(1)
        brought = connection.execute(query.where(_table.c.mode != RECALL)).mappings().one_or_none()
        if brought is None:
            return None
        back = query.where(_table.c.mode == RECALL, _table.c.agreement_digest == brought["agreement_digest"])
        recall = connection.execute(back).mappings().one_or_none()
    found = [Delivery(**row) for row in (recall, brought) if row]
    return max(found, key=lambda each: (each.snapshot_seq, each.delivered_at or ""))


def _newest_first(agreement: str) -> sa.Select[tuple[object, ...]]:
    made = _table.select().where(_table.c.agreement == agreement, _table.c.status == "delivered")
    return made.order_by(_table.c.snapshot_seq.desc(), _table.c.delivered_at.desc())
