"""Delivery into a table of the consumer's database.

One transaction, under a lock that lets in one delivery at a time, checks what the table holds, changes it and writes a
marker row into `crossdock_delivery` (`filling` has the steps). Rows are staged before it; where they replace all and
the database can copy them into the table itself, they are copied there in it. Whoever reads the consumer's table sees
it before or after. The table has exactly the agreed columns; it is made when missing, altered when others are agreed (`layout`), and never
dropped, so the consumer's grants and indexes stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import pyarrow as pa

from crossdock.connections import Connection
from crossdock.contracts.agreement import Agreement
from crossdock.delivery.addresses import address_of
from crossdock.delivery.channels.channel import REQUIRED, Ahead, Order, Receipt, Shipment, recognised
from crossdock.delivery.databases import MARKER, Copy, Database, Table, Tally, open_database, works_beside
from crossdock.delivery.filling import Filling, receipt_of
from crossdock.delivery.prepared import Goods
from crossdock.errors import ConsumerRefused, LedgerBroken
from crossdock.faults import reached

OPTIONS = {"table": REQUIRED}
_Looking = Future[tuple[Database, Tally | None]]


def address(connection: Connection) -> str:
    """Returns server, database and login (which may decide on the schema), or the file; see `channel.Channel`."""
    return address_of(connection)


def deliver(shipment: Shipment, connection: Connection) -> Receipt:
    """Brings the consumer's table up to date; see `channel.Channel`."""
    with open_database(connection) as database:
        return _fill(shipment, database, None)


def _fill(shipment: Shipment, database: Database, tally: Tally | None) -> Receipt:
    prepared = shipment.prepared
    work = _work(shipment.order, prepared.goods, database, tally)
    known = recognised(shipment, work.known())  # before staging, which is the long part
    if known:
        return known
    _stage(work, prepared.rows, prepared.deletes)
    return _complete(work, shipment, work.change)


def _work(order: Order, goods: Goods, database: Database, tally: Tally | None = None) -> Filling:
    return Filling(order=order, goods=goods, database=database, table=target(order.agreement), tally=tally)


def _stage(work: Filling, rows: Path, deletes: Path | None) -> None:
    work.stage("rows", rows)
    if deletes and not work.goods.replaces:
        work.stage("deletes", deletes)
    reached("delivery.database.staged")


def _complete(work: Filling, shipment: Shipment, change: Callable[[], Receipt | None]) -> Receipt:
    """Commits a change, unless it is there already, or rows break constraints of the consumer's own."""
    try:
        known = recognised(shipment, change())
    except Exception as error:  # each driver has errors of its own; all but those of constraints go on
        if work.database.constraint(error) is None:
            raise
        rejected = work.rejected(shipment.prepared)
        if rejected is None:
            raise
        raise rejected from None
    if known:
        return known
    work.admit_result(shipment.prepared)
    reached("delivery.database.changed")
    receipt = work.mark(shipment)
    reached("delivery.database.marked")
    work.database.commit()
    reached("delivery.database.committed")
    return receipt


@contextmanager
def ahead(order: Order, connection: Connection, scratch: Path) -> Iterator[Ahead | None]:
    """Lets a server take rows, or count those of the table and change them, while we go on; see `channel.Ahead`."""
    if not works_beside(connection):
        yield None
        return
    with ExitStack() as stack:
        yield _Ahead(order, connection, scratch, stack)


