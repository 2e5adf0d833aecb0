"""A delivery that is prepared: its files, and what is counted in them; and who takes events and rows while it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, Self

import pyarrow as pa

from crossdock.delivery.files import DeliveredFile
from crossdock.identity import RowsDigest


class Events(Protocol):
    """Takes the share events of a delivery: one per record that is delivered or deleted."""

    def add(self, record: pa.Array, subject: pa.Array | None, operation: pa.Array | str) -> None:
        """Adds events.

        Args:
            record: keyed hashes, 16 bytes each.
            subject: keyed hashes of whom each record is about; None where the record is the subject, or has none.
            operation: "insert", "update" or "delete", for all or one per record.
        """
        ...

    def done(self) -> None:
        """Says that all events were added: they may be written beside what is done next."""
        ...

    def again(self, name: str) -> bool:
        """Takes over all events that another delivery kept under a name; False when there are none."""
        ...

    def keep(self, name: str) -> None:
        """Keeps all events under a name, for deliveries that have the same."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """What is known of a delivery's content before its rows are counted; fields as in `Prepared`."""

    schema: pa.Schema
    key_columns: tuple[str, ...]
    replaces: bool
    base: str | None


class Ahead(Protocol):
    """The consumer's system at work while a delivery is made; nobody sees what it took until the delivery is sent."""

    def take(self, goods: Goods, rows: Iterator[pa.RecordBatch]) -> None:
        """Takes all rows of a delivery that replaces what the consumer holds."""
        ...

    def look(self) -> None:
        """Begins to see what the consumer holds, for a delivery of changes to it."""
        ...

    def change(self, goods: Goods, rows: Path, deletes: Path) -> None:
        """Begins to put the changes in, once all are found; files as in `Prepared`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of the snapshot's rows went where; `deleted` counts records the consumer had and no longer gets."""

    accepted: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    filtered: int

    @classmethod
    def of(cls, digests: Digests, *, inserted: int, deleted: int = 0) -> Self:
        """Counts what digests are of; what is delivered and not inserted is updated."""
        return cls(
            accepted=digests.accepted.rows,
            inserted=inserted,
            updated=digests.delivered.rows - inserted,
            deleted=deleted,
            unchanged=digests.unchanged.rows,
            filtered=digests.filtered.rows,
        )

    @property
    def delivered(self) -> int:
        """Rows that reach the consumer: the count of shares."""
        return self.inserted + self.updated

    def to_dict(self) -> dict[str, int]:
        """Returns the JSON form, as state, manifest and ledger hold it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Order-free digests over the snapshot's typed rows, before projection and protection."""

    accepted: RowsDigest
    delivered: RowsDigest
    unchanged: RowsDigest
    filtered: RowsDigest

    def to_dict(self) -> dict[str, str]:
        """Returns the JSON form; state and ledger hold it blinded (`ledger.blinding`)."""
        return {name: str(getattr(self, name)) for name in ("accepted", "delivered", "unchanged", "filtered")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that one delivery carries, on local disk."""

    rows: Path  # parquet: the rows to insert or update (mode full: all rows)
    deletes: Path | None  # parquet of the consumer's key columns; None in mode full
    received: Path | None  # parquet: what the consumer holds afterwards (see `changes`); None in mode full
    replaces: bool  # whatever the consumer held before goes: mode full, a first delivery, or another layout
    base: str | None  # the delivery whose result the changes build on; None when it replaces
    counts: Counts
    digests: Digests
    schema: pa.Schema  # of rows
    key_columns: tuple[str, ...]  # the consumer's key; empty in mode full
    files: tuple[DeliveredFile, ...]  # in the format the agreement asks for
    held_back: int = 0  # rows that the consumer has rejected; they are among those that `counts` has as filtered
    kept: int = 0  # of those, the records that the consumer goes on holding as it has them
    places: Path | None = None  # per row, as uint32, which share event, as they were added, is its; None: the same one

    @property
    def goods(self) -> Goods:
        """What was known before rows were counted."""
        return Goods(schema=self.schema, key_columns=self.key_columns, replaces=self.replaces, base=self.base)
