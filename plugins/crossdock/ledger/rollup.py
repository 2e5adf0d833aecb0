"""The rollup: what entries add up to by day and by month, kept in the transaction that appends them.

A dashboard reads it in milliseconds where the entries themselves would take seconds. It is derived: entries and event
files are the truth, and the audit compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from crossdock.storage.state import State
from crossdock.storage.tables import share_day, share_month

if TYPE_CHECKING:
    from crossdock.ledger.book import Body

Role = Literal["provider", "consumer"]
_ROLES: tuple[Role, ...] = ("provider", "consumer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Whole months, YYYY-MM, both included."""

    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How much one group has: `key` holds the group's values in the order that was asked for."""

    key: tuple[str, ...]
    shares: int
    deliveries: int


def roll_up(connection: sa.Connection, body: Body) -> None:
    """Adds an entry to the sums, within the transaction that appends it; appenders wait for each other."""
    provided = {"day": body.day, "role": "provider", "party": body.department}
    received = {"day": body.day, "role": "consumer", "party": body.consumer}
    month = {"month": body.day[:7], "dataset": body.dataset, "consumer": body.consumer, "theme": body.theme}
    _add(connection, share_day, provided, body)
    _add(connection, share_day, received, body)
    _add(connection, share_month, month, body, department=body.department)


def _add(connection: sa.Connection, table: sa.Table, key: dict[str, str], body: Body, **more: str) -> None:
    known = sa.and_(*(table.c[name] == value for name, value in key.items()))
    grown = {"shares": table.c.shares + body.shares, "deliveries": table.c.deliveries + 1}
    if not connection.execute(table.update().where(known).values(grown)).rowcount:
        connection.execute(table.insert().values(**key, **more, shares=body.shares, deliveries=1))


def sums() -> tuple[sa.ScalarSelect[Any], ...]:
    """Returns all shares by each of the rollup's ways of counting, to be selected: equal unless something is wrong."""
    by_role = (sa.select(sa.func.sum(share_day.c.shares)).where(share_day.c.role == role) for role in _ROLES)
    by_month = sa.select(sa.func.sum(share_month.c.shares))
    return tuple(query.scalar_subquery() for query in (*by_role, by_month))


def daily(state: State, period: Period, *, role: Role, party: str | None = None) -> list[Tally]:
    """Returns the shares of each day that has some, oldest first: of one party in a role, or of all."""
    query = (
        _sums(share_day, (share_day.c.day,))
        .where(share_day.c.role == role, share_day.c.day >= period.first, share_day.c.day < f"{period.last}-99")
        .order_by(share_day.c.day)
    )
    return _tallies(state, query.where(share_day.c.party == party) if party else query)


def monthly(
    state: State, period: Period, *, by: Sequence[str], party: str | None = None, dataset: str | None = None
) -> list[Tally]:
    """Returns the shares of each group, most first.

    Args:
        state: holds the rollup.
        period: the months that count.
        by: any of month, dataset, consumer, theme, department.
        party: counts only what this department provides or receives.
        dataset: counts only this one.
    """
    table = share_month
    query = _sums(table, [table.c[name] for name in by])
    query = query.where(table.c.month.between(period.first, period.last))
    query = query.where(sa.or_(table.c.department == party, table.c.consumer == party)) if party else query
    query = query.where(table.c.dataset == dataset) if dataset else query
    return sorted(_tallies(state, query), key=lambda tally: (-tally.shares, tally.key))


def months(state: State) -> Period | None:
    """Returns the first and the last month that have an entry; None when there is none."""
    with state.connect() as connection:
        first, last = (connection.scalar(sa.select(end(share_month.c.month))) for end in (sa.func.min, sa.func.max))
    return Period(first=first, last=last) if first and last else None


def _sums(table: sa.Table, by: Sequence[sa.Column[Any]]) -> sa.Select[Any]:
    return sa.select(*by, sa.func.sum(table.c.shares), sa.func.sum(table.c.deliveries)).group_by(*by)


def _tallies(state: State, query: sa.Select[Any]) -> list[Tally]:
    with state.connect() as connection:
        rows = connection.execute(query).all()
    return [Tally(key=tuple(row[:-2]), shares=int(row[-2]), deliveries=int(row[-1])) for row in rows if row[-1]]
