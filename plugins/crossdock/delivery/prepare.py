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

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.columnar import settle_memory
from crossdock.contracts.agreement import Agreement
from crossdock.delivery.aligned import Aligned
from crossdock.delivery.changes import Change, Comparison, Received, as_held, holdings_sink
from crossdock.delivery.columns import ColumnSinks, join
from crossdock.delivery.cuts import Cut
from crossdock.delivery.files import ParquetSink, batches, delivered_file
from crossdock.delivery.own_order import OwnOrder, Part, numbered
from crossdock.delivery.prepared import Ahead, Counts, Digests, Events, Goods, Prepared
from crossdock.delivery.reading import Reading, those
from crossdock.delivery.terms import Terms, plain
from crossdock.errors import LedgerBroken
from crossdock.identity import RowsDigest
from crossdock.ordered import behind, in_order

_OPERATIONS = pa.array(["insert", "update"])
# Batches of holdings, of some 10 MB each: changes are found sooner than what is held then is written, and the consumer's
# database can begin with them.
_LEFT_TO_WRITE = 8


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
        ahead: takes the rows before they are counted, where everything goes and the consumer's system can do that; else
            begins to look at what the consumer holds, and to change it once all changes are found.
        cut: under which what is made in mode full is kept for others, and taken from where others made it, as are the
            share events of a first delivery of changes; for deliveries that hold nothing back.
        prints: the fingerprints of the snapshot's rows, if they are at hand: what changed is found by them.

    Raises:
        LedgerBroken: the rows do not add up.
    """
    settle_memory()
    reading = Reading(terms, snapshot, held_back)
    full = agreement.delivery.mode == "full"
    base = None if full or previous is None or previous.layout != terms.layout else previous.delivery
    work = _Work(reading, scratch, ahead, base)
    if ahead and base is not None:
        ahead.look()
    elif ahead and not terms.order_by:
        ahead.take(work.goods, reading.outgoing())
    if full:
        return work.full(agreement, events, cut)
    return work.changes(agreement, previous, events, cut if previous is None else None, prints)


class _Work:
    """One preparation under way."""

    def __init__(self, reading: Reading, scratch: Path, ahead: Ahead | None, base: str | None) -> None:
        self.reading, self.terms, self.snapshot, self.scratch = reading, reading.terms, reading.snapshot, scratch
        self.ahead, self.base = ahead, base
        self.delivered, self.unchanged, self.kept = RowsDigest(), RowsDigest(), 0
        self.fresh: list[pa.Array] = []  # the records that are new to the consumer
        self.places: Path | None = None  # see `Prepared`

    @property
    def goods(self) -> Goods:
        """What is known of the delivery by now."""
        schema, key = self.terms.schema, self.terms.key_columns
        return Goods(schema=schema, key_columns=key, replaces=self.base is None, base=self.base)

    def full(self, agreement: Agreement, events: Events, cut: Cut | None) -> Prepared:
        """Every row that the filter lets through is delivered; their share events are in the snapshot's order."""
        shared = None if self.terms.order_by else cut  # nobody else gets these columns in this order
        shelved = shared.columns(self.terms, self.scratch / "shelved") if shared else {}
        rest = self.terms.without(shelved)
        told = cut is not None and events.again(cut.events(self.terms))
        known = cut.digests(self.scratch) if cut and told else None
        fields = rest.encoded_schema(self.snapshot.schema)
        with ColumnSinks(self.scratch / "columns", fields, rest.pseudonyms) as sinks:
            if cut and known:
                self._known(cut, known, rest, sinks)
            else:
                self._all(rest, None if told else events, sinks)
        rows = self.scratch / "rows.parquet"
        columns = shelved | sinks.paths
        sha256 = join([columns[name] for name in self.terms.schema.names], self.terms.schema, rows)
        if cut and self.reading.accepted == cut.accepted:
            if shared:
                shared.keep_columns(self.terms, sinks.paths)
            if not known:
                cut.keep_digests(self.delivered, self.reading.filtered, self.scratch)
            if not told:
                events.keep(cut.events(self.terms))
        digests = self._digests(self.delivered, RowsDigest())
        return self._prepared(agreement, rows, digests, Counts.of(digests, inserted=self.delivered.rows), sha256=sha256)

    def _known(self, cut: Cut, digests: tuple[RowsDigest, RowsDigest], rest: Terms, sinks: ColumnSinks) -> None:
        """Makes the columns that nobody made yet, where the rows' digests and events are known."""
        self.delivered, self.reading.filtered = digests
        self.reading.accepted = self.delivered + self.reading.filtered
        if len(rest.schema):
            with ThreadPoolExecutor(1, thread_name_prefix="crossdock") as beside:
                unchanged = beside.submit(cut.demand_unchanged, self.snapshot)
                self._sink(in_order(rest.encoded, self.reading.rows(rest.schema.names), beside=1), sinks)
                unchanged.result()

    def _all(self, rest: Terms, events: Events | None, sinks: ColumnSinks) -> None:
        """Makes columns and digests, and, unless they are known, events."""
        terms = self.terms

        def tell(rows: pa.RecordBatch, _: pa.RecordBatch) -> tuple[pa.Array, pa.Array | None] | None:
            return (terms.records(rows), terms.subjects(rows)) if events else None

        def leaving() -> Iterator[pa.RecordBatch]:
            for kept in self.reading.kept(rest.encoded, tell):
                self.delivered += RowsDigest.of(kept.hashes)
                if events and kept.told:
                    events.add(*kept.told, "insert")
                yield kept.outgoing
            if events:
                events.done()

        self._sink(leaving(), sinks)

    def _sink(self, rows: Iterable[pa.RecordBatch], sinks: ColumnSinks) -> None:
        """Writes rows in the order in which they leave; where that is their own, notes where each stood among them."""
        if not self.terms.order_by:
            for leaving in rows:
                sinks.add(leaving)
            return
        self.places = self.scratch / "places"
        with self.places.open("wb") as file:
            for leaving, (places,) in self._in_order(numbered(rows)):
                sinks.add(leaving)
                np.asarray(places).tofile(file)

    def _in_order(self, parts: Iterable[Part]) -> Iterable[Part]:
        """Returns the rows in the order in which they leave; where that is their own, sends them ahead in it."""
        if not self.terms.order_by:
            return parts
        rows = OwnOrder(parts, self.terms.order_by, self.scratch / "order", most=self.snapshot.count_rows())
        if self.ahead and self.base is None:
            self.ahead.take(self.goods, (self._plain(leaving) for leaving, _ in rows))
        return rows

    def _plain(self, leaving: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([plain(values) for values in leaving.columns], schema=self.terms.schema)

    def changes(
        self, agreement: Agreement, previous: Received | None, events: Events, cut: Cut | None, prints: Path | None
    ) -> Prepared:
        """Only what differs from what the consumer holds is delivered; to who holds nothing, all, as in full."""
        told = cut is not None and not self.terms.order_by and events.again(cut.events(self.terms))
        aligned = None
        if previous and prints and not len(self.reading.held_back):
            aligned = Aligned.find(previous, self.terms, self.snapshot, prints)
        before, most = (aligned.rest, aligned.others) if aligned else (previous, self.snapshot.count_rows())
        comparison = Comparison(before, self.terms, rows=most)
        self.unchanged = aligned.unchanged if aligned else RowsDigest()
        with (
            holdings_sink(self.scratch / "received.parquet", self.terms) as held,
            behind(held.add, most=_LEFT_TO_WRITE) as hold,
        ):
            with ParquetSink(self.scratch / "rows.parquet", self.terms.schema) as rows:
                for leaving, (record, subject, marks) in self._in_order(self._changed(aligned, comparison, hold)):
                    rows.add(leaving)
                    if leaving.num_rows and not told:
                        events.add(record, subject, _OPERATIONS.take(marks))
            if self.base is not None and previous and self._stopped():
                self._keep_stopped(previous, comparison, hold)
            gone = comparison.gone(self.scratch)
            if self.ahead and self.base is not None:
                self.ahead.change(self.goods, rows.path, gone.deletes)
        if aligned:
            aligned.demand_new(self.fresh, held.path, self.terms)
        for batch in batches(gone.records):
            events.add(batch.column("record"), self._subjects(batch), "delete")
        digests = self._digests(self.delivered, self.unchanged)
        counts = Counts.of(digests, inserted=sum(map(len, self.fresh)), deleted=gone.deleted)
        return self._prepared(agreement, rows.path, digests, counts, _Beside(gone.deletes, held.path))

    def _keep_stopped(self, previous: Received, comparison: Comparison, hold: Callable[[pa.RecordBatch], None]) -> None:
        """Leaves what the consumer holds of records that it has rejected as it is."""
        stopped = pa.concat_arrays(self.reading.stopped)
        for batch in previous.rows.to_batches(filter=pc.field("record").isin(stopped)):
            hold(as_held(batch, self.terms))
            comparison.mark(batch)
            self.kept += batch.num_rows

    def _changed(
        self, aligned: Aligned | None, comparison: Comparison, hold: Callable[[pa.RecordBatch], None]
    ) -> Iterator[Part]:
        """Yields new and changed rows with record, subject and change; writes what the consumer holds then."""
        for kept, holds in self.reading.changed(aligned):
            hold(holds)
            if kept is None:
                continue
            marks = comparison.mark(kept.told)
            differs = marks != Change.UNCHANGED
            self.fresh.append(kept.told.column("record").filter(pa.array(marks == Change.INSERT)))
            self.delivered += RowsDigest.of(kept.hashes[differs])
            self.unchanged += RowsDigest.of(kept.hashes[~differs])
            told = those(kept.told, differs)
            yield those(kept.outgoing, differs), (told.column("record"), self._subjects(told), pa.array(marks[differs]))

    def _subjects(self, held: pa.RecordBatch) -> pa.Array | None:
        return None if self.terms.subject_column is None else held.column("subject")

    def _digests(self, delivered: RowsDigest, unchanged: RowsDigest) -> Digests:
        if self.reading.accepted != delivered + unchanged + self.reading.filtered:
            raise LedgerBroken(
                f"The rows do not add up: accepted {self.reading.accepted.rows}, delivered {delivered.rows}, "
                f"unchanged {unchanged.rows}, filtered {self.reading.filtered.rows}.",
                fix="Nothing has left. This is a fault in crossdock: keep the snapshot and report it.",
            )
        return Digests(
            accepted=self.reading.accepted, delivered=delivered, unchanged=unchanged, filtered=self.reading.filtered
        )

    def _prepared(  # noqa: PLR0913 - a delivery is these things
        self,
        agreement: Agreement,
        rows: Path,
        digests: Digests,
        counts: Counts,
        beside: _Beside | None = None,
        *,
        sha256: str | None = None,
    ) -> Prepared:
        written = pq.read_metadata(rows).num_rows
        if written != counts.delivered:
            raise LedgerBroken(f"{counts.delivered} rows are counted as delivered, but {written} were written.")
        parts = [rows] if beside is None or self.base is None else [rows, beside.deletes]
        form = agreement.delivery.form
        return Prepared(
            rows=rows,
            deletes=beside.deletes if beside else None,
            received=beside.received if beside else None,
            replaces=self.base is None,
            base=self.base,
            counts=counts,
            digests=digests,
            schema=self.terms.schema,
            key_columns=self.terms.key_columns,
            files=tuple(delivered_file(part, form, sha256 if part == rows else None) for part in parts),
            held_back=self._stopped(),
            kept=self.kept,
            places=self.places,
        )

    def _stopped(self) -> int:
        return sum(map(len, self.reading.stopped))


@dataclass(frozen=True, slots=True)
class _Beside:
    """What a delivery in mode changes has beside its rows."""

    deletes: Path
    received: Path
