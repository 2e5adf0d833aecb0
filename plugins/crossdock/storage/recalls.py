"""Which deliveries were taken back, by whom and why."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from crossdock.storage import tables
from crossdock.storage.records import Delivery
from crossdock.storage.rows import columns_of, one, standing
from crossdock.storage.state import State

RECALL = "recall"  # the mode of a delivery that takes back another


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """A delivery, `id`, that takes back the delivery `recalled`."""

    id: str
    recalled: str
    reason: str
    recalled_by: str
    recalled_at: str


def intend_recall(state: State, delivery: Delivery, recall: Recall) -> tuple[Delivery, Recall]:
    """Records the intent to take a delivery back, once; returns both rows as they stand."""
    with state.begin() as connection:
        intent = standing(connection, tables.delivery, columns_of(delivery))
        asked = standing(connection, tables.recall, columns_of(recall))
    return Delivery(**intent), Recall(**asked)


def recall_by_id(state: State, delivery_id: str) -> Recall | None:
    """Returns what a delivery takes back, or None when it is no recall."""
    with state.connect() as connection:
        row = one(connection, tables.recall, tables.recall.c.id == delivery_id)
    return Recall(**row) if row else None


def recalls(state: State) -> list[Recall]:
    """Returns the recalls that reached their consumers, newest first."""
    table, made = tables.recall, tables.delivery
    query = (
        sa.select(table)
        .join(made, made.c.id == table.c.id)
        .where(made.c.status == "delivered")
        .order_by(table.c.recalled_at.desc(), table.c.id)
    )
    with state.connect() as connection:
        return [Recall(**row) for row in connection.execute(query).mappings()]
