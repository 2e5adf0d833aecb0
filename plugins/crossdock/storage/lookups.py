"""Who looked up what about whom had been shared, when and why: added to, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from crossdock.storage import tables
from crossdock.storage.rows import add, columns_of
from crossdock.storage.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One lookup; `subject` is a keyed hash, as hex, `found` how many deliveries were told."""

    id: str
    subject: str
    asked_by: str
    asked_at: str
    reason: str
    withheld: bool
    found: int

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return asdict(self)


def record_lookup(state: State, lookup: Lookup) -> None:
    """Records a lookup."""
    with state.begin() as connection:
        add(connection, tables.lookup, columns_of(lookup))


def lookups(state: State, subject: Sequence[str] = ()) -> list[Lookup]:
    """Returns all lookups, or those of one subject by the hashes that it has, newest first."""
    table = tables.lookup
    query = table.select().order_by(table.c.asked_at.desc(), table.c.id)
    query = query.where(table.c.subject.in_(subject)) if subject else query
    with state.connect() as connection:
        return [Lookup(**row) for row in connection.execute(query).mappings()]
