"""The second pass: every row is written to the snapshot or to quarantine, and both together are all that arrived."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.columnar import few_values
from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Contract
from crossdock.errors import LedgerBroken
from crossdock.fingerprints import Fingerprinting, Fingerprints
from crossdock.identity import RowsDigest
from crossdock.ordered import in_order
from crossdock.rowhash import row_hashes
from crossdock.validation.quarantine import Failing, quarantine_schema, quarantined_rows
from crossdock.validation.scan import BATCH_ROWS, Scanned, raw_batches


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where the rows went: digests of the rows as they arrived, and of the accepted ones as they are typed."""

    accepted_file: Path | None
    quarantine_file: Path | None
    accepted: RowsDigest
    quarantined: RowsDigest
    snapshot: RowsDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    number: int
    typed: pa.RecordBatch  # in the contract's schema
    raw: pa.RecordBatch | None  # None when no row of the extract fails


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parted:
    accepted: pa.RecordBatch
    quarantined: pa.RecordBatch | None
    accepted_digest: RowsDigest  # as they arrived
    quarantined_digest: RowsDigest  # as they arrived
    snapshot_digest: RowsDigest  # the accepted ones, typed
    prints: Fingerprints | None  # of the accepted ones, typed, if somebody wants them


def split(  # noqa: PLR0913 - a second pass needs all that the first one found
    contract: Contract,
    extract: pads.Dataset,
    typed_file: Path,
    scanned: Scanned,
    failing: Failing,
    *,
    prints: Fingerprinting | None = None,
) -> Split:
    """Writes accepted.parquet (unless the extract is rejected) and, when rows fail, quarantine.parquet.

    Args:
        contract: gives the snapshot its schema, and the quarantined rows the contract's version.
        extract: the raw rows; read again only when some of them fail and typing changed them.
        typed_file: the typed rows, as the scan wrote them; the results are written beside it.
        scanned: what the first pass learnt.
        failing: which rows fail, and why.
        prints: takes the fingerprints of the accepted rows, if somebody wants them.

    Raises:
        LedgerBroken: the files do not hold all rows exactly once.
    """
    accepted_file = None if failing.of_extract else typed_file.with_name("accepted.parquet")
    any_fails = any(failing.rows(batch).any() for batch in range(scanned.marks.batches))
    quarantine_file = typed_file.with_name("quarantine.parquet") if any_fails else None
    schema = arrow_schema(contract)
    accepted = quarantined = snapshot = RowsDigest()

    def part(batch: _Batch) -> _Parted:
        return _part(batch, contract.version, failing, scanned.raw_digests[batch.number], prints)

    with ExitStack() as stack:
        typed = stack.enter_context(pa.ipc.open_file(stack.enter_context(pa.OSFile(str(typed_file)))))
        accepting = stack.enter_context(_Sink(accepted_file, schema, _few_values(typed, schema)))
        setting_aside = stack.enter_context(_Sink(quarantine_file, quarantine_schema(extract.schema)))
        batches = _batches(typed, schema, extract if any_fails else None, scanned)
        for parted in in_order(part, batches, beside=1):
            accepting.add(parted.accepted)
            if prints and parted.prints is not None:
                prints.add(parted.prints)
            if parted.quarantined is not None:
                setting_aside.add(parted.quarantined)
            accepted += parted.accepted_digest
            quarantined += parted.quarantined_digest
            snapshot += parted.snapshot_digest
    result = Split(
        accepted_file=accepted_file,
        quarantine_file=quarantine_file,
        accepted=accepted,
        quarantined=quarantined,
        snapshot=snapshot,
    )
    _check_written(result, (accepting.rows, setting_aside.rows), contract)
    return result


