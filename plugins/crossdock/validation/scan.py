"""The first pass over an extract: transform, type and judge row by row; all cores, a few batches in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Contract
from crossdock.identity import RowsDigest
from crossdock.ordered import in_order
from crossdock.rowhash import row_hashes
from crossdock.validation.inside import run_inside
from crossdock.validation.kernels import all_present
from crossdock.validation.keys import Keys, key_hashes
from crossdock.validation.marks import Marks
from crossdock.validation.plan import Check
from crossdock.validation.typing import cast_batch
from crossdock.validation.whole import ARRIVAL

BATCH_ROWS = 131_072
Transform = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(slots=True, kw_only=True)
class Scanned:
    """What the first pass learnt of an extract.

    `keys` holds, per rule that asks for unique keys, the keys' hashes. `considered` counts, per rule, the rows it could
    be judged on (no value missing); `nulls` counts per column.
    `columns` are those of the batches after the transforms (None: there was no batch).
    `raw_digests` holds one digest per batch of raw rows; None where typed and raw rows are alike, so that hashing them
    once, in the second pass, serves for both.
    """

    marks: Marks = field(default_factory=Marks)
    keys: dict[str, Keys] = field(default_factory=dict)
    considered: dict[str, int] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)
    newest: dict[str, date | datetime] = field(default_factory=dict)
    raw_digests: list[RowsDigest | None] = field(default_factory=list)
    columns: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One batch, judged."""

    typed: pa.RecordBatch
    broken: Mapping[str, pa.BooleanArray]
    considered: Mapping[str, int]
    nulls: Mapping[str, int]
    newest: Mapping[str, date | datetime]
    keys: Mapping[str, tuple[np.ndarray, np.ndarray | None]]
    raw_digest: RowsDigest | None


def raw_batches(extract: pads.Dataset) -> Iterator[pa.RecordBatch]:
    """Yields an extract's rows in order of arrival, in the same batches every time."""
    # One row group at a time: the dataset's own readahead takes a gigabyte.
    for fragment in extract.get_fragments():
        parts = fragment.split_by_row_group() if isinstance(fragment, pads.ParquetFileFragment) else [fragment]
        for part in parts:
            for batch in part.to_batches(schema=extract.schema, batch_size=BATCH_ROWS):
                if batch.num_rows:
                    yield batch


def scan(  # noqa: PLR0913 - what is judged, by what, and where its rows go
    contract: Contract,
    checks: Sequence[Check],
    extract: pads.Dataset,
    *,
    transform: Transform,
    typed_file: Path,
    hashed: bool = True,
) -> Scanned:
    """Judges every row by the checks that need one row only, and writes the typed rows to an Arrow IPC file.

    The file's columns are c0, c1, ... in contract order, and `arrival`. Transforms run one after the other in this
    thread: they are people's own code; typing, kernels and hashing run beside it. Rows that nobody will keep need not
    be hashed.
    """
    scanned = Scanned(
        keys={
            check.rule.id: Keys(typed_file.with_name(f"{n}.keys"))
            for n, check in enumerate(checks)
            if check.scope == "unique"
        },
        considered={check.rule.id: 0 for check in checks},
        nulls={column.name: 0 for column in contract.columns},
    )
    schema = _scratch_schema(contract)

    def judge_pair(pair: tuple[pa.RecordBatch, pa.RecordBatch]) -> _Judged:
        return _judge(contract, checks, pair, hashed=hashed)

    def transformed() -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        for raw in raw_batches(extract):
            batch = transform(raw)
            scanned.columns = scanned.columns or frozenset(batch.schema.names)
            yield raw, batch

    with pa.OSFile(str(typed_file), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for judged in in_order(judge_pair, transformed()):
            start, rows = scanned.marks.rows, judged.typed.num_rows
            arrivals = pa.array(np.arange(start, start + rows, dtype=np.int64))
            writer.write_batch(pa.RecordBatch.from_arrays([*judged.typed.columns, arrivals], schema=schema))
            _add(scanned, judged)
    return scanned


def _judge(
    contract: Contract, checks: Sequence[Check], pair: tuple[pa.RecordBatch, pa.RecordBatch], *, hashed: bool
) -> _Judged:
    raw, transformed = pair
    typed, misfits = cast_batch(transformed, contract)
    broken: dict[str, pa.BooleanArray] = {}
    considered: dict[str, int] = {}
    for check in checks:
        if check.columns:
            mask, considered[check.rule.id] = _run(check, typed, misfits)
            if mask is not None:
                broken[check.rule.id] = mask
    return _Judged(
        typed=typed,
        broken=broken,
        considered=considered,
        nulls={
            name: typed.num_rows - all_present([typed.column(name)]) - misfits[name].true_count
            for name in typed.schema.names
        },
        newest=_newest(typed, checks),
        keys={
            check.rule.id: key_hashes([typed.column(column.name) for column in check.columns])
            for check in checks
            if check.scope == "unique"
        },
        raw_digest=None if not hashed or _alike(raw, typed) else RowsDigest.of(row_hashes(raw)),
    )


def _run(
    check: Check, typed: pa.RecordBatch, misfits: Mapping[str, pa.BooleanArray]
) -> tuple[pa.BooleanArray | None, int]:
    """Returns which rows break the check (None: not to be said row by row), and on how many rows it could be judged.

    A value that does not fit its type is not missing: it breaks the type, and no other rule can be judged on it.
    """
    if check.way:
        return run_inside(check, typed, misfits[check.columns[0].name])
    values = [typed.column(column.name) for column in check.columns]
    misfit, present = misfits[check.columns[0].name], all_present(values)
    if check.scope == "type":
        return misfit, present + misfit.true_count
    if check.kernel is None:
        return None, present
    broken = pc.fill_null(check.kernel(*values), False)
    if check.judges_presence and misfit.true_count:
        broken = pc.and_not(broken, misfit)
    return broken, present


def _alike(raw: pa.RecordBatch, typed: pa.RecordBatch) -> bool:
    """True when both hold the same values in the same columns; a narrower whole number is the same number."""
    if raw.schema.names != typed.schema.names:
        return False
    for before, after in zip(raw.columns, typed.columns, strict=True):
        widened = pa.types.is_signed_integer(before.type) and pa.types.is_int64(after.type)
        if before.type != after.type and not widened:
            return False
        if not (before.cast(pa.int64()) if widened else before).equals(after):
            return False
    return True


def _newest(typed: pa.RecordBatch, checks: Sequence[Check]) -> dict[str, date | datetime]:
    names = {check.columns[0].name for check in checks if check.scope == "freshness"}
    found = {name: pc.max(typed.column(name)).as_py() for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _add(scanned: Scanned, judged: _Judged) -> None:
    scanned.marks.add_batch(judged.typed.num_rows, judged.broken)
    for total, part in ((scanned.considered, judged.considered), (scanned.nulls, judged.nulls)):
        for name, count in part.items():
            total[name] += count
    for name, value in judged.newest.items():
        known = scanned.newest.get(name)
        scanned.newest[name] = value if known is None else max(known, value)
    for rule, (hashes, missing) in judged.keys.items():
        scanned.keys[rule].add(hashes, missing)
    scanned.raw_digests.append(judged.raw_digest)


def _scratch_schema(contract: Contract) -> pa.Schema:
    """Names that DuckDB can't confuse, and nulls allowed: failing rows are still among these."""
    fields = [pa.field(f"c{index}", field.type) for index, field in enumerate(arrow_schema(contract))]
    return pa.schema([*fields, pa.field(ARRIVAL, pa.int64())])
