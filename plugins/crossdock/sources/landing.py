"""Landing: a stream of raw batches becomes one parquet file, counted and digested on the way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.columnar import few_values, worth_bounds
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
    """Writes everything pulled to one zstd parquet file at `path`, in arrival order; holds three row groups at most."""
    digest = RowsDigest()
    with closing(_Sink(path, pulled.schema)) as sink, ThreadPoolExecutor(1, thread_name_prefix="crossdock") as beside:
        under_way: Future[RowsDigest] | None = None
        for rows in _row_groups(pulled):  # read here while the last ones are written there
            if under_way:
                digest += under_way.result()
            under_way = beside.submit(sink.add, rows)
        if under_way:
            digest += under_way.result()
    return Landed(path=path, rows=digest.rows, sha256=file_sha256(path), digest=digest)


def _row_groups(pulled: Pulled) -> Iterator[pa.Table]:
    """Yields rows in row groups; at least one, which may be empty."""
    waiting: list[pa.RecordBatch] = []
    for batch in pulled.batches:
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= ROW_GROUP:
            yield pa.Table.from_batches(waiting, pulled.schema)
            waiting = []
    yield pa.Table.from_batches(waiting, pulled.schema)


class _Sink:
    """Writes and digests tables; how columns are encoded is settled by the first."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> RowsDigest:
        if self._writer is None:
            few = few_values(rows)
            bounds = worth_bounds(self._schema, few)
            self._writer = pq.ParquetWriter(
                self._path, self._schema, compression="zstd", use_dictionary=few, write_statistics=bounds
            )
        self._writer.write_table(rows, row_group_size=ROW_GROUP)
        return RowsDigest.of(row_hashes(rows))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
