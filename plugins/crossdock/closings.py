"""Which deliveries the share statistics count on which day: decided once, when a day is closed, and never again.

A day is closed when it ended at least a day ago. A delivery that is withheld then is on no closed day; when it may be
told, or when a delivery was booked on a day that was closed already (a clock stood wrong), it is counted on the newest
day that is closed next. So nobody can compare what was told of a day with what is told of it later: it is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta

import sqlalchemy as sa

from crossdock.contracts.zone import day_at
from crossdock.errors import LedgerBroken, Transient
from crossdock.exchange import Exchange
from crossdock.identity import canonical, instant
from crossdock.ledger.counts import Span, booked
from crossdock.lookups import is_withheld
from crossdock.storage.tables import ledger_entry

CLOSED = "ledger/closed.json"
_TRIES = 50
_NAMED = ("delivery", "agreement", "withheld_until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Which days are closed, and what is counted on them.

    All deliveries of days up to `until` (YYYY-MM-DD) that the ledger's entries up to `seq` tell of, each on its own day;
    but those in `moved` on the day that is said there, or on none so far ("").
    """

    until: str = ""
    seq: int = 0
    moved: Mapping[str, str] = field(default_factory=dict)


def closed(exchange: Exchange) -> Closed:
    """Closes the days that can be closed by now, and returns all that are.

    Raises:
        LedgerBroken: what was closed before can't be read, or an entry can't.
        Transient: others keep closing days at the same time.
    """
    until = instant(exchange.clock() - timedelta(days=2))[:10]
    for _ in range(_TRIES):
        found = exchange.store.read_versioned(CLOSED)
        before = _read(found[0]) if found else Closed()
        if until <= before.until:
            return before
        after = _closed(exchange, before, until)
        if exchange.store.swap(CLOSED, canonical(asdict(after)), expected=found[1] if found else None):
            return after
    raise Transient("Others keep closing days at the same time.", where=CLOSED, fix="Try again.")


def _read(content: bytes) -> Closed:
    try:
        said = json.loads(content)
        return Closed(until=str(said["until"]), seq=int(said["seq"]), moved={**said["moved"]})
    except (ValueError, LookupError, TypeError) as error:
        what = "Which days of the statistics are closed can't be read."
        raise LedgerBroken(what, where=CLOSED, fix="Restore it from a backup.") from error


def _closed(exchange: Exchange, before: Closed, until: str) -> Closed:
    with exchange.state.connect() as connection:
        seq = connection.scalar(sa.select(sa.func.max(ledger_entry.c.seq))) or 0
    waiting = Span(deliveries=[delivery for delivery, day in before.moved.items() if not day])
    late = [Span(until=before.until, after=before.seq, upto=seq)] if before.until else []
    newly = Span(since=_next(before.until), until=until, upto=seq)
    hidden = dict.fromkeys(_deliveries(exchange, [newly, *late], withheld=True), "")
    told = dict.fromkeys(_deliveries(exchange, [waiting, *late], withheld=False), until)
    return Closed(until=until, seq=seq, moved={**before.moved, **hidden, **told})


def _deliveries(exchange: Exchange, spans: Iterable[Span], *, withheld: bool) -> list[str]:
    """Returns which deliveries of some entries are withheld now, or which are not."""
    today = day_at(exchange.clock()).isoformat()
    return [
        delivery
        for span in spans
        for (delivery, agreement, until), _, _ in booked(exchange.state, _NAMED, span)
        if is_withheld(exchange, agreement, until, today) == withheld
    ]


def _next(day: str) -> str | None:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat() if day else None
