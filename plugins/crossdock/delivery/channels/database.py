"""Delivery into a table of the consumer's database (SQLite or PostgreSQL).

Rows are staged first; then one transaction, under a lock that lets in one delivery at a time, checks what the table
holds, changes it and writes a marker row into `crossdock_delivery`. Whoever reads the consumer's table sees it before
or after. The table has exactly the agreed columns; it is made when missing, and never dropped, so the consumer's
grants and indexes stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crossdock.connections import Connection
from crossdock.contracts.model import Agreement
from crossdock.delivery.channels.channel import REQUIRED, Receipt, Shipment, recognised
from crossdock.delivery.databases import MARKER, Database, Table, open_database
from crossdock.errors import ConsumerRefused
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
    table = target(shipment.agreement)
    with open_database(connection) as database:
        work = _Work(shipment=shipment, database=database, table=table)
        known = work.known()  # before staging, which is the long part
        if known:
            return known
        work.stage()
        reached("delivery.database.staged")
        database.begin()
        known = work.known()
        if known:
            return known
        work.admit()
        work.change()
        reached("delivery.database.changed")
        receipt = work.mark()
        reached("delivery.database.marked")
        database.commit()
        reached("delivery.database.committed")
        return receipt


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
class _Work:
    """One delivery into one table. SQL is put together from quoted names only; values are bound or staged."""

    shipment: Shipment
    database: Database
    table: Table

    def known(self) -> Receipt | None:
        """The receipt, if the delivery is there."""
        return recognised(self.shipment, _receipt(self.database, self.table, self.shipment.delivery_id))

    def stage(self) -> None:
        """Copies the files into tables that nobody else sees."""
        prepared = self.shipment.prepared
        self.database.stage("rows", prepared.rows)
        if prepared.deletes and not prepared.replaces:
            self.database.stage("deletes", prepared.deletes)

    def admit(self) -> None:
        """Makes the tables when missing, and refuses what would not fit or would break what the consumer holds."""
        marker = self.table.beside(MARKER)
        if self.database.columns(marker) is None:
            self.database.execute(f"CREATE TABLE {marker} ({', '.join(f'{n} {t}' for n, t in _MARKER_COLUMNS)})")
        self._admit_table()
        self._admit_order()

    def _admit_table(self) -> None:
        wanted = [(field.name, self.database.type_of(field.type)) for field in self.shipment.prepared.schema]
        found = self.database.columns(self.table)
        key = self.shipment.prepared.key_columns
        if found is None and not self.shipment.prepared.replaces:
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
        marker, target, agreement = self.table.beside(MARKER), str(self.table), self.shipment.agreement.id
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
        mine = (self.shipment.consignment.sequence, self.shipment.consignment.intended_at)
        if (int(sequence or 0), str(intended_at)) > mine:
            raise self._refused(f"The consumer already holds a newer delivery, {last}.", "Deliver the newest snapshot.")
        if not self.shipment.prepared.replaces and last != self.shipment.prepared.base:
            raise self._refused(
                f"The changes build on delivery {self.shipment.prepared.base}, but the consumer holds {last}.",
                f"Finish that delivery first. {_LOST}",
            )
        if last is None and self.database.execute(f"SELECT 1 FROM {self.table} LIMIT 1"):  # noqa: S608
            raise self._refused(
                "The table holds rows that crossdock did not deliver.",
                "Empty it, or name another table in the agreement.",
            )

    def change(self) -> None:
        """Brings the table to the state after this delivery."""
        rows, names = self.database.staged("rows"), _names(self.shipment.prepared.schema.names)
        if self.shipment.prepared.replaces:
            self.database.execute(f"DELETE FROM {self.table}")  # noqa: S608
            self.database.execute(f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {rows}")  # noqa: S608
            return
        key = self.shipment.prepared.key_columns
        if not key:
            return  # a tombstone: what it names is not in the table any more
        # Deletes come first: a key that one record gives up may be another's now.
        self.database.execute(
            f"DELETE FROM {self.table} WHERE ({_names(key)}) IN (SELECT {_names(key)} FROM {self.database.staged('deletes')})"  # noqa: S608
        )
        same = " AND ".join(f"t.{name} = s.{name}" for name in map(_quoted, key))
        rest = [_quoted(name) for name in self.shipment.prepared.schema.names if name not in key]
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
        self._admit_result()

    def _admit_result(self) -> None:
        """Refuses changes to a table that someone else has put rows into or taken rows out of."""
        counts = self.shipment.prepared.counts
        expected = counts.delivered + counts.unchanged
        found = self.database.execute(f"SELECT count(*) FROM {self.table}")[0][0]  # noqa: S608
        if found != expected:
            raise self._refused(
                f"After the changes the table would hold {found} rows instead of {expected}: it was changed by others.",
                _LOST,
            )

    def mark(self) -> Receipt:
        """Writes the marker row that makes the delivery count."""
        consignment, counts = self.shipment.consignment, self.shipment.prepared.counts
        delivered_at = instant(now())
        marker = self.table.beside(MARKER)
        values = (
            self.shipment.delivery_id, self.shipment.agreement.id, consignment.contract.id, str(self.table),
            consignment.sequence, consignment.intended_at, counts.delivered, counts.deleted, self.shipment.digest,
            delivered_at,
        )  # fmt: skip
        self.database.execute(
            f"INSERT INTO {marker} ({_names([n for n, _ in _MARKER_COLUMNS])}) VALUES ({', '.join('?' * len(values))})",  # noqa: S608
            values,
        )
        return Receipt(
            delivery_id=self.shipment.delivery_id,
            location=f"{self.database.name}, table {self.table}",
            digest=self.shipment.digest,
            delivered_at=delivered_at,
        )

    def _refused(self, what: str, fix: str) -> ConsumerRefused:
        return ConsumerRefused(what, where=f"{self.database.name}, table {self.table}", fix=fix)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _names(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(_quoted, names))
