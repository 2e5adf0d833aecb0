"""How many records were shared: from the book's entries at once, or recounted from the event files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from crossdock.errors import LedgerBroken, WrongUse, did_you_mean
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import Body, read_entries
from crossdock.ledger.rollup import sums
from crossdock.storage.state import State
from crossdock.storage.store import Store
from crossdock.storage.tables import ledger_entry

PERIODS = {"day": 10, "month": 7, "year": 4}  # characters of a day
GROUPS = ("department", "dataset", "theme", "sharing", "consumer", "channel", "purpose", "agreement", *PERIODS)
Tally = tuple[tuple[str, ...], int, int]  # group values, shares, deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Share counts: `groups` hold the group keys, `shares` and `deliveries`, sorted by the keys.

    `subjects`, there and in each group, is how many people and enterprises they are about, where that was asked for.
    """

    shares: int
    deliveries: int
    groups: tuple[Mapping[str, str | int], ...]
    subjects: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        found = {"shares": self.shares, "deliveries": self.deliveries, "groups": [dict(g) for g in self.groups]}
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
        recount: count the events in their files instead of trusting the entries; both must agree.

    Raises:
        WrongUse: an unknown group or a day in another form.
        ObjectMissing: an event file is missing (recount only).
        LedgerBroken: an entry or an event file cannot be read.
    """
    for name in by:
        if name not in GROUPS:
            raise WrongUse(f"Shares cannot be counted by '{name}'.", fix=did_you_mean(name, GROUPS))
    for day in (since, until):
        if day is not None and not _is_day(day):
            raise WrongUse(f"'{day}' is not a day.", fix="Write it as YYYY-MM-DD.")
    names = tuple(dict.fromkeys(by))
    tallies = _recounted(state, store, names, since, until) if recount else booked(state, names, since, until)
    totals: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    for group, shares, deliveries in tallies:
        totals[group][0] += shares
        totals[group][1] += deliveries
    groups: tuple[Mapping[str, str | int], ...] = tuple(
        {**dict(zip(names, group, strict=True)), "shares": shares, "deliveries": deliveries}
        for group, (shares, deliveries) in sorted(totals.items())
    )
    return Counts(
        shares=sum(shares for shares, _ in totals.values()),
        deliveries=sum(deliveries for _, deliveries in totals.values()),
        groups=groups if names else (),
    )


def group_of(body: Body, names: Sequence[str]) -> tuple[str, ...]:
    """Returns an entry's values of the groups that are asked for."""
    return tuple(body.day[: PERIODS[name]] if name in PERIODS else str(getattr(body, name)) for name in names)


def _is_day(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def astray(state: State) -> int | None:
    """Returns a sum of the rollup that differs from what the entries add up to, or None: all agree.

    One statement asks for all of them, so that a delivery booked meanwhile is in every one or in none.
    """
    with state.connect() as connection:
        _, shares = _body_and_shares(connection)
        booked = sa.select(shares).select_from(ledger_entry).scalar_subquery()
        found, *others = (int(each or 0) for each in connection.execute(sa.select(booked, *sums())).one())
    return next((each for each in others if each != found), None)


def _body_and_shares(connection: sa.Connection) -> tuple[Any, Any]:
    """Returns an entry's body as JSON, and the sum of shares over entries, to be selected."""
    body: Any = (
        sa.cast(ledger_entry.c.body, sa.JSON)
        if connection.dialect.name == "postgresql"
        else sa.type_coerce(ledger_entry.c.body, sa.JSON)
    )
    counts = body["counts"]
    return body, sa.func.sum(counts["inserted"].as_integer() + counts["updated"].as_integer())


def booked(state: State, names: tuple[str, ...], since: str | None, until: str | None) -> list[Tally]:
    """Lets the database add up what the entries say.

    Args:
        state: holds the book.
        names: fields of `Body` that hold text, or PERIODS.
        since: first day, included.
        until: last day, included.

    Returns:
        Per group its values, shares and deliveries, in no order.

    Raises:
        LedgerBroken: an entry cannot be read.
    """
    with state.connect() as connection:
        body, shares = _body_and_shares(connection)
        groups = [
            sa.func.substr(ledger_entry.c.day, 1, PERIODS[name]) if name in PERIODS else body[name].as_string()
            for name in names
        ]
        query = sa.select(*groups, shares, sa.func.count()).group_by(
            *(sa.literal_column(str(i + 1)) for i in range(len(names)))
        )
        query = query.where(ledger_entry.c.day >= since) if since else query
        query = query.where(ledger_entry.c.day <= until) if until else query
        try:
            rows = connection.execute(query).all()
        except sa.exc.DBAPIError as error:
            raise LedgerBroken("An entry's body cannot be read.", fix="Run `crossdock ledger verify`.") from error
    if any(None in row[:-2] for row in rows):
        raise LedgerBroken("An entry's body lacks a field.", fix="Run `crossdock ledger verify`.")
    return [(tuple(row[:-2]), int(row[-2] or 0), row[-1]) for row in rows]


def _recounted(
    state: State, store: Store, names: tuple[str, ...], since: str | None, until: str | None
) -> Iterator[Tally]:
    """Counts every event in its file."""
    entries = list(read_entries(state, since=since, until=until))
    for entry, operations in zip(entries, Archive.open(state, store).tallies(entries), strict=True):
        yield group_of(entry.body, names), operations["insert"] + operations["update"], 1
