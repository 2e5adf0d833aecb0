"""Takes a delivery back: what its consumer is to delete, and nothing new.

| the consumer has              | what goes                                                                |
|-------------------------------|--------------------------------------------------------------------------|
| changes                       | deletes for every record that the delivery brought and it still holds    |
| that delivery, in full        | an empty one that replaces it                                            |
| a later one in full           | a tombstone: no rows, no deletes; the manifest names what to throw away  |

The manifest names the delivery in `recalls`, so a consumer that keeps copies knows which.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow.dataset as pads

from crossdock.delivery.changes import Comparison, Received, holdings_schema, words
from crossdock.delivery.files import ROW_GROUP, ParquetSink, batches, delivered_file
from crossdock.delivery.prepared import Counts, Digests, Events, Prepared
from crossdock.delivery.terms import Terms
from crossdock.identity import RowsDigest

_BROUGHT = pads.field("operation") != "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What is taken back, and from where."""

    terms: Terms
    brought: pads.Dataset  # share events of the delivery
    last: str  # the delivery that reached the consumer last
    is_last: bool  # what is taken back is the last one that brought rows
    previous: Received | None  # what it holds, where it has changes
    form: str  # format of the delivery's files


def withdraw(work: Withdrawal, scratch: Path, events: Events) -> Prepared:
    """Prepares the withdrawal in an empty folder; one share event per record that the consumer is to delete.

    Counts and digests tell what it keeps: `accepted = unchanged`, over the rows in its form.
    """
    rows = scratch / "rows.parquet"
    with ParquetSink(rows, work.terms.schema):
        pass
    if work.previous is not None:
        return _of_changes(work, work.previous, rows, events)
    deleted = _delete_all(work.brought, events) if work.is_last else 0
    return _prepared(work, rows, RowsDigest(), deleted)


def _of_changes(work: Withdrawal, previous: Received, rows: Path, events: Events) -> Prepared:
    scratch = rows.parent
    received, kept = _rest(work, previous, scratch / "received.parquet")
    comparison = Comparison(previous, work.terms, rows=0)
    for rest in batches(received):
        comparison.mark(rest)
    gone = comparison.gone(scratch)
    for batch in batches(gone.records):
        subjects = None if work.terms.subject_column is None else batch.column("subject")
        events.add(batch.column("record"), subjects, "delete")
    return replace(_prepared(work, rows, kept, gone.deleted, gone.deletes), received=received)


def _prepared(work: Withdrawal, rows: Path, kept: RowsDigest, deleted: int, deletes: Path | None = None) -> Prepared:
    replaces = deletes is None and work.is_last
    parts = [rows] if replaces else [rows, deletes] if deletes else []
    nothing = RowsDigest()
    return Prepared(
        rows=rows,
        deletes=deletes,
        received=None,
        replaces=replaces,
        base=None if replaces else work.last,
        counts=Counts(accepted=kept.rows, inserted=0, updated=0, deleted=deleted, unchanged=kept.rows, filtered=0),
        digests=Digests(accepted=kept, delivered=nothing, unchanged=kept, filtered=nothing),
        schema=work.terms.schema,
        key_columns=work.terms.key_columns,
        files=tuple(delivered_file(part, work.form) for part in parts),
    )


def _rest(work: Withdrawal, previous: Received, path: Path) -> tuple[Path, RowsDigest]:
    """Writes what the consumer holds without the records that the delivery brought, and digests it."""
    schema, kept = holdings_schema(work.terms, previous.form), RowsDigest()
    with duckdb.connect(config={"memory_limit": "700MB", "threads": 2}) as database:
        database.register("held", previous.rows)
        database.register("brought", work.brought.scanner(columns=["record"], filter=_BROUGHT).to_reader())
        rest = database.sql(
            "SELECT record, row, source, subject, key FROM held h ANTI JOIN brought b ON h.record = b.record ORDER BY h.record"
        ).to_arrow_reader(ROW_GROUP)
        with ParquetSink(path, schema) as sink:
            for batch in rest:
                typed = batch.cast(schema)
                sink.add(typed)
                kept += RowsDigest.of(words(typed.column("row")))
    return path, kept


def _delete_all(brought: pads.Dataset, events: Events) -> int:
    deleted = 0
    for batch in brought.to_batches(columns=["record", "subject"], filter=_BROUGHT, batch_size=ROW_GROUP):
        events.add(batch.column("record"), batch.column("subject"), "delete")
        deleted += batch.num_rows
    return deleted
