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

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.columnar import settle_memory
from crossdock.contracts.agreement import Agreement
from crossdock.delivery.aligned import Aligned, Seen
from crossdock.delivery.changes import HASH, Change, Comparison, Received, as_held, holdings, holdings_sink
from crossdock.delivery.columns import ColumnSinks, join
from crossdock.delivery.cuts import Cut
from crossdock.delivery.files import ParquetSink, batches, delivered_file, in_pieces, with_dictionaries
from crossdock.delivery.prepared import Ahead, Counts, Digests, Events, Prepared
from crossdock.delivery.terms import Terms
from crossdock.errors import LedgerBroken
from crossdock.identity import RowsDigest
from crossdock.ordered import in_order
from crossdock.rowhash import row_hashes

_OPERATIONS = pa.array(["insert", "update"])
_Told = TypeVar("_Told")


def prepare(  # noqa: PLR0913 - a delivery is these things; a value holding them would only be taken apart again
    agreement: Agreement,
    terms: Terms,
    snapshot: pads.Dataset,
    *,
    previous: Received | None,
    scratch: Path,
    events: Events,
    ahead: Ahead | None = None,
    held_back: Collection[bytes] = (),
    cut: Cut | None = None,
    prints: Path | None = None,
) -> Prepared:
    """Prepares a delivery in a scratch folder, streaming; the same input gives files with the same bytes.

    Args:
        agreement: approved: `decide` said yes.
        terms: of that agreement, bound to the snapshot.
        snapshot: the accepted, typed rows.
        previous: what the consumer holds; used in mode changes only.
        scratch: an empty folder of our own.
        events: takes one share event per record delivered or deleted.
        held_back: keyed hashes of records that do not go: what the consumer holds of them stays as it is.
        ahead: takes the rows before they are counted, where everything goes and the consumer's system can do that.
        cut: under which what is made in mode full is kept for others, and taken from where others made it; for
            deliveries that hold nothing back.
        prints: the fingerprints of the snapshot's rows, if they are at hand: what changed is found by them.

    Raises:
        LedgerBroken: the rows do not add up.
    """
    settle_memory()
    work = _Work(terms, snapshot, scratch, held_back)
    replaces = agreement.delivery.mode == "full" or previous is None or previous.layout != terms.layout
    if ahead and replaces:
        ahead.take(terms.schema, terms.key_columns, work.outgoing())
    if agreement.delivery.mode == "full":
        return work.full(agreement, events, cut)
    return work.changes(agreement, previous, events, prints)


@dataclass(slots=True)
class _Kept(Generic[_Told]):
    """One batch of rows that the filter lets through: as it leaves, its row hashes, and what else was asked for."""

    outgoing: pa.RecordBatch
    hashes: np.ndarray
    told: _Told


@dataclass(slots=True)
class _Looked(Generic[_Told]):
    """What was seen in one batch: digests of its rows and of those that the filter stops, records held back, which rows go."""

    accepted: RowsDigest
    filtered: RowsDigest
    stopped: pa.Array
    goes: npt.NDArray[np.bool_]
    found: _Kept[_Told] | None


