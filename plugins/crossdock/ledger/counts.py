"""How many records were shared: from the rollup at once, or recounted from the event files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from crossdock.errors import LedgerBroken, WrongUse, did_you_mean
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import Body
from crossdock.ledger.brief import read_briefly
from crossdock.ledger.rollup import PERIODS, WAYS, Sum, Sums, in_order, rolled, summed
from crossdock.storage.rows import tuples
from crossdock.storage.state import State
from crossdock.storage.store import Store
from crossdock.storage.tables import ledger_entry

GROUPS = (*WAYS, *PERIODS)
_MANY = 1_000  # deliveries in one question
Tally = tuple[tuple[str, ...], int, int]  # group values, shares, deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Share counts, in all and by group.

    `interfaces` are the different agreements under which something was delivered. `subjects` is how many people and
    enterprises the shares are about, where that was asked for.
    """

    shares: int
    deliveries: int
    interfaces: int
    by: tuple[str, ...]  # what each group is of
    sums: tuple[Sum, ...]  # of each group, sorted; with its subjects where they were asked for; () when `by` is
    subjects: int | None = None

    @property
    def groups(self) -> tuple[dict[str, Any], ...]:
        """The sums under their names: what is counted by, then `shares`, `deliveries`, `interfaces`, and `subjects`."""
        names = (*self.by, "shares", "deliveries", "interfaces", *(() if self.subjects is None else ("subjects",)))
        return tuple([dict(zip(names, each, strict=True)) for each in self.sums])

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        numbers = {"shares": self.shares, "deliveries": self.deliveries, "interfaces": self.interfaces}
        found: dict[str, object] = {**numbers, "groups": list(self.groups)}
        return found if self.subjects is None else {**found, "subjects": self.subjects}


def count(  # noqa: PLR0913 - the four options of `crossdock counts`, by name only
    state: State,
    store: Store,
    *,
    by: Sequence[str],
    since: str | None = None,
    until: str | None = None,
    recount: bool = False,
) -> Counts:
    """Counts shares (records inserted or updated at a consumer, publications included as consumer "public").

    Args:
        state: holds the book.
        store: holds the event files; read only to recount.
        by: what to group by, of GROUPS.
        since: first day, YYYY-MM-DD in UTC, included.
        until: last day, included.
        recount: count the events in their files instead of trusting what was added up; both must agree.

    Raises:
        WrongUse: an unknown group or a day in another form.
        ObjectMissing: an event file is missing (recount only).
        LedgerBroken: an entry or an event file cannot be read (recount only).
    """
    for name in by:
        if name not in GROUPS:
            raise WrongUse(f"Shares cannot be counted by '{name}'.", fix=did_you_mean(name, GROUPS))
    for day in (since, until):
        if day is not None and not _is_day(day):
            raise WrongUse(f"'{day}' is not a day.", fix="Write it as YYYY-MM-DD.")
    names = tuple(dict.fromkeys(by))
    sums, interfaces = (_recounted if recount else _rolled_up)(state, store, names, since, until)
    return Counts(
        shares=sum(sums[-3]),
        deliveries=sum(sums[-2]),
        interfaces=interfaces,
        by=names,
        sums=tuple(in_order(sums)) if names else (),
    )


def _rolled_up(
    state: State, _: Store, names: tuple[str, ...], since: str | None, until: str | None
) -> tuple[Sums, int]:
    """Returns the rollup's sums, and how many interfaces there are in all."""
    sums = summed(state, names, since=since, until=until)
    for naming in (("agreement",), ("dataset", "consumer")):
        if set(naming) <= set(names):
            return sums, len(set(map("\0".join, zip(*(sums[names.index(name)] for name in naming), strict=True))))
    return sums, sum((sums if not names else summed(state, (), since=since, until=until))[-1])


def group_of(body: Body, names: Sequence[str]) -> tuple[str, ...]:
    """Returns an entry's values of the groups that are asked for."""
    return tuple(body.day[: PERIODS[name]] if name in PERIODS else str(getattr(body, name)) for name in names)


