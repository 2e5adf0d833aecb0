"""Incremental extracts: where the last one ended, and how its rows join the snapshot before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.fingerprints import Fingerprinting
from crossdock.identity import RowsDigest
from crossdock.rowhash import row_hashes

ROW_GROUP = 131_072


def newest(snapshot: pads.Dataset, column: str) -> str | None:
    """Returns a column's largest value as text (ISO 8601 for dates and timestamps); None when there is no value."""
    largest = None
    for batch in snapshot.to_batches(columns=[column]):
        value = pc.max(batch.column(0)).as_py()
        if value is not None and (largest is None or value > largest):
            largest = value
    if isinstance(largest, date | datetime):
        return largest.isoformat()
    return None if largest is None else str(largest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowIdentity:
    """By which columns a row of a snapshot is known, and which of two rows is the newer one ("": the one that comes)."""

    key: tuple[str, ...]
    watermark: str = ""

    def of(self, rows: pa.RecordBatch | pa.Table) -> pa.Table:
        """Returns the key as k0, k1, ..., the watermark as w, and each row's place as n."""
        columns = {f"k{index}": rows.column(name) for index, name in enumerate(self.key)}
        newest = rows.column(self.watermark) if self.watermark else pa.nulls(rows.num_rows)
        return pa.table({**columns, "w": newest, "n": np.arange(rows.num_rows)})


def merge_increment(
    base: pads.Dataset,
    increment: Path,
    schema: pa.Schema,
    identity: RowIdentity,
    prints: Fingerprinting | None = None,
) -> tuple[Path, RowsDigest]:
    """Writes the base's rows and the increment's, of one key the newer one; returns file and row digest.

    Keys are never null here: primary-key columns are required. The merged file stands beside the increment. Of two rows
    with the same watermark the increment's is taken. `prints` takes fingerprints of what is written.
    """
    columns = [*identity.key, *([identity.watermark] if identity.watermark else [])]
    fresh = identity.of(pq.read_table(increment, columns=columns))
    stale = np.zeros(fresh.num_rows, np.bool_)
    merged = increment.with_name("merged.parquet")
    digest = RowsDigest()
    same = " AND ".join(f"b.k{index} = f.k{index}" for index in range(len(identity.key)))
    query = (
        f"SELECT b.n AS old, f.n AS new, coalesce(f.w >= b.w, b.w IS NULL) AS newer FROM base b JOIN fresh f ON {same}"  # noqa: S608 - our own names only
    )
    with duckdb.connect() as database, pq.ParquetWriter(merged, schema, compression="zstd") as writer:

        def write(rows: pa.RecordBatch) -> RowsDigest:
            table = pa.table(rows).cast(schema)
            writer.write_table(table, row_group_size=ROW_GROUP)
            hashes = row_hashes(table)
            if prints:
                prints.add(prints.of(table, hashes))
            return RowsDigest.of(hashes)

        if prints:
            prints.begin()

        database.register("fresh", fresh)
        for batch in base.to_batches(batch_size=ROW_GROUP):
            database.register("base", identity.of(batch))
            pairs = database.sql(query).fetchnumpy()
            kept = np.ones(batch.num_rows, np.bool_)
            kept[pairs["old"][pairs["newer"]]] = False
            stale[pairs["new"][~pairs["newer"]]] = True
            digest += write(batch.filter(pa.array(kept)))
        start = 0
        for batch in pads.dataset(increment, format="parquet").to_batches(batch_size=ROW_GROUP):
            digest += write(batch.filter(pa.array(~stale[start : start + batch.num_rows])))
            start += batch.num_rows
    return merged, digest
