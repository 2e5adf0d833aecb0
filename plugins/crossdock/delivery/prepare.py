"""Turns a snapshot into what one consumer gets under one agreement: filter, compare, project, protect, account.

A delivery goes this way, and can be killed after any step and repeated from the first:

    decide            may it leave at all? (decide.decide; a no is recorded and ends it)
    intent            a row in the state: delivery id, agreement, snapshot, instant of the first attempt
    prepare           this module: files with the same bytes however often it is repeated; nothing has left yet
    outbox            the files and the share events go to the store, named by their content
    manifest          manifest.manifest: what is delivered, signed, with the same bytes every time
    channel.deliver   channels.channel: content and marker reach the consumer all or nothing; a second time changes nothing
    state transaction receipt and ledger entry, once: whoever comes second finds them and stops

Every row of the snapshot is accounted for: `accepted = delivered + unchanged + filtered`, by count and by digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.contracts.model import Agreement
from crossdock.delivery.changes import Change, Changes, Received, compare, holdings, holdings_schema
from crossdock.delivery.files import ROW_GROUP, DeliveredFile, ParquetSink, batches, delivered_file
from crossdock.delivery.terms import Terms
from crossdock.errors import LedgerBroken
from crossdock.identity import RowsDigest
from crossdock.rowhash import row_hashes

_OPERATIONS = pa.array(["insert", "update"])


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of the snapshot's rows went where; `deleted` counts records the consumer had and no longer gets."""

    accepted: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    filtered: int

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
        """Returns the JSON form, as state, manifest and ledger hold it."""
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


def prepare(  # noqa: PLR0913 - a delivery is these six things; a value holding them would only be taken apart again
    agreement: Agreement,
    terms: Terms,
    snapshot: pads.Dataset,
    *,
    previous: Received | None,
    scratch: Path,
    events: Events,
) -> Prepared:
    """Prepares a delivery in a scratch folder, streaming; the same input gives files with the same bytes.

    Args:
        agreement: approved: `decide` said yes.
        terms: of that agreement, bound to the snapshot.
        snapshot: the accepted, typed rows.
        previous: what the consumer holds; used in mode changes only.
        scratch: an empty folder of our own.
        events: takes one share event per record delivered or deleted.

    Raises:
        LedgerBroken: the rows do not add up.
    """
    work = _Work(terms, snapshot, scratch)
    if agreement.delivery.mode == "full":
        return work.full(agreement, events)
    return work.changes(agreement, previous, events)


@dataclass(slots=True)
class _Kept:
    """One batch of rows that the filter lets through: as the snapshot has it, as it leaves, and its row hashes."""

    rows: pa.RecordBatch
    outgoing: pa.RecordBatch
    hashes: np.ndarray


