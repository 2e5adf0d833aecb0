"""What providers answered to requests for their data: yes or no, who, and why."""

from __future__ import annotations

from dataclasses import dataclass

from crossdock.storage import tables
from crossdock.storage.rows import columns_of, one, standing
from crossdock.storage.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The answer to one wording of an agreement; `id` is that wording's digest."""

    id: str
    agreement: str
    version: str
    approved: bool
    reason: str
    reviewed_by: str
    reviewed_at: str


def record_review(state: State, review: Review) -> Review:
    """Records an answer, once; returns the one that stands."""
    with state.begin() as connection:
        return Review(**standing(connection, tables.review, columns_of(review)))


def review_of(state: State, digest: str) -> Review | None:
    """Returns the answer to a wording of an agreement, or None."""
    with state.connect() as connection:
        row = one(connection, tables.review, tables.review.c.id == digest)
    return Review(**row) if row else None
