"""Incremental extracts: where the last one ended, and how its rows join the snapshot before it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

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


def merge_increment(
    base: pads.Dataset, increment: Path, key: tuple[str, ...], schema: pa.Schema
) -> tuple[Path, RowsDigest]:
    """Writes base rows whose key the increment does not hold, then the increment's rows; returns file and row digest.

    Keys are never null here: primary-key columns are required. The merged file stands beside the increment.
    """
    fresh = pq.read_table(increment, columns=list(key))
    merged = increment.with_name("merged.parquet")
    digest = RowsDigest()
    same = " AND ".join(f"b.{name} = f.{name}" for name in map(_quoted, key))
    with duckdb.connect() as database, pq.ParquetWriter(merged, schema, compression="zstd") as writer:
        database.register("fresh", fresh)
        for source in (base, pads.dataset(increment, format="parquet")):
            for batch in source.to_batches(batch_size=ROW_GROUP):
                kept = batch
                if source is base:
                    database.register("base", pa.table(batch))
                    query = f"SELECT b.* FROM base b ANTI JOIN fresh f ON {same}"  # noqa: S608 - quoted names only
                    kept = database.sql(query).to_arrow_table().cast(schema)
                    database.unregister("base")
                if kept.num_rows:
                    table = pa.table(kept).cast(schema)
                    digest += RowsDigest.of(row_hashes(table))
                    writer.write_table(table, row_group_size=ROW_GROUP)
    return merged, digest


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
