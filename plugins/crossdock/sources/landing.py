"""Landing: a stream of raw batches becomes one parquet file, counted and digested on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.identity import RowsDigest, file_sha256
from crossdock.rowhash import row_hashes
from crossdock.sources.source import Pulled

ROW_GROUP = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A frozen extract on local disk; `sha256` names its content, `digest` reconciles its rows later."""

    path: Path
    rows: int
    sha256: str
    digest: RowsDigest


def land(pulled: Pulled, path: Path) -> Landed:
    """Writes everything pulled to one zstd parquet file at `path`, in arrival order, one batch in memory at a time."""
    digest = RowsDigest()
    with pq.ParquetWriter(path, pulled.schema, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in pulled.batches:
            digest += RowsDigest.of(row_hashes(batch))
            waiting.append(batch)
            if sum(b.num_rows for b in waiting) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting, pulled.schema), row_group_size=ROW_GROUP)
                waiting = []
        writer.write_table(pa.Table.from_batches(waiting, pulled.schema), row_group_size=ROW_GROUP)
    return Landed(path=path, rows=digest.rows, sha256=file_sha256(path), digest=digest)
