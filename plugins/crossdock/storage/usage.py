"""Downloads of and visits to open datasets, each once, and how many there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from crossdock.contracts.model import Contract
from crossdock.errors import WrongUse, did_you_mean
from crossdock.storage import tables
from crossdock.storage.rows import columns_of
from crossdock.storage.state import State

PERIODS = {"day": 10, "month": 7, "year": 4}  # characters of a day
OF_CONTRACT = ("theme", "sharing")  # what a dataset's contract in force says, whenever it was used
GROUPS = ("dataset", "department", *OF_CONTRACT, *PERIODS)


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
    """How one group was used: `key` holds its values; `users` downloaded or visited something, `downloaders` the former."""

    key: tuple[str, ...]
    downloads: int
    visits: int
    users: int
    downloaders: int


def record_uses(state: State, uses: Sequence[Use]) -> int:
    """Records uses in one transaction, and returns how many were new."""
    table = tables.open_use
    with state.begin() as connection:
        known = set(connection.scalars(sa.select(table.c.id).where(table.c.id.in_([use.id for use in uses]))))
        fresh = [columns_of(use) for use in uses if use.id not in known]
        if fresh:
            connection.execute(table.insert(), fresh)
    return len(fresh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """Which uses are counted: first and last day (YYYY-MM-DD, or its beginning), and one department's or all."""

    since: str = ""
    until: str = "9999"  # 2026-03 ends with March
    department: str = ""


_ALL = Uses()
_NONE: Mapping[str, Contract] = MappingProxyType({})


def usage(
    state: State, uses: Uses = _ALL, *, by: Sequence[str] = (), contracts: Mapping[str, Contract] = _NONE
) -> list[Usage]:
    """Counts downloads, visits and users by groups of GROUPS, in the groups' order.

    Args:
        state: keeps the uses.
        uses: which of them.
        by: what to group by; nothing gives one row, for all.
        contracts: those in force, by dataset, where a group is OF_CONTRACT; a dataset without one is in the group "".

    Raises:
        WrongUse: there is no such group.
    """
    for name in by:
        if name not in GROUPS:
            raise WrongUse(f"Use cannot be counted by '{name}'.", fix=did_you_mean(name, GROUPS))
    said = [name for name in by if name in OF_CONTRACT]
    if not said:
        return _counted(state, uses, by, sa.true(), {})
    table, alike = tables.open_use, dict[tuple[str, ...], list[str]]()
    for dataset, contract in contracts.items():
        alike.setdefault(tuple(str(getattr(contract, name)) for name in said), []).append(dataset)
    # A query for each: users are counted once however many of the datasets they used.
    found = _counted(state, uses, by, table.c.dataset.not_in(list(contracts)), dict.fromkeys(said, ""))
    for values, datasets in alike.items():
        found += _counted(state, uses, by, table.c.dataset.in_(datasets), dict(zip(said, values, strict=True)))
    return sorted(found, key=lambda each: each.key)


def _counted(
    state: State, uses: Uses, by: Sequence[str], of: sa.ColumnElement[bool], said: Mapping[str, str]
) -> list[Usage]:
    """Counts some uses by groups; `said` is what is the same for all of them, by group."""
    table = tables.open_use
    groups = [_group(name) for name in by if name not in said]
    counted = [sa.func.sum(sa.case((table.c.kind == kind, 1), else_=0)) for kind in ("download", "visit")]
    downloader = sa.case((table.c.kind == "download", table.c.user))
    people = [sa.func.count(each.distinct()) for each in (table.c.user, downloader)]
    query = sa.select(sa.func.count(), *counted, *people, *groups)
    query = query.where(of, table.c.day >= uses.since, table.c.day <= f"{uses.until}~")
    if uses.department:
        query = query.where(table.c.department == uses.department)
    with state.connect() as connection:
        rows = connection.execute(query.group_by(*groups).order_by(*groups)).all()
    found = []
    for many, downloads, visits, users, downloaders, *values in rows:
        if many or not by:
            told = iter(values)
            key = tuple(said[name] if name in said else next(told) for name in by)
            numbers = {"downloads": downloads or 0, "visits": visits or 0}
            found.append(Usage(key=key, **numbers, users=users, downloaders=downloaders))
    return found


def _group(name: str) -> sa.ColumnElement[Any]:
    table = tables.open_use
    return sa.func.substr(table.c.day, 1, PERIODS[name]) if name in PERIODS else table.c[name]
