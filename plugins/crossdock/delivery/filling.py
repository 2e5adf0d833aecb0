"""A consumer's table is filled: what it holds is checked, rows are staged, put in, and marked as one delivery.

SQL is put together from quoted names only; values are bound or staged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.delivery.channels.channel import Order, Receipt, Shipment
from crossdock.delivery.databases import MARKER, Copy, Database, Table, Tally, Value, quoted, quoted_names
from crossdock.delivery.files import batches
from crossdock.delivery.layout import (
    LOST,
    MARKER_COLUMNS,
    admit_columns,
    agreed_columns,
    is_agreed,
    key_left,
    make_tables,
    refused,
    spelled,
)
from crossdock.delivery.prepared import Goods, Prepared
from crossdock.delivery.rejections import MOST, RecordsRejected, find_rejected
from crossdock.errors import ConsumerRefused
from crossdock.identity import instant, now


def receipt_of(database: Database, table: Table, delivery_id: str) -> Receipt | None:
    """Returns the receipt that a delivery's marker row is, or None."""
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
class Filling:
    """One delivery into one table."""

    order: Order
    goods: Goods
    database: Database
    table: Table
    tally: Tally | None = (
        None  # begun before the transaction; whoever fills the table since then is found by the marker
    )

    def known(self) -> Receipt | None:
        """The receipt, if the delivery is there."""
        return receipt_of(self.database, self.table, self.order.delivery_id)

    def stage(self, name: str, parquet: Path) -> None:
        """Copies a file into a table that nobody else sees."""
        self.database.stage(name, pq.read_schema(parquet), batches(parquet), parquet.parent)

    def alters(self) -> bool:
        """Returns whether the change begins by altering the table, and that can't be taken back."""
        return self.database.ddl_commits and not is_agreed(self.database, self.table, self.goods)

    def change(self) -> Receipt | None:
        """Brings the table to the state after this delivery, in a transaction; returns the receipt if it is there already."""
        known = self._begin()
        if known is None:
            self._change()
        return known

    def copy(self, copy: Copy, rows: Iterator[pa.RecordBatch]) -> Receipt | None:
        """Does what `change` does, with rows that were not staged and replace all."""
        known = self._begin()
        if known is None:
            self._clear()
            copy(rows)
        return known

    def _begin(self) -> Receipt | None:
        """Begins the transaction that nobody else is in, with the tables as they are to be, if the delivery is not there."""
        if self.database.ddl_commits:
            # What commits by itself comes first: the transaction after it finds the tables as they are to be.
            make_tables(self.database, self.table, self.goods)
            self.database.begin()
            if self.known() is None:
                self.admit()
        self.database.begin()
        known = self.known()
        if known is None:
            self.admit()
        return known

    def admit(self) -> None:
        """Makes or alters tables where that is due, and refuses what would not fit or would break what the consumer holds."""
        make_tables(self.database, self.table, self.goods)
        if self.database.columns(self.table) is None:
            raise self._refused("The table is gone, and with it what the changes build on.", LOST)
        admit_columns(self.database, self.table, self.goods, self._admit_order())

    def _admit_order(self) -> tuple[str, str] | None:
        """Whose table is it, and what does it hold? Returns id and layout of the last delivery."""
        marker, target, agreement = self.table.beside(MARKER), str(self.table), self.order.agreement.id
        others = self.database.execute(
            f"SELECT agreement FROM {marker} WHERE target = ? AND agreement <> ? LIMIT 1",  # noqa: S608 - quoted names
            (target, agreement),
        )
        if others:
            raise self._refused("The table is filled under another agreement.", "Name another table in the agreement.")
        last, sequence, intended_at, layout = self._last()
        mine = (self.order.sequence, self.order.intended_at)
        if (int(sequence or 0), str(intended_at)) > mine:
            raise self._refused(f"The consumer already holds a newer delivery, {last}.", "Deliver the newest snapshot.")
        if not self.goods.replaces and last != self.goods.base:
            raise self._refused(
                f"The changes build on delivery {self.goods.base}, but the consumer holds {last}.",
                f"Finish that delivery first. {LOST}",
            )
        if last is None and self.database.execute(f"SELECT 1 FROM {self.table} LIMIT 1"):  # noqa: S608 - quoted names
            raise self._refused(
                "The table holds rows that crossdock did not deliver.",
                "Empty it, or name another table in the agreement.",
            )
        return None if last is None else (str(last), str(layout))

    def _last(self) -> tuple[Value, ...]:
        """Returns id, sequence, instant and layout of the delivery that the table holds."""
        held = self.database.execute(
            f"""SELECT delivery_id, sequence, intended_at, layout FROM {self.table.beside(MARKER)} WHERE target = ?
                ORDER BY sequence DESC, intended_at DESC, delivered_at DESC LIMIT 1""",  # noqa: S608 - quoted names
            (str(self.table),),
        )
        return held[0] if held else (None, -1, "", "")

    def _change(self) -> None:
        self._clear()
        for statement in self._putting(self.database.staged("rows")):
            self._run(statement)

    def _run(self, statement: str) -> None:
        if self.tally:
            self.tally.run(statement)
        else:
            self.database.execute(statement)

    def _clear(self) -> None:
        """Takes out what the consumer is to hold no more."""
        key = self.goods.key_columns
        if self.goods.replaces:
            self.database.execute(f"DELETE FROM {self.table}")  # noqa: S608 - quoted names
        elif key:  # without one it is a tombstone: what it names is not in the table any more
            self._run(self.database.deleting(self.table, self.database.staged("deletes"), key, "1 = 1"))

    def _putting(self, rows: str, part: str = "1 = 1") -> Iterator[str]:
        """Yields the statements that put staged rows in, those for which a condition on `s` holds.

        Deletes come before: a key that one record gives up may be another's now.
        """
        names, key = quoted_names(self.goods.schema.names), self.goods.key_columns
        source = f"SELECT {names} FROM {rows} AS s WHERE {part}"  # noqa: S608 - quoted names
        if self.goods.replaces:
            yield f"INSERT INTO {self.table} ({names}) {source}"
            return
        if not key:
            return
        if not self.database.updates_from:
            yield self.database.deleting(self.table, rows, key, part)
            yield f"INSERT INTO {self.table} ({names}) {source}"
            return
        rest = [quoted(name) for name in self.goods.schema.names if name not in key]
        if self.database.upserts(self.table, key):
            yield f"INSERT INTO {self.table} AS t ({names}) {source} {self._on_conflict(key, rest)}"
            return
        same = " AND ".join(f"t.{name} = s.{name}" for name in map(quoted, key))
        if rest:
            differs = " OR ".join(f"t.{name} {self.database.differs} s.{name}" for name in rest)
            yield (
                f"UPDATE {self.table} AS t SET {', '.join(f'{name} = s.{name}' for name in rest)} "  # noqa: S608 - quoted names
                f"FROM {rows} AS s WHERE {same} AND ({differs}) AND {part}"
            )
        yield (
            f"INSERT INTO {self.table} ({names}) {source} "  # noqa: S608 - quoted names
            f"AND NOT EXISTS (SELECT 1 FROM {self.table} AS t WHERE {same})"
        )

    def _on_conflict(self, key: Sequence[str], rest: Sequence[str]) -> str:
        """Finds each row by the key's index, where joining would read the whole table."""
        if not rest:
            return f"ON CONFLICT ({quoted_names(key)}) DO NOTHING"
        changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in rest)
        differs = " OR ".join(f"t.{name} {self.database.differs} EXCLUDED.{name}" for name in rest)
        return f"ON CONFLICT ({quoted_names(key)}) DO UPDATE SET {changed} WHERE {differs}"

    def rejected(self, prepared: Prepared) -> RecordsRejected | None:
        """Returns which rows break the consumer's constraints, by trying them in parts; None when no row is to blame.

        Everything is taken back: the delivery has to be made again without them.
        """
        self.database.rollback()
        number = pa.field("crossdock_row", pa.int64())
        rows = _numbered(prepared.rows, number)
        self.database.stage("numbered", self.goods.schema.append(number), rows, prepared.rows.parent)
        self.database.index("numbered", number.name)
        self.database.begin()
        self.admit()
        self._clear()
        found = find_rejected(prepared.counts.delivered, self._try)
        self.database.rollback()
        return (
            RecordsRejected(found, where=f"{self.database.name}, table {self.table}")
            if 0 < len(found) <= MOST
            else None
        )

    def _try(self, first: int, end: int) -> str | None:
        part = f"s.crossdock_row >= {first:d} AND s.crossdock_row < {end:d}"
        return self.database.attempt(list(self._putting(self.database.staged("numbered"), part)))

    def admit_result(self, prepared: Prepared) -> None:
        """Refuses changes to a table that someone else has put rows into or taken rows out of."""
        if self.goods.replaces or not self.goods.key_columns:
            return
        expected = prepared.counts.delivered + prepared.counts.unchanged + prepared.kept
        count = f"SELECT count(*) FROM {self.table}"  # noqa: S608 - a quoted name
        found = self.tally.rows if self.tally else self.database.execute(count)[0][0]
        if found != expected:
            raise self._refused(
                f"After the changes the table would hold {found} rows instead of {expected}: it was changed by others.",
                LOST,
            )

    def mark(self, shipment: Shipment) -> Receipt:
        """Writes the marker row that makes the delivery count."""
        order, counts = self.order, shipment.prepared.counts
        delivered_at = instant(now())
        marker = self.table.beside(MARKER)
        key = key_left(self.database, self.table, self.goods, str(self._last()[3]))
        values = (
            order.delivery_id, order.agreement.id, order.agreement.dataset, str(self.table), order.sequence,
            order.intended_at, counts.delivered, counts.deleted, shipment.digest, delivered_at,
            spelled(agreed_columns(self.database, self.goods).items(), key),
        )  # fmt: skip
        self.database.execute(
            f"INSERT INTO {marker} ({quoted_names([n for n, _ in MARKER_COLUMNS])}) VALUES ({', '.join('?' * len(values))})",  # noqa: S608 - quoted names
            values,
        )
        return Receipt(
            delivery_id=order.delivery_id,
            location=f"{self.database.name}, table {self.table}",
            digest=shipment.digest,
            delivered_at=delivered_at,
        )

    def _refused(self, what: str, fix: str) -> ConsumerRefused:
        return refused(self.database, self.table, what, fix)


def _numbered(parquet: Path, number: pa.Field) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in batches(parquet):
        numbers = pa.array(range(start, start + batch.num_rows), number.type)
        yield batch.append_column(number, numbers)
        start += batch.num_rows
