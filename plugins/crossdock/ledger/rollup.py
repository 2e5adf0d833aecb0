"""The rollup: what entries add up to by day and by month, kept in the transaction that appends them.

Counts and pages read it in milliseconds where the entries themselves would take seconds. It is derived: entries and
event files are the truth, and the audit compares every sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import lt
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import sqlalchemy as sa

from crossdock.identity import content_id
from crossdock.storage.rows import by_column, tuples
from crossdock.storage.state import State
from crossdock.storage.tables import share_count, share_day, share_month

if TYPE_CHECKING:
    from crossdock.ledger.book import Body

Role = Literal["provider", "consumer"]
WAYS = ("department", "dataset", "theme", "sharing", "consumer", "channel", "agreement", "purpose")  # of an entry
PERIODS = {"day": 10, "month": 7, "year": 4}  # characters of a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Whole months, YYYY-MM, both included."""

    first: str
    last: str


class Tally(NamedTuple):
    """How much one group has: `key` holds the group's values in the order asked for. A tuple: there may be many."""

    key: tuple[str, ...]
    shares: int
    deliveries: int


# Values of a group, then its shares, its deliveries, and its interfaces: agreements under which something was delivered.
Sum = tuple[Any, ...]
Sums = list[list[Any]]  # many of them, by column, in no order


def roll_up(connection: sa.Connection, body: Body) -> None:
    """Adds an entry to the sums, within the transaction that appends it; appenders wait for each other."""
    for role, party in (("provider", body.department), ("consumer", body.consumer)):
        key = {"day": body.day, "role": role, "party": party}
        known = sa.and_(*(share_day.c[name] == value for name, value in key.items()))
        _add(connection, share_day, known, key, body)
    for table, column, period in ((share_count, "day", body.day), (share_month, "month", body.day[:7])):
        ways = {name: str(getattr(body, name)) for name in WAYS}
        key = {"id": content_id(period, *ways.values()), column: period, **ways}
        _add(connection, table, table.c.id == key["id"], key, body)


def _add(
    connection: sa.Connection, table: sa.Table, known: sa.ColumnElement[bool], key: Mapping[str, str], body: Body
) -> None:
    grown = {"shares": table.c.shares + body.shares, "deliveries": table.c.deliveries + 1}
    if not connection.execute(table.update().where(known).values(grown)).rowcount:
        connection.execute(table.insert().values(**key, shares=body.shares, deliveries=1))


def summed(state: State, by: Sequence[str], *, since: str | None = None, until: str | None = None) -> Sums:
    """Returns the sums of each group; one whose agreement or contract was changed meanwhile may have several.

    Args:
        state: holds the rollup.
        by: any of WAYS and PERIODS.
        since: first day, YYYY-MM-DD, included.
        until: last day, included.
    """
    table, period = (share_count, "day") if since or until or "day" in by else (share_month, "month")
    groups = [
        sa.func.substr(table.c[period], 1, PERIODS[name]) if name in PERIODS and name != period else table.c[name]
        for name in by
    ]
    one = "agreement" in by or {"dataset", "consumer"} <= set(by)  # these two name the agreement
    single = one and period in by  # then hardly ever more than one row is of a group
    query = sa.select(*groups, *_numbers(table)) if single else _sums(table, groups)
    query = query if one else query.add_columns(sa.func.count(table.c.agreement.distinct()))
    query = query.where(table.c[period] >= since) if since else query
    query = query.where(table.c[period] <= until) if until else query
    with state.connect() as connection:
        sums = by_column(connection, query)
    if one:
        return [*sums, [1] * len(sums[-1])]
    return sums if sums[-1] != [0] else [[] for _ in sums]  # nothing at all comes to one row


def in_order(sums: Sums) -> list[Sum]:
    """Returns sums by row, one of each group, in the order of the groups."""
    rows, groups = list(zip(*sums, strict=True)), sums[:-3]
    keys = list(map("\0".join, zip(*groups, strict=True)))  # compared in half the time of tuples of texts
    if all(map(lt, keys, islice(keys, 1, None))):  # as an index gives them
        return rows
    by_key = dict(zip(keys, rows, strict=True))
    if len(by_key) < len(rows):
        return sorted(_merged(rows), key=lambda row: row[:-3])
    return [by_key[key] for key in sorted(by_key)]


def _merged(rows: list[Sum]) -> list[Sum]:
    """Adds up the rows of one group."""
    sums: dict[tuple[Any, ...], Sum] = {}
    for row in rows:
        key, known = row[:-3], sums.get(row[:-3])
        sums[key] = (*key, row[-3] + known[-3], row[-2] + known[-2], 1) if known else row
    return list(sums.values())


def rolled() -> dict[str, tuple[sa.Select[Any], Sequence[str]]]:
    """Returns each of the rollup's ways of counting, by its name: its rows, and what of an entry they are counted by."""
    by_role: dict[Role, str] = {"provider": "department", "consumer": "consumer"}
    found: dict[str, tuple[sa.Select[Any], Sequence[str]]] = {
        f"share_day, {role}": (
            sa.select(share_day.c.day, share_day.c.party, *_numbers(share_day)).where(share_day.c.role == role),
            ("day", party),
        )
        for role, party in by_role.items()
    }
    for table, period in ((share_count, "day"), (share_month, "month")):
        ways = [table.c[name] for name in (period, *WAYS)]
        found[table.name] = sa.select(*ways, *_numbers(table)), (period, *WAYS)
    return found


def _numbers(table: sa.Table) -> tuple[sa.Column[Any], sa.Column[Any]]:
    return table.c.shares, table.c.deliveries


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
    month: sa.ColumnElement[str] = table.c.month
    if _is_most(period, months(state)):  # then by the index on sums: by that on months, all would have to be sorted
        month = sa.func.substr(month, 1, PERIODS["month"])
    query = query.where(month.between(period.first, period.last))
    query = query.where(sa.or_(table.c.department == party, table.c.consumer == party)) if party else query
    query = query.where(table.c.dataset == dataset) if dataset else query
    return sorted(_tallies(state, query), key=lambda tally: (-tally.shares, tally.key))


def months(state: State) -> Period | None:
    """Returns the first and the last month that have an entry; None when there is none."""
    with state.connect() as connection:
        first, last = (connection.scalar(sa.select(end(share_month.c.month))) for end in (sa.func.min, sa.func.max))
    return Period(first=first, last=last) if first and last else None


def _is_most(period: Period, known: Period | None) -> bool:
    """True when a period is at least half of the months that have entries."""
    if known is None:
        return False
    both = Period(first=max(period.first, known.first), last=min(period.last, known.last))
    return 2 * _months_in(both) >= _months_in(known)


def _months_in(period: Period) -> int:
    (first_year, first), (last_year, last) = (map(int, end.split("-")) for end in (period.first, period.last))
    return 12 * (last_year - first_year) + last - first + 1


def _sums(table: sa.Table, by: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    return sa.select(*by, sa.func.sum(table.c.shares), sa.func.sum(table.c.deliveries)).group_by(*by)


def _tallies(state: State, query: sa.Select[Any]) -> list[Tally]:
    with state.connect() as connection:
        rows = tuples(connection, query)
    return [Tally(tuple(key), int(shares), int(deliveries)) for *key, shares, deliveries in rows if deliveries]
