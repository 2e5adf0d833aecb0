"""Share statistics as a dataset like any other: a contract of source kind `ledger` pulls them, and may publish them.

One row per day, dataset and consumer, of days that ended at least a day ago, so that what is told of a day stays told.
Counts below the contract's `smallest` are suppressed: their row stays, without its number. Deliveries that the law
withholds from the people concerned are in no row before their day. There are no totals from which to subtract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

import pyarrow as pa

from crossdock.contracts.model import Contract
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.identity import instant
from crossdock.ledger.counts import booked
from crossdock.lookups import is_withheld
from crossdock.sources.source import Pulled, match_columns, option, read, spec_of, wrong_options

_KEY = ("day", "department", "dataset", "theme", "sharing", "consumer")
_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32()),
        *(pa.field(name, pa.string()) for name in _KEY[1:]),
        pa.field("shares", pa.int64()),  # null where suppressed
        pa.field("deliveries", pa.int64()),
        pa.field("suppressed", pa.bool_()),
    ]
)
_SMALLEST = "10"


def open_source(exchange: Exchange, contract: Contract, *, since: str | None) -> Pulled:
    """Opens a dataset's source: of another system, or the ledger; arguments and errors are those of `sources.read`."""
    if spec_of(contract).kind != "ledger":
        return read(contract, exchange.lookup, since=since)
    for problem in wrong_options(contract):
        raise WrongUse(problem.what, where=f"{problem.file}: {problem.path}", fix=problem.fix)
    return _shares(exchange, contract, since=since)


def _shares(exchange: Exchange, contract: Contract, *, since: str | None) -> Pulled:
    rows = pa.Table.from_pylist(list(_rows(exchange, int(option(contract, "smallest", _SMALLEST)), since)), _SCHEMA)
    match = match_columns(contract, rows.column_names, where="ledger")
    picked = rows.select(list(match.positions)).rename_columns(list(match.names))
    return Pulled(
        batches=iter(picked.to_batches(65_536)), schema=picked.schema, missing=match.missing, extra=match.extra
    )


def _rows(exchange: Exchange, smallest: int, since: str | None) -> Iterator[dict[str, object]]:
    today = instant(exchange.clock())[:10]
    until = instant(exchange.clock() - timedelta(days=2))[:10]
    shares: Counter[tuple[str, ...]] = Counter()
    deliveries: Counter[tuple[str, ...]] = Counter()
    for group, shared, made in booked(exchange.state, (*_KEY, "agreement", "withheld_until"), since, until):
        key, (agreement, withheld_until) = group[:-2], group[-2:]
        told = not is_withheld(exchange, agreement, withheld_until, today)
        if told and (since is None or key[0] > since):
            shares[key] += shared
            deliveries[key] += made
    for key in sorted(deliveries):
        few = 0 < shares[key] < smallest
        yield {
            **dict(zip(_KEY, key, strict=True)),
            "day": date.fromisoformat(key[0]),
            "shares": None if few else shares[key],
            "deliveries": deliveries[key],
            "suppressed": few,
        }