def _is_day(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def mismatch(state: State) -> str:
    """Returns a sum of the rollup that is another than the entries', by table and group; "" when all agree.

    One statement compares a table with the entries, so that a delivery booked meanwhile is in both or in neither.

    Raises:
        LedgerBroken: an entry cannot be read.
    """
    for name, (rows, ways) in rolled().items():
        with state.connect() as connection:
            body, shares = _body_and_shares(connection)
            groups = [_group(body, way) for way in ways]
            entries = sa.select(*groups, shares, sa.func.count()).group_by(*map(_place, range(len(groups))))
            both = sa.union_all(_named(entries, +1), _named(rows, -1)).subquery()
            *keys, shared, made = both.c
            query = sa.select(*keys).group_by(*keys)
            query = query.having(sa.or_(sa.func.sum(shared) != 0, sa.func.sum(made) != 0)).order_by(*keys).limit(1)
            wrong = _asked(connection, query)
        if wrong:
            return f"{name}: {', '.join(map(str, wrong[0]))}"
    return ""


def _named(query: sa.Select[Any], sign: int) -> sa.Select[Any]:
    """Returns a query's rows, numbers (the last two columns) times a sign, under names that any two have in common."""
    columns = list(query.subquery().c)
    numbers = [each * sign for each in columns[-2:]]
    return sa.select(*(each.label(f"c{place}") for place, each in enumerate([*columns[:-2], *numbers])))


def _group(body: Any, name: str) -> sa.ColumnElement[Any]:
    """Returns what of an entry shares are counted by, to be selected."""
    if name in PERIODS:
        return sa.func.substr(ledger_entry.c.day, 1, PERIODS[name])
    found: sa.ColumnElement[Any] = body[name].as_string()
    return found


def _place(place: int) -> sa.ColumnElement[Any]:
    return sa.literal_column(str(place + 1))


def _asked(connection: sa.Connection, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
    try:
        return tuples(connection, query)
    except sa.exc.DBAPIError as error:
        raise LedgerBroken("An entry's body cannot be read.", fix="Run `crossdock ledger verify`.") from error


def _body_and_shares(connection: sa.Connection) -> tuple[Any, Any]:
    """Returns an entry's body as JSON, and the sum of shares over entries, to be selected."""
    body: Any = (
        sa.cast(ledger_entry.c.body, sa.JSON)
        if connection.dialect.name == "postgresql"
        else sa.type_coerce(ledger_entry.c.body, sa.JSON)
    )
    counts = body["counts"]
    return body, sa.func.sum(counts["inserted"].as_integer() + counts["updated"].as_integer())


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Some entries: of days from `since` to `until`, with numbers above `after` and up to `upto`, of some deliveries."""

    since: str | None = None
    until: str | None = None
    after: int = 0
    upto: int | None = None
    deliveries: Sequence[str] | None = None  # None: of all


def booked(state: State, names: tuple[str, ...], span: Span) -> list[Tally]:
    """Lets the database add up what the entries say.

    Args:
        state: holds the book.
        names: fields of `Body` that hold text, or PERIODS.
        span: which entries.

    Returns:
        Per group its values, shares and deliveries, in no order; of many deliveries a group may come several times.

    Raises:
        LedgerBroken: an entry cannot be read.
    """
    with state.connect() as connection:
        body, shares = _body_and_shares(connection)
        groups = [_group(body, name) for name in names]
        query: sa.Select[Any] = sa.select(*groups, shares, sa.func.count())
        query = query.group_by(*map(_place, range(len(groups))))
        query = _between(query.where(ledger_entry.c.seq > span.after), span.since, span.until)
        query = query if span.upto is None else query.where(ledger_entry.c.seq <= span.upto)
        if span.deliveries is None:
            rows = _asked(connection, query)
        else:
            parts = (span.deliveries[start : start + _MANY] for start in range(0, len(span.deliveries), _MANY))
            rows = [row for part in parts for row in _asked(connection, query.where(ledger_entry.c.delivery.in_(part)))]
    if any(None in row[:-2] for row in rows):
        raise LedgerBroken("An entry's body lacks a field.", fix="Run `crossdock ledger verify`.")
    return [(tuple(row[:-2]), int(row[-2] or 0), row[-1]) for row in rows]


def _recounted(
    state: State, store: Store, names: tuple[str, ...], since: str | None, until: str | None
) -> tuple[Sums, int]:
    """Counts every event in its file; returns the sums and how many interfaces there are in all."""
    archive = Archive.open(state, store)
    with archive.tallying(*_ends(state, since, until)) as tallies:
        entries = read_briefly(state, names, since=since, until=until)
        inserted, updated, _ = tallies(entries.events).T
    if not entries.events:
        return [[]] * (len(names) + 3), 0
    texts = [pa.array(values, pa.string()) for values in (*entries.groups, entries.agreements)]
    table = pa.table([*texts, pa.array(inserted + updated)], [*names, "agreements", "shares"])
    grouped = table.group_by(list(names)).aggregate(
        [("shares", "sum"), ([], "count_all"), ("agreements", "count_distinct")]
    )
    found = [*names, "shares_sum", "count_all", "agreements_count_distinct"]
    return [grouped[name].to_pylist() for name in found], len(set(entries.agreements))


def _ends(state: State, since: str | None, until: str | None) -> tuple[int, int]:
    """Returns the first and the last entry of some days; those between may be of other days."""
    query = _between(sa.select(sa.func.min(ledger_entry.c.seq), sa.func.max(ledger_entry.c.seq)), since, until)
    with state.connect() as connection:
        first, last = connection.execute(query).one()
    return first or 0, last or 0


def _between(query: sa.Select[Any], since: str | None, until: str | None) -> sa.Select[Any]:
    query = query.where(ledger_entry.c.day >= since) if since else query
    return query.where(ledger_entry.c.day <= until) if until else query
