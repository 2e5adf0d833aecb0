"""What of entries it takes to recount them: there are thousands, so that only that much of each body is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa

from crossdock.errors import LedgerBroken
from crossdock.ledger.archive import Held
from crossdock.ledger.rollup import PERIODS
from crossdock.storage.rows import tuples
from crossdock.storage.state import State
from crossdock.storage.tables import ledger_entry

_PAGE = 5_000


class _Events(msgspec.Struct, gc=False):
    key: str
    rows: int


class _Counts(msgspec.Struct, gc=False):
    inserted: int
    updated: int
    deleted: int


class _Body(msgspec.Struct, gc=False):
    """Of an entry's body what shares are counted by (`rollup.WAYS`), and what its events were booked as."""

    department: str
    dataset: str
    theme: str
    sharing: str
    consumer: str
    channel: str
    agreement: str
    purpose: str
    events: _Events
    counts: _Counts


_BODY = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """Entries, by column."""

    groups: list[list[str]]  # per group that was asked for, each entry's value
    agreements: list[str] = field(default_factory=list)
    events: list[Held] = field(default_factory=list)


def read_briefly(state: State, names: tuple[str, ...], *, since: str | None = None, until: str | None = None) -> Brief:
    """Returns the entries of some days.

    Args:
        state: holds the book.
        names: of groups, any of `rollup.WAYS` and `rollup.PERIODS`.
        since: first day, YYYY-MM-DD, included.
        until: last day, included.

    Raises:
        LedgerBroken: an entry cannot be read.
    """
    brief = Brief(groups=[[] for _ in names])
    for page in _pages(state, since, until):
        seqs, days, texts = zip(*page, strict=True)
        try:
            bodies = list(map(_BODY.decode, texts))
        except msgspec.DecodeError as error:
            raise LedgerBroken("An entry's body cannot be read.", fix="Run `crossdock ledger verify`.") from error
        for name, values in zip(names, brief.groups, strict=True):
            size = PERIODS.get(name)
            values.extend([getattr(body, name) for body in bodies] if size is None else [day[:size] for day in days])
        brief.agreements.extend([body.agreement for body in bodies])
        brief.events.extend(map(_held, seqs, bodies))
    return brief


def _held(seq: int, body: _Body) -> Held:
    booked = body.counts
    return Held(seq, body.events.key, body.events.rows, (booked.inserted, booked.updated, booked.deleted))


def _pages(state: State, since: str | None, until: str | None) -> Iterator[list[tuple[int, str, bytes | str]]]:
    """Yields number, day and body of entries in order, in pages that are not empty."""
    book, last = ledger_entry.c, 0
    while True:
        with state.connect() as connection:  # SQLite gives bytes sooner than texts
            form = sa.LargeBinary if connection.dialect.name == "sqlite" else sa.Text
            query = sa.select(book.seq, book.day, sa.cast(book.body, form)).where(book.seq > last)
            query = query.where(book.day >= since) if since else query
            query = query.where(book.day <= until) if until else query
            rows = tuples(connection, query.order_by(book.seq).limit(_PAGE))
        if rows:
            yield rows
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]