class _Work:
    """One preparation under way."""

    def __init__(self, terms: Terms, snapshot: pads.Dataset, scratch: Path, held_back: Collection[bytes]) -> None:
        self.terms, self.snapshot, self.scratch = terms, with_dictionaries(snapshot, but=terms.filtered_by), scratch
        self.held_back = pa.array(sorted(held_back), HASH)
        self.stopped: list[pa.Array] = []  # the records held back that would have gone
        self.kept = 0
        self.accepted = RowsDigest()
        self.filtered = RowsDigest()

    def outgoing(self) -> Iterator[pa.RecordBatch]:
        """Yields all rows that the filter lets through, as they leave."""
        yield from map(self.terms.outgoing, self._rows(self.snapshot.schema.names))

    def _rows(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yields some columns of the rows that the filter lets through, as the snapshot has them."""
        for marked in self._marked(names):
            batch, keep, _ = self._let_through(marked)
            rows = _those(batch, np.asarray(keep))
            if rows.num_rows:
                yield rows

    def full(self, agreement: Agreement, events: Events, cut: Cut | None) -> Prepared:
        """Every row that the filter lets through is delivered."""
        shelved = cut.columns(self.terms, self.scratch / "shelved") if cut else {}
        rest = self.terms.without(shelved)
        with ColumnSinks(self.scratch / "columns", rest.encoded_schema(self.snapshot.schema)) as sinks:
            delivered = self._known(cut, rest, events, sinks) if cut else None
            fresh = delivered is None
            if delivered is None:
                delivered = self._all(rest, events, sinks)
        rows = self.scratch / "rows.parquet"
        columns = shelved | sinks.paths
        sha256 = join([columns[name] for name in self.terms.schema.names], self.terms.schema, rows)
        if cut and self.accepted == cut.accepted:
            cut.keep_columns(self.terms, sinks.paths)
            if fresh:
                cut.keep_digests(delivered, self.filtered, self.scratch)
                events.keep(cut.events(self.terms))
        digests = self._digests(delivered, RowsDigest())
        return self._prepared(agreement, rows, digests, Counts.of(digests, inserted=delivered.rows), sha256=sha256)

    def _known(self, cut: Cut, rest: Terms, events: Events, sinks: ColumnSinks) -> RowsDigest | None:
        """Makes the columns that nobody made yet, where the rest is known; returns None where it is not."""
        digests = cut.digests(self.scratch)
        if digests is None or not events.again(cut.events(self.terms)):
            return None
        delivered, self.filtered = digests
        self.accepted = delivered + self.filtered
        if len(rest.schema):
            with ThreadPoolExecutor(1, thread_name_prefix="crossdock") as beside:
                unchanged = beside.submit(cut.demand_unchanged, self.snapshot)
                for rows in in_order(rest.encoded, self._rows(rest.schema.names), beside=1):
                    sinks.add(rows)
                unchanged.result()
        return delivered

    def _all(self, rest: Terms, events: Events, sinks: ColumnSinks) -> RowsDigest:
        delivered = RowsDigest()
        for kept in self._kept(rest.encoded, lambda rows, _: (self.terms.records(rows), self.terms.subjects(rows))):
            sinks.add(kept.outgoing)
            events.add(*kept.told, "insert")
            delivered += RowsDigest.of(kept.hashes)
        events.done()
        return delivered

    def changes(self, agreement: Agreement, previous: Received | None, events: Events, prints: Path | None) -> Prepared:
        """Only what differs from what the consumer holds is delivered."""
        base = previous.delivery if previous and previous.layout == self.terms.layout else None
        aligned = None
        if previous and prints and not len(self.held_back):
            aligned = Aligned.find(previous, self.terms, self.snapshot, prints)
        comparison = Comparison(aligned.rest if aligned else previous, self.terms, rows=self.snapshot.count_rows())
        delivered, unchanged = RowsDigest(), aligned.unchanged if aligned else RowsDigest()
        fresh: list[pa.Array] = []  # the records that are new to the consumer
        with (
            ParquetSink(self.scratch / "rows.parquet", self.terms.schema) as rows,
            holdings_sink(self.scratch / "received.parquet", self.terms) as held,
        ):
            for kept, holds in self._changed(aligned):
                held.add(holds)
                if kept is None:
                    continue
                marks = comparison.mark(kept.told)
                differs = marks != Change.UNCHANGED
                fresh.append(kept.told.column("record").filter(pa.array(marks == Change.INSERT)))
                rows.add(_those(kept.outgoing, differs))
                self._tell(_those(kept.told, differs), marks[differs], events)
                delivered += RowsDigest.of(kept.hashes[differs])
                unchanged += RowsDigest.of(kept.hashes[~differs])
            if base is not None and previous and self._stopped():
                for batch in previous.rows.to_batches(filter=pc.field("record").isin(pa.concat_arrays(self.stopped))):
                    held.add(as_held(batch, self.terms))
                    comparison.mark(batch)
                    self.kept += batch.num_rows
        if aligned:
            aligned.demand_new(fresh, held.path, self.terms)
        gone = comparison.gone(self.scratch)
        for batch in batches(gone.records):
            events.add(batch.column("record"), self._subjects(batch), "delete")
        digests = self._digests(delivered, unchanged)
        counts = Counts.of(digests, inserted=sum(map(len, fresh)), deleted=gone.deleted)
        return self._prepared(agreement, rows.path, digests, counts, _Base(gone.deletes, held.path, base))

    def _changed(self, aligned: Aligned | None) -> Iterator[tuple[_Kept[pa.RecordBatch] | None, pa.RecordBatch]]:
        """Yields rows that may have changed, and all that the consumer holds of the same part of the snapshot."""
        tell = partial(holdings, self.terms)
        if aligned is None:
            yield from ((kept, kept.told) for kept in self._kept(self.terms.outgoing, tell))
            return
        self.accepted = aligned.unchanged

        def look(marked: pa.RecordBatch) -> Seen[_Looked[pa.RecordBatch]]:
            looked = self._look(self.terms.outgoing, tell, marked)
            return Seen(looked.goes, looked.found.told if looked.found else None, looked)

        columns = self._columns(self.snapshot.schema.names)
        for seen, holds in aligned.seen(columns, look, self.terms.ledger_key):
            yield self._counted(seen.told) if seen else None, holds

    def _kept(
        self,
        leave: Callable[[pa.RecordBatch], pa.RecordBatch],
        tell: Callable[[pa.RecordBatch, pa.RecordBatch], _Told],
    ) -> Iterator[_Kept[_Told]]:
        """Streams the snapshot once, digests every row, and yields those the filter lets through; `tell` works beside."""
        marked = self._marked(self.snapshot.schema.names)
        for looked in in_order(partial(self._look, leave, tell), marked, beside=1):
            found = self._counted(looked)
            if found is not None:
                yield found

    def _look(
        self,
        leave: Callable[[pa.RecordBatch], pa.RecordBatch],
        tell: Callable[[pa.RecordBatch, pa.RecordBatch], _Told],
        marked: pa.RecordBatch,
    ) -> _Looked[_Told]:
        batch, keep, stopped = self._let_through(marked)
        hashes, goes = row_hashes(batch), np.asarray(keep)
        rows, found = _those(batch, goes), None
        if rows.num_rows:
            outgoing = leave(rows)
            found = _Kept(outgoing, hashes[goes], tell(rows, outgoing))
        return _Looked(RowsDigest.of(hashes), RowsDigest.of(hashes[~goes]), stopped, goes, found)

    def _counted(self, looked: _Looked[_Told]) -> _Kept[_Told] | None:
        self.accepted += looked.accepted
        self.filtered += looked.filtered
        self.stopped.append(looked.stopped)
        return looked.found

    def _marked(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Streams columns of the snapshot, and a last one that is true for the rows which the filter lets through."""
        yield from in_pieces(self.snapshot, self._columns(names))

    def _columns(self, names: Sequence[str]) -> dict[str, pc.Expression]:
        mark = "keep" + "_" * max(map(len, names), default=0)  # longer than any column's name
        return {name: pc.field(name) for name in names} | {mark: self.terms.keep}

    def _let_through(self, marked: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.BooleanArray, pa.Array]:
        """Parts rows from the mark of those that go, and returns the records that the filter lets through and we hold back."""
        rows, keep = marked.select(marked.schema.names[:-1]), marked.column(marked.num_columns - 1).fill_null(False)
        if not len(self.held_back):
            return rows, keep, self.held_back
        records = self.terms.records(rows)
        stopped = pc.and_(keep, pc.is_in(records, value_set=self.held_back))
        return rows, pc.and_not(keep, stopped), records.filter(stopped)

    def _tell(self, held: pa.RecordBatch, marks: npt.NDArray[np.int8], events: Events) -> None:
        """Adds the events of new and changed records."""
        if held.num_rows:
            events.add(held.column("record"), self._subjects(held), _OPERATIONS.take(pa.array(marks)))

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

    def _prepared(  # noqa: PLR0913 - a delivery is these things
        self,
        agreement: Agreement,
        rows: Path,
        digests: Digests,
        counts: Counts,
        base: _Base | None = None,
        *,
        sha256: str | None = None,
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
            files=tuple(delivered_file(part, form, sha256 if part == rows else None) for part in parts),
            held_back=self._stopped(),
            kept=self.kept,
        )

    def _stopped(self) -> int:
        return sum(map(len, self.stopped))


@dataclass(frozen=True, slots=True)
class _Base:
    """What a delivery of changes has beside its rows."""

    deletes: Path
    received: Path
    delivery: str | None


def _those(rows: pa.RecordBatch, chosen: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    return rows if chosen.all() else rows.filter(pa.array(chosen))
