"""Deliveries that may have arrived where nobody can ask any more: who gave them up, and why."""

from __future__ import annotations

from dataclasses import dataclass

from crossdock.storage import tables
from crossdock.storage.rows import columns_of, one, standing
from crossdock.storage.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """The delivery `id`, which may be at an address."""

    id: str
    maybe_at: str
    reason: str
    given_up_by: str
    given_up_at: str


def record_given_up(state: State, given_up: GivenUp) -> GivenUp:
    """Records that a delivery was given up, once; returns the record that stands."""
    with state.begin() as connection:
        return GivenUp(**standing(connection, tables.given_up, columns_of(given_up)))


def given_up_by_id(state: State, delivery_id: str) -> GivenUp | None:
    """Returns who gave a delivery up, or None."""
    with state.connect() as connection:
        row = one(connection, tables.given_up, tables.given_up.c.id == delivery_id)
    return GivenUp(**row) if row else None