class _Work:
    """One preparation under way."""

    def __init__(self, terms: Terms, snapshot: pads.Dataset, scratch: Path) -> None:
        self.terms, self.snapshot, self.scratch = terms, snapshot, scratch
        self.accepted = RowsDigest()
        self.filtered = RowsDigest()

    def full(self, agreement: Agreement, events: Events) -> Prepared:
        """Every row that the filter lets through is delivered."""
        delivered = RowsDigest()
        with ParquetSink(self.scratch / "rows.parquet", self.terms.schema) as sink:
            for kept in self._kept():
                sink.add(kept.outgoing)
                events.add(self.terms.records(kept.rows), self.terms.subjects(kept.rows), "insert")
                delivered += RowsDigest.of(kept.hashes)
        digests = self._digests(delivered, RowsDigest())
        return self._prepared(agreement, sink.path, digests, _counts(digests, inserted=sink.rows))

    def changes(self, agreement: Agreement, previous: Received | None, events: Events) -> Prepared:
        """Only what differs from what the consumer holds is delivered."""
        candidates, received = self.scratch / "candidates.parquet", self.scratch / "received.parquet"
        hashes = [np.zeros((0, 2), np.uint64)]
        with (
            ParquetSink(candidates, self.terms.schema) as rows,
            ParquetSink(received, holdings_schema(self.terms), dictionary=False) as held,
        ):
            for kept in self._kept():
                rows.add(kept.outgoing)
                seen = row_hashes(kept.outgoing, key=self.terms.ledger_key)
                held.add(holdings(self.terms, kept.rows, kept.outgoing, seen))
                hashes.append(kept.hashes)
        found = compare(received, previous, self.terms, self.scratch)
        self._pick(candidates, received, found, events)
        same = found.of_rows == Change.UNCHANGED
        all_hashes = np.concatenate(hashes)
        digests = self._digests(RowsDigest.of(all_hashes[~same]), RowsDigest.of(all_hashes[same]))
        inserted = int((found.of_rows == Change.INSERT).sum())
        base = previous.delivery if previous and previous.layout == self.terms.layout else None
        counts = _counts(digests, inserted=inserted, deleted=found.deleted)
        return self._prepared(
            agreement, self.scratch / "rows.parquet", digests, counts, _Base(found.deletes, received, base)
        )

    def _kept(self) -> Iterator[_Kept]:
        """Streams the snapshot once, digests every row, and yields those the filter lets through."""
        names = self.snapshot.schema.names
        mark = "keep" + "_" * max(map(len, names), default=0)  # longer than any column's name
        columns = {name: pc.field(name) for name in names} | {mark: self.terms.keep}
        for marked in _in_pieces(self.snapshot, columns):
            batch = marked.select(names)
            keep = marked.column(mark).fill_null(False)
            hashes = row_hashes(batch)
            kept = keep.to_numpy(zero_copy_only=False).astype(bool)
            self.accepted += RowsDigest.of(hashes)
            self.filtered += RowsDigest.of(hashes[~kept])
            rows = batch.filter(keep)
            if rows.num_rows:
                yield _Kept(rows, self.terms.outgoing(rows), hashes[kept])

    def _pick(self, candidates: Path, received: Path, found: Changes, events: Events) -> None:
        """Writes the new and changed rows to rows.parquet, and their events and those of deleted records."""
        start = 0
        with ParquetSink(self.scratch / "rows.parquet", self.terms.schema) as sink:
            for batch, held in zip(batches(candidates), batches(received, ["record", "subject"]), strict=True):
                change = found.of_rows[start : start + batch.num_rows]
                start += batch.num_rows
                chosen = pa.array(change != Change.UNCHANGED)
                sink.add(batch.filter(chosen))
                picked = held.filter(chosen)
                if picked.num_rows:
                    operations = _OPERATIONS.take(pa.array(change[change != Change.UNCHANGED]))
                    events.add(picked.column("record"), self._subjects(picked), operations)
        candidates.unlink()
        for gone in batches(found.gone):
            events.add(gone.column("record"), self._subjects(gone), "delete")

    def _subjects(self, held: pa.RecordBatch) -> pa.Array | None:
        return None if self.terms.subject_column is None else held.column("subject")

    def _digests(self, delivered: RowsDigest, unchanged: RowsDigest) -> Digests:
        if self.accepted != delivered + unchanged + self.filtered:
            raise LedgerBroken(
                f"The rows do not add up: accepted {self.accepted.rows}, delivered {delivered.rows}, "
                f"unchanged {unchanged.rows}, filtered {self.filtered.rows}.",
                fix="Nothing has left. This is a fault in crossdock: keep the snapshot and report it.",
            )
        return Digests(accepted=self.accepted, delivered=delivered, unchanged=unchanged, filtered=self.filtered)

    def _prepared(
        self, agreement: Agreement, rows: Path, digests: Digests, counts: Counts, base: _Base | None = None
    ) -> Prepared:
        written = pq.read_metadata(rows).num_rows
        if written != counts.delivered:
            raise LedgerBroken(f"{counts.delivered} rows are counted as delivered, but {written} were written.")
        replaces = base is None or base.delivery is None
        parts = [rows] if base is None or replaces else [rows, base.deletes]
        form = agreement.delivery.form
        return Prepared(
            rows=rows,
            deletes=base.deletes if base else None,
            received=base.received if base else None,
            replaces=replaces,
            base=base.delivery if base else None,
            counts=counts,
            digests=digests,
            schema=self.terms.schema,
            key_columns=self.terms.key_columns,
            files=tuple(delivered_file(part, form) for part in parts),
        )


@dataclass(frozen=True, slots=True)
class _Base:
    """What a delivery of changes has beside its rows."""

    deletes: Path
    received: Path
    delivery: str | None


def _in_pieces(snapshot: pads.Dataset, columns: dict[str, pc.Expression]) -> Iterator[pa.RecordBatch]:
    """Streams a row group at a time: one scan over all reads ahead up to a gigabyte while we are busy."""
    for fragment in snapshot.get_fragments():
        groups = fragment.split_by_row_group() if isinstance(fragment, pads.ParquetFileFragment) else [fragment]
        for group in groups:
            yield from group.scanner(schema=snapshot.schema, columns=columns, batch_size=ROW_GROUP).to_batches()


def _counts(digests: Digests, *, inserted: int, deleted: int = 0) -> Counts:
    return Counts(
        accepted=digests.accepted.rows,
        inserted=inserted,
        updated=digests.delivered.rows - inserted,
        deleted=deleted,
        unchanged=digests.unchanged.rows,
        filtered=digests.filtered.rows,
    )
