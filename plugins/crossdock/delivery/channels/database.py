"""Delivery into a table of the consumer's database (SQLite or PostgreSQL).

Rows are staged first; then one transaction, under a lock that lets in one delivery at a time, checks what the table
holds, changes it and writes a marker row into `crossdock_delivery`. Whoever reads the consumer's table sees it before
or after. The table has exactly the agreed columns; it is made when missing, and never dropped, so the consumer's
grants and indexes stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.connections import Connection
from crossdock.contracts.model import Agreement
from crossdock.delivery.channels.channel import REQUIRED, Ahead, Order, Receipt, Shipment, recognised
from crossdock.delivery.databases import MARKER, Database, Table, open_database, works_beside
from crossdock.delivery.files import batches
from crossdock.delivery.prepare import Counts
from crossdock.errors import ConsumerRefused, LedgerBroken
from crossdock.faults import reached
from crossdock.identity import instant, now

OPTIONS = {"table": REQUIRED}
_MARKER_COLUMNS = (
    ("delivery_id", "TEXT PRIMARY KEY"),
    ("agreement", "TEXT NOT NULL"),
    ("dataset", "TEXT NOT NULL"),
    ("target", "TEXT NOT NULL"),
    ("sequence", "BIGINT NOT NULL"),  # order of the snapshot delivered
    ("intended_at", "TEXT NOT NULL"),
    ("rows", "BIGINT NOT NULL"),
    ("deleted", "BIGINT NOT NULL"),
    ("digest", "TEXT NOT NULL"),  # SHA-256 of the manifest
    ("delivered_at", "TEXT NOT NULL"),
)

_LOST = "If the consumer lost its data, let it restore them, or name another table in the agreement to begin anew."


def deliver(shipment: Shipment, connection: Connection) -> Receipt:
    """Brings the consumer's table up to date; see `channel.Channel`."""
    prepared = shipment.prepared
    goods = _Goods(
        schema=prepared.schema, key_columns=prepared.key_columns, replaces=prepared.replaces, base=prepared.base
    )
    with open_database(connection) as database:
        work = _Work(order=shipment.order, goods=goods, database=database, table=target(shipment.agreement))
        known = recognised(shipment, work.known())  # before staging, which is the long part
        if known:
            return known
        work.stage("rows", prepared.rows)
        if prepared.deletes and not prepared.replaces:
            work.stage("deletes", prepared.deletes)
        reached("delivery.database.staged")
        return _complete(work, shipment, work.change())


def _complete(work: _Work, shipment: Shipment, there: Receipt | None) -> Receipt:
    """Commits what was changed, unless it is there already."""
    known = recognised(shipment, there)
    if known:
        return known
    work.admit_result(shipment.prepared.counts)
    reached("delivery.database.changed")
    receipt = work.mark(shipment)
    reached("delivery.database.marked")
    work.database.commit()
    reached("delivery.database.committed")
    return receipt


@contextmanager
def ahead(order: Order, connection: Connection, scratch: Path) -> Iterator[Ahead | None]:
    """Stages rows, and lets a server put them into the table while we make the rest of the delivery; see `channel.Ahead`."""
    if not works_beside(connection):
        yield None
        return
    with ExitStack() as stack:
        yield _Ahead(order, connection, scratch, stack)


