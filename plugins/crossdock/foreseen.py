"""The share events of deliveries to come, made once while a new snapshot's rows are at hand; pushes find them on the shelf.

Which record a row is, and whom it is about, is the same for every consumer: so are the events of all who get the same rows,
in full or for the first time. Only agreements that are in force and due are foreseen; what a push does not find, it makes itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from crossdock.contracts.model import Contract
from crossdock.contracts.zone import day_at
from crossdock.delivery.cuts import Cut
from crossdock.delivery.decide import day_of, its_turn
from crossdock.delivery.files import in_pieces
from crossdock.delivery.terms import Terms
from crossdock.errors import CrossdockError
from crossdock.exchange import Exchange
from crossdock.identity import RowsDigest
from crossdock.ledger.events import EventWriter
from crossdock.ledger.seals import Sealing
from crossdock.ordered import in_order
from crossdock.reviews import decided
from crossdock.storage.delivered import last_delivered
from crossdock.storage.shelf import MANY

_MOST = 4  # row filters at a time: each one's events are sorted in memory, some 35 MB
_BYTES = 40  # of an event on the shelf, at most
_Told = tuple[pa.Array, pa.Array | None]  # records, and whom they are about


def foresee(exchange: Exchange, contract: Contract, snapshot: Path, *, sha256: str, accepted: RowsDigest) -> None:
    """Keeps the share events of deliveries that a snapshot will have, and, where all rows go, their digest.

    Args:
        exchange: where.
        contract: of the dataset.
        snapshot: the parquet file of the accepted rows.
        sha256: of that file.
        accepted: the digest of its rows.
    """
    if accepted.rows < MANY or not exchange.shelf.has_room(accepted.rows * _BYTES):
        return
    rows = pads.dataset(snapshot, format="parquet")
    found: dict[str, tuple[Cut, Terms]] = {}
    wanted: list[str] = []
    for cut, terms in _whole(exchange, contract, rows.schema, sha256, accepted):
        found[cut.name] = cut, terms
        wanted.append(cut.name)
    chosen = [found[name] for name in sorted(found, key=lambda name: -wanted.count(name))[:_MOST]]
    if not chosen:
        return
    # No snapshot is refused because there is no room for what only saves time.
    with suppress(OSError), exchange.scratch() as scratch, ExitStack() as stack:
        takers = []
        for number, (cut, terms) in enumerate(chosen):
            writer = stack.enter_context(EventWriter(scratch / f"{number}.parquet", exchange.shelf))
            takers.append(Sealing(writer, exchange.keys.ledger_version, exchange.keys))
            takers[-1].keep(cut.events(terms))
            if not terms.filtered_by:
                cut.keep_digests(accepted, RowsDigest(), scratch)
        for told in _told(rows, [terms for _, terms in chosen]):
            for events, (record, subject) in zip(takers, told, strict=True):
                events.add(record, subject, "insert")


def _whole(
    exchange: Exchange, contract: Contract, schema: pa.Schema, sha256: str, accepted: RowsDigest
) -> Iterator[tuple[Cut, Terms]]:
    """Yields what each agreement that is in force and due, and does not get changes only, makes of a snapshot."""
    now = exchange.clock()
    for agreement in exchange.contracts.part(contract.id).agreements.values():
        last = last_delivered(exchange.state, agreement.id)
        if agreement.dataset != contract.id or (
            last and not (agreement.delivery.mode == "full" and its_turn(agreement, last, now=now).allowed)
        ):
            continue
        with suppress(CrossdockError):  # the push will say what is wrong with it
            if decided(exchange, agreement, contract).allowed:
                day = day_of(agreement, contract, now)
                terms = Terms.of(agreement, contract, schema, exchange.keys, today=day or day_at(now))
                if terms.order_by and agreement.delivery.mode == "changes":
                    continue  # its events are added as its rows leave
                yield Cut.of(exchange.shelf, contract, agreement.rows, day, sha256=sha256, accepted=accepted), terms


def _told(rows: pads.Dataset, filtered: list[Terms]) -> Iterator[list[_Told]]:
    """Yields, batch by batch, what the ledger is told of the rows that each of several filters lets through."""
    terms = filtered[0]  # the others tell the same of a row
    names = [*terms.record_columns, *([terms.subject_column] if terms.subject_column else [])]
    longer = "_" * (1 + max(map(len, names)))  # than any column's name
    marks = [f"{longer}{number}" for number in range(len(filtered))]

    def tell(batch: pa.RecordBatch) -> list[_Told]:
        record, subject = terms.records(batch), terms.subjects(batch)
        return [_those(record, subject, batch.column(mark).fill_null(False)) for mark in marks]

    columns = {name: pc.field(name) for name in names} | {
        mark: each.keep for mark, each in zip(marks, filtered, strict=True)
    }
    return in_order(tell, in_pieces(rows, columns), beside=1)


def _those(record: pa.Array, subject: pa.Array | None, goes: pa.BooleanArray) -> _Told:
    if np.asarray(goes).all():
        return record, subject
    return record.filter(goes), None if subject is None else subject.filter(goes)
