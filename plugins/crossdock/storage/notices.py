"""Which verdicts' findings a department was told of, and when."""

from __future__ import annotations

from dataclasses import dataclass

from crossdock.storage import tables
from crossdock.storage.rows import add, columns_of, one
from crossdock.storage.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A verdict's findings as its department took them; `id` is the verdict's."""

    id: str
    dataset: str
    connection: str
    sent_at: str


def record_notice(state: State, notice: Notice) -> None:
    """Records a notice; the first one of a verdict stays."""
    with state.begin() as connection:
        add(connection, tables.notice, columns_of(notice))


def notice_by_id(state: State, verdict_id: str) -> Notice | None:
    """Returns the notice of a verdict, or None."""
    with state.connect() as connection:
        row = one(connection, tables.notice, tables.notice.c.id == verdict_id)
    return Notice(**row) if row else None