class _Ahead:
    """A session that is opened while the delivery is made; what rows do in it, only `finish` commits."""

    def __init__(self, order: Order, connection: Connection, scratch: Path, stack: ExitStack) -> None:
        self._order, self._connection, self._scratch, self._stack = order, connection, scratch, stack
        self._begun: tuple[Filling, Future[Receipt | None]] | None = None
        self._looking: _Looking | None = None
        self._changing: Future[Receipt | None] | None = None
        self._rows = 0
        self._given_up = Event()  # nobody waits for the rest any more

    def take(self, goods: Goods, rows: Iterator[pa.RecordBatch]) -> None:
        """See `prepared.Ahead`."""
        database = self._stack.enter_context(open_database(self._connection))
        work = _work(self._order, goods, database)
        # `deliver` finds the delivery as well, and compares it with what it would have brought; and what can't be taken
        # back waits until the delivery is whole.
        if work.known() or work.alters():
            return
        change: Callable[[], Receipt | None] = work.change
        copy = database.copier(work.table, goods.schema)
        if copy:
            change = partial(self._copied, work, copy, self._counted(rows))
        else:
            database.stage("rows", goods.schema, self._counted(rows), self._scratch)
            reached("delivery.database.staged")
        beside = self._beside()
        self._stack.callback(self._given_up.set)
        self._begun = work, beside.submit(change)

    def look(self) -> None:
        """See `prepared.Ahead`: a session is opened, and the table's rows are counted."""
        sessions = self._stack.enter_context(ExitStack())

        def look() -> tuple[Database, Tally | None]:
            database = sessions.enter_context(open_database(self._connection))
            return database, database.tally(target(self._order.agreement))

        self._looking = self._beside().submit(look)

    def change(self, goods: Goods, rows: Path, deletes: Path) -> None:
        """See `prepared.Ahead`; what only a delivery that replaces all may alter, it leaves alone."""
        if self._looking:
            self._changing = self._beside().submit(self._changed, self._looking, goods, rows, deletes)

    def _changed(self, looking: _Looking, goods: Goods, rows: Path, deletes: Path) -> Receipt | None:
        work = _work(self._order, goods, *looking.result())
        known = work.known()
        if known is None:
            _stage(work, rows, deletes)
            known = work.change()
        return known

    def _beside(self) -> ThreadPoolExecutor:
        """Returns what works in a thread that ends before sessions opened until now are closed."""
        return self._stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="crossdock"))

    def finish(self, shipment: Shipment) -> Receipt | None:
        """See `channel.Ahead`."""
        if self._looking and self._changing:
            work = _work(self._order, shipment.prepared.goods, *self._looking.result())
            return _complete(work, shipment, self._changing.result)
        if self._looking:
            return _fill(shipment, *self._looking.result())
        if self._begun is None:
            return None
        work, changing = self._begun

        def changed() -> Receipt | None:
            known = changing.result()
            if known is None and self._rows != shipment.prepared.counts.delivered:
                raise LedgerBroken(
                    f"{self._rows:,} rows came ahead where {shipment.prepared.counts.delivered:,} are delivered.",
                    fix="Nothing has left. The snapshot's file was changed meanwhile: put back the one that the state names.",
                )
            return known

        return _complete(work, shipment, changed)

    @staticmethod
    def _copied(work: Filling, copy: Copy, rows: Iterator[pa.RecordBatch]) -> Receipt | None:
        known = work.copy(copy, rows)
        reached("delivery.database.staged")  # the rows are at the server, where nobody sees them
        return known

    def _counted(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            if self._given_up.is_set():
                return
            self._rows += batch.num_rows
            yield batch


def arrived(agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
    """Looks for the delivery's marker row; see `channel.Channel`."""
    with open_database(connection) as database:
        return receipt_of(database, target(agreement), delivery_id)


def target(agreement: Agreement) -> Table:
    """Returns the table that the agreement names; see `channel.Channel`."""
    where = f"agreement {agreement.id}"
    text = str(agreement.delivery.options.get("table", ""))
    schema, _, name = text.rpartition(".")
    if not all(re.fullmatch(r"[^\W\d]\w*", part) for part in ([schema, name] if schema else [name])):
        raise ConsumerRefused(
            "The agreement names no proper table.", where=where, fix="Write `table` or `schema.table`."
        )
    if name.lower().startswith(MARKER) or max(len(part.encode()) for part in (schema, name, *agreement.columns)) > 63:
        raise ConsumerRefused(
            f"A table or column name is longer than 63 bytes, or the table's begins with {MARKER}.",
            where=where,
            fix="Name it otherwise.",
        )
    return Table(schema=schema, name=name)