class _Ahead:
    """A session that is opened when there are rows for it, in a transaction that only `finish` commits."""

    def __init__(self, order: Order, connection: Connection, scratch: Path, stack: ExitStack) -> None:
        self._order, self._connection, self._scratch, self._stack = order, connection, scratch, stack
        self._begun: tuple[_Work, Future[Receipt | None]] | None = None
        self._rows = 0

    def take(self, schema: pa.Schema, key_columns: tuple[str, ...], rows: Iterator[pa.RecordBatch]) -> None:
        """See `prepare.Ahead`."""
        table = target(self._order.agreement)
        database = self._stack.enter_context(open_database(self._connection))
        goods = _Goods(schema=schema, key_columns=key_columns, replaces=True, base=None)
        work = _Work(order=self._order, goods=goods, database=database, table=table)
        if work.known():
            return  # `deliver` finds it as well, and compares it with what it would have brought
        database.stage("rows", schema, self._counted(rows), self._scratch)
        reached("delivery.database.staged")
        # Its thread ends before the session is closed.
        beside = self._stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="crossdock"))
        self._begun = work, beside.submit(work.change)

    def finish(self, shipment: Shipment) -> Receipt | None:
        """See `channel.Ahead`."""
        if self._begun is None:
            return None
        if self._rows != shipment.prepared.counts.delivered:
            raise LedgerBroken(
                f"{self._rows:,} rows were staged where {shipment.prepared.counts.delivered:,} are delivered.",
                fix="Nothing has left. The snapshot's file was changed meanwhile: put back the one that the state names.",
            )
        work, changing = self._begun
        return _complete(work, shipment, changing.result())

    def _counted(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            self._rows += batch.num_rows
            yield batch


def arrived(agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
    """Looks for the delivery's marker row; see `channel.Channel`."""
    with open_database(connection) as database:
        return _receipt(database, target(agreement), delivery_id)


def target(agreement: Agreement) -> Table:
    """Returns the table that the agreement names; see `channel.Channel`."""
    where = f"agreement {agreement.id}"
    text = str(agreement.delivery.options.get("table", ""))
    schema, _, name = text.rpartition(".")
    if not all(re.fullmatch(r"[^\W\d]\w*", part) for part in ([schema, name] if schema else [name])):
        raise ConsumerRefused(
            "The agreement names no proper table.", where=where, fix="Write `table` or `schema.table`."
        )
    if name.lower() == MARKER or max(len(part.encode()) for part in (schema, name, *agreement.columns)) > 63:
        raise ConsumerRefused(
            f"A table or column name is longer than 63 bytes, or the table is {MARKER}.",
            where=where,
            fix="Name it otherwise.",
        )
    return Table(schema=schema, name=name)


def _receipt(database: Database, table: Table, delivery_id: str) -> Receipt | None:
    marker = table.beside(MARKER)
    if database.columns(marker) is None:
        return None
    rows = database.execute(
        f"SELECT digest, delivered_at, target FROM {marker} WHERE delivery_id = ?",  # noqa: S608 - a quoted name
        (delivery_id,),
    )
    if not rows:
        return None
    digest, delivered_at, target = (str(value) for value in rows[0])
    return Receipt(
        delivery_id=delivery_id, location=f"{database.name}, table {target}", digest=digest, delivered_at=delivered_at
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Goods:
    """What is known of a delivery's content before its rows are counted; fields as in `Prepared`."""

    schema: pa.Schema
    key_columns: tuple[str, ...]
    replaces: bool
    base: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One delivery into one table. SQL is put together from quoted names only; values are bound or staged."""

    order: Order
    goods: _Goods
    database: Database
    table: Table

    def known(self) -> Receipt | None:
        """The receipt, if the delivery is there."""
        return _receipt(self.database, self.table, self.order.delivery_id)

    def stage(self, name: str, parquet: Path) -> None:
        """Copies a file into a table that nobody else sees."""
        self.database.stage(name, pq.read_schema(parquet), batches(parquet), parquet.parent)

    def change(self) -> Receipt | None:
        """Brings the table to the state after this delivery, in a transaction; returns the receipt if it is there already."""
        self.database.begin()
        known = self.known()
        if known is None:
            self.admit()
            self._change()
        return known

    def admit(self) -> None:
        """Makes the tables when missing, and refuses what would not fit or would break what the consumer holds."""
        marker = self.table.beside(MARKER)
        if self.database.columns(marker) is None:
            self.database.execute(f"CREATE TABLE {marker} ({', '.join(f'{n} {t}' for n, t in _MARKER_COLUMNS)})")
        self._admit_table()
        self._admit_order()

    def _admit_table(self) -> None:
        wanted = [(field.name, self.database.type_of(field.type)) for field in self.goods.schema]
        found = self.database.columns(self.table)
        key = self.goods.key_columns
        if found is None and not self.goods.replaces:
            raise self._refused("The table is gone, and with it what the changes build on.", _LOST)
        if found is None:
            columns = [f"{_quoted(name)} {kind}" for name, kind in wanted]
            if key:
                columns.append(f"PRIMARY KEY ({_names(key)})")
            self.database.execute(f"CREATE TABLE {self.table} ({', '.join(columns)})")
        elif sorted(found) != sorted((name, self.database.comparable(kind)) for name, kind in wanted):
            has = ", ".join(f"{name} {kind}" for name, kind in found)
            raise self._refused(
                f"The table has other columns than agreed. It has: {has}. Agreed: {', '.join(f'{n} {k}' for n, k in wanted)}.",
                "Alter or remove the table, or name another one in the agreement.",
            )

    def _admit_order(self) -> None:
        """Whose table is it, and what does it hold?"""
        marker, target, agreement = self.table.beside(MARKER), str(self.table), self.order.agreement.id
        others = self.database.execute(
            f"SELECT agreement FROM {marker} WHERE target = ? AND agreement <> ? LIMIT 1",  # noqa: S608
            (target, agreement),
        )
        if others:
            raise self._refused("The table is filled under another agreement.", "Name another table in the agreement.")
        held = self.database.execute(
            f"""SELECT delivery_id, sequence, intended_at FROM {marker} WHERE target = ?
                ORDER BY sequence DESC, intended_at DESC, delivered_at DESC LIMIT 1""",  # noqa: S608
            (target,),
        )
        last, sequence, intended_at = held[0] if held else (None, -1, "")
        mine = (self.order.sequence, self.order.intended_at)
        if (int(sequence or 0), str(intended_at)) > mine:
            raise self._refused(f"The consumer already holds a newer delivery, {last}.", "Deliver the newest snapshot.")
        if not self.goods.replaces and last != self.goods.base:
            raise self._refused(
                f"The changes build on delivery {self.goods.base}, but the consumer holds {last}.",
                f"Finish that delivery first. {_LOST}",
            )
        if last is None and self.database.execute(f"SELECT 1 FROM {self.table} LIMIT 1"):  # noqa: S608
            raise self._refused(
                "The table holds rows that crossdock did not deliver.",
                "Empty it, or name another table in the agreement.",
            )

    def _change(self) -> None:
        """Brings the table to the state after this delivery."""
        rows, names = self.database.staged("rows"), _names(self.goods.schema.names)
        if self.goods.replaces:
            self.database.execute(f"DELETE FROM {self.table}")  # noqa: S608
            self.database.execute(f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {rows}")  # noqa: S608
            return
        key = self.goods.key_columns
        if not key:
            return  # a tombstone: what it names is not in the table any more
        # Deletes come first: a key that one record gives up may be another's now.
        self.database.execute(
            f"DELETE FROM {self.table} WHERE ({_names(key)}) IN (SELECT {_names(key)} FROM {self.database.staged('deletes')})"  # noqa: S608
        )
        same = " AND ".join(f"t.{name} = s.{name}" for name in map(_quoted, key))
        rest = [_quoted(name) for name in self.goods.schema.names if name not in key]
        if rest:
            differs = " OR ".join(f"t.{name} {self.database.differs} s.{name}" for name in rest)
            self.database.execute(
                f"UPDATE {self.table} AS t SET {', '.join(f'{name} = s.{name}' for name in rest)} "  # noqa: S608
                f"FROM {rows} AS s WHERE {same} AND ({differs})"
            )
        self.database.execute(
            f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {rows} AS s "  # noqa: S608
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.table} AS t WHERE {same})"
        )

    def admit_result(self, counts: Counts) -> None:
        """Refuses changes to a table that someone else has put rows into or taken rows out of."""
        if self.goods.replaces or not self.goods.key_columns:
            return
        expected = counts.delivered + counts.unchanged
        found = self.database.execute(f"SELECT count(*) FROM {self.table}")[0][0]  # noqa: S608
        if found != expected:
            raise self._refused(
                f"After the changes the table would hold {found} rows instead of {expected}: it was changed by others.",
                _LOST,
            )

    def mark(self, shipment: Shipment) -> Receipt:
        """Writes the marker row that makes the delivery count."""
        order, counts = self.order, shipment.prepared.counts
        delivered_at = instant(now())
        marker = self.table.beside(MARKER)
        values = (
            order.delivery_id, order.agreement.id, order.agreement.dataset, str(self.table), order.sequence,
            order.intended_at, counts.delivered, counts.deleted, shipment.digest, delivered_at,
        )  # fmt: skip
        self.database.execute(
            f"INSERT INTO {marker} ({_names([n for n, _ in _MARKER_COLUMNS])}) VALUES ({', '.join('?' * len(values))})",  # noqa: S608
            values,
        )
        return Receipt(
            delivery_id=order.delivery_id,
            location=f"{self.database.name}, table {self.table}",
            digest=shipment.digest,
            delivered_at=delivered_at,
        )

    def _refused(self, what: str, fix: str) -> ConsumerRefused:
        return ConsumerRefused(what, where=f"{self.database.name}, table {self.table}", fix=fix)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _names(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(_quoted, names))
