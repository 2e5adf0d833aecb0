"""Downloads of and visits to open datasets, each once, and how many there were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crossdock.errors import WrongUse, did_you_mean
from crossdock.storage import tables
from crossdock.storage.rows import columns_of
from crossdock.storage.state import State

PERIODS = {"day": 10, "month": 7, "year": 4}  # characters of a day
GROUPS = ("dataset", "department", *PERIODS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One download or visit; `user` is a keyed hash, `id` names who did what when."""

    id: str
    day: str
    department: str
    dataset: str
    kind: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How one group was used: `key` holds the group's values; `users` have downloaded or visited something."""

    key: tuple[str, ...]
    downloads: int
    visits: int
    users: int


def record_uses(state: State, uses: Sequence[Use]) -> int:
    """Records uses in one transaction, and returns how many were new."""
    table = tables.open_use
    with state.begin() as connection:
        known = set(connection.scalars(sa.select(table.c.id).where(table.c.id.in_([use.id for use in uses]))))
        fresh = [columns_of(use) for use in uses if use.id not in known]
        if fresh:
            connection.execute(table.insert(), fresh)
    return len(fresh)


def usage(
    state: State, *, by: Sequence[str] = (), since: str = "", until: str = "9999", department: str = ""
) -> list[Usage]:
    """Counts downloads, visits and users by groups of GROUPS, in the groups' order.

    Args:
        state: keeps the uses.
        by: what to group by; nothing gives one row, for all.
        since: first day, YYYY-MM-DD (or the beginning of one), included.
        until: last day, or the beginning of it: 2026-03 ends with March.
        department: counts only this one's datasets.

    Raises:
        WrongUse: there is no such group.
    """
    table = tables.open_use
    for name in by:
        if name not in GROUPS:
            raise WrongUse(f"Use cannot be counted by '{name}'.", fix=did_you_mean(name, GROUPS))
    groups = [_group(name) for name in by]
    counted = [sa.func.sum(sa.case((table.c.kind == kind, 1), else_=0)) for kind in ("download", "visit")]
    query = sa.select(*groups, *counted, sa.func.count(table.c.user.distinct()))
    query = query.where(table.c.day >= since, table.c.day <= f"{until}~").group_by(*groups).order_by(*groups)
    if department:
        query = query.where(table.c.department == department)
    with state.connect() as connection:
        rows = connection.execute(query).all()
    return [Usage(key=tuple(row[:-3]), downloads=row[-3] or 0, visits=row[-2] or 0, users=row[-1]) for row in rows]


def _group(name: str) -> sa.ColumnElement[Any]:
    table = tables.open_use
    return sa.func.substr(table.c.day, 1, PERIODS[name]) if name in PERIODS else table.c[name]
