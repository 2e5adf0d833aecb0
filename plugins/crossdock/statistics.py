"""Share statistics as a dataset like any other: a contract of source kind `ledger` pulls them, and may publish them.

One row per day, dataset and consumer, of days that are closed: what is told of a day stays told, see `closings`. Counts
below the contract's `smallest` are suppressed, and what gives them away with them: their row stays, without its number;
the other counts are rounded to a multiple of `smallest`, see `publishing.disclosure`. Deliveries that the law withholds
from the people concerned are counted on a later day, when they may be told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import pyarrow as pa

from crossdock.closings import closed
from crossdock.contracts.model import Contract
from crossdock.contracts.oaas import PUBLIC
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.ledger.counts import Span, booked
from crossdock.publishing.disclosure import disclosable
from crossdock.sources.source import Pulled, match_columns, option, read, spec_of, wrong_options


class Cell(NamedTuple):
    """What one row is about."""

    day: str
    dataset: str
    consumer: str


@dataclass(slots=True)
class _Count:
    shares: int = 0
    deliveries: int = 0
    theme: str = ""
    sharing: str = ""

    def add(self, shares: int, deliveries: int, theme: str, sharing: str) -> None:
        """Adds deliveries; of a day on which the contract's theme or class changed, one is told."""
        self.shares += shares
        self.deliveries += deliveries
        self.theme, self.sharing = max((self.theme, self.sharing), (theme, sharing))


# Whose total of a day somebody may know: that of everything, of a dataset, of who provides, of who receives.
_GROUPS: tuple[Callable[[Cell], str], ...] = (
    lambda _: "",
    lambda cell: cell.dataset,
    lambda cell: cell.dataset.partition("/")[0],
    lambda cell: cell.consumer,
)
_NAMED = ("day", "dataset", "consumer", "theme", "sharing")
_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32()),
        *(pa.field(name, pa.string()) for name in ("department", "dataset", "theme", "sharing", "consumer")),
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
    by_day: defaultdict[str, dict[Cell, _Count]] = defaultdict(dict)
    for cell, count in sorted(_counted(exchange).items()):
        if count.deliveries and (since is None or cell.day > since):
            by_day[cell.day][cell] = count
    for day, counts in sorted(by_day.items()):
        shares = {cell: count.shares for cell, count in counts.items()}
        told = disclosable(shares, smallest=smallest, groups=_GROUPS, known=lambda cell: cell.consumer == PUBLIC)
        for cell, count in counts.items():
            yield {
                "day": date.fromisoformat(day),
                "department": cell.dataset.partition("/")[0],
                "dataset": cell.dataset,
                "theme": count.theme,
                "sharing": count.sharing,
                "consumer": cell.consumer,
                "shares": told[cell],
                "deliveries": count.deliveries,
                "suppressed": told[cell] is None,
            }


def _counted(exchange: Exchange) -> Mapping[Cell, _Count]:
    """Adds up what is counted on the days that are closed."""
    days = closed(exchange)
    cells: defaultdict[Cell, _Count] = defaultdict(_Count)
    for (day, dataset, consumer, theme, sharing), shares, deliveries in booked(
        exchange.state, _NAMED, Span(until=days.until, upto=days.seq)
    ):
        cells[Cell(day, dataset, consumer)].add(shares, deliveries, theme, sharing)
    elsewhere = booked(exchange.state, (*_NAMED, "delivery"), Span(deliveries=sorted(days.moved)))
    for (day, dataset, consumer, theme, sharing, delivery), shares, deliveries in elsewhere:
        cells[Cell(day, dataset, consumer)].add(-shares, -deliveries, theme, sharing)
        if told := days.moved[delivery]:
            cells[Cell(told, dataset, consumer)].add(shares, deliveries, theme, sharing)
    return cells