def _part(
    batch: _Batch, version: str, failing: Failing, raw_digest: RowsDigest | None, prints: Fingerprinting | None
) -> _Parted:
    fails = failing.rows(batch.number)
    accepted, quarantined = batch.typed, None
    if batch.raw is not None and fails.any():
        accepted = batch.typed.filter(pa.array(~fails))
        quarantined = quarantined_rows(batch.raw, batch.number, failing, version)
    if raw_digest is None:  # typed and raw rows are alike
        all_hashes = row_hashes(batch.typed)
        hashes = all_hashes[~fails]
        kept = RowsDigest.of(hashes)
        digests = (kept, RowsDigest.of(all_hashes[fails]), kept)
    else:
        set_aside = (
            RowsDigest.of(row_hashes(batch.raw.filter(pa.array(fails))))
            if quarantined is not None and batch.raw is not None
            else RowsDigest()
        )
        hashes = row_hashes(accepted)
        digests = (raw_digest - set_aside, set_aside, RowsDigest.of(hashes))
    return _Parted(
        accepted=accepted,
        quarantined=quarantined,
        accepted_digest=digests[0],
        quarantined_digest=digests[1],
        snapshot_digest=digests[2],
        prints=prints.of(accepted, hashes) if prints and len(hashes) == accepted.num_rows else None,
    )


def _batches(
    typed: pa.ipc.RecordBatchFileReader, schema: pa.Schema, extract: pads.Dataset | None, scanned: Scanned
) -> Iterator[_Batch]:
    """Pairs typed batches with the raw ones of the same rows (None without an extract)."""
    loose = pa.schema([field.with_nullable(True) for field in schema])
    reread = extract is not None and any(digest is not None for digest in scanned.raw_digests)
    raw_ones = raw_batches(extract) if extract is not None and reread else iter(())
    for number in range(typed.num_record_batches):
        batch = pa.RecordBatch.from_arrays(typed.get_batch(number).columns[: len(schema)], schema=loose)
        raw = next(raw_ones, None)
        if reread and (raw is None or raw.num_rows != scanned.marks.size(number)):
            raise LedgerBroken(
                "The extract does not hold the same rows when it is read a second time.",
                where=f"batch {number}",
                fix="An extract must never be written to. Pull it again.",
            )
        if extract is not None and not reread:
            raw = batch.cast(extract.schema)  # narrower numbers become narrow again
        yield _Batch(number=number, typed=batch, raw=raw)


class _Sink:
    """Writes batches to a parquet file (None: nowhere) in row groups of about even size, and counts what it wrote."""

    def __init__(self, path: Path | None, schema: pa.Schema, few_values: list[str] | None = None) -> None:
        self.rows = 0
        self._path, self._schema = path, schema
        self._few: list[str] | bool = few_values or few_values is None
        self._waiting: list[pa.RecordBatch] = []
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        if self._path:
            # The least and greatest of many texts help nobody to skip rows, and cost a tenth of the writing.
            numbers = [field.name for field in self._schema if pa.types.is_primitive(field.type)]
            self._writer = pq.ParquetWriter(
                self._path,
                self._schema,
                compression="zstd",
                use_dictionary=self._few,
                write_statistics=self._few if self._few is True else [*(self._few or ()), *numbers],
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._writer is not None:
            try:
                if kind is None:
                    self._flush(self._writer)
            finally:
                self._writer.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows."""
        if self._writer is not None:
            self._waiting.append(batch)
            # Half a batch is enough: waiting for a whole one after some rows failed leaves the other cores idle.
            if 2 * sum(waiting.num_rows for waiting in self._waiting) > BATCH_ROWS:
                self._flush(self._writer)

    def _flush(self, writer: pq.ParquetWriter) -> None:
        table = pa.Table.from_batches(self._waiting, self._waiting[0].schema if self._waiting else self._schema)
        # The cast is what refuses a null in a required column.
        writer.write_table(table.cast(self._schema), row_group_size=BATCH_ROWS)
        self.rows += table.num_rows
        self._waiting = []


def _few_values(typed: pa.ipc.RecordBatchFileReader, schema: pa.Schema) -> list[str]:
    if not typed.num_record_batches:
        return []
    return few_values(typed.get_batch(0).select(range(len(schema))).rename_columns(schema.names))


def _check_written(result: Split, written: tuple[int, int], contract: Contract) -> None:
    due = (result.accepted.rows, result.quarantined.rows)
    nothing_left = result.accepted.rows or result.accepted == result.snapshot == RowsDigest()
    if written != due or result.snapshot.rows != result.accepted.rows or not nothing_left:
        raise LedgerBroken(
            f"{written[0]} rows were written as accepted and {written[1]} as quarantined, where "
            f"{due[0]} and {due[1]} were due, or their digests differ.",
            where=contract.id,
            fix="This is a defect of the validation engine; nothing was recorded.",
        )
