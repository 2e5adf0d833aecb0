"""Files put together from columns: byte for byte the file that Arrow writes of all columns at once."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossdock.delivery.columns import ColumnSinks, join
from crossdock.delivery.files import ROW_GROUP, ParquetSink
from crossdock.errors import Permanent

ROWS = 2 * ROW_GROUP + 77
TABLE = pa.table(
    {
        "id": pa.array(np.arange(ROWS)).cast(pa.string()),
        "few": pa.array(np.arange(ROWS) % 3).cast(pa.string()),
        "价": pa.array(np.arange(ROWS)).cast(pa.decimal128(21, 2)),
        "at": pa.array(np.arange(ROWS), pa.timestamp("us", "UTC")),
        "nothing": pa.nulls(ROWS, pa.date32()),
        "objects": pa.array([{"a": n % 5, "b": [str(n)] * (n % 3)} if n % 7 else None for n in range(ROWS)]),
    }
)


def together(folder, table, *, piece, random=frozenset()):
    with ColumnSinks(folder / "columns", table.schema, random) as sinks:
        for batch in table.to_batches(piece):
            sinks.add(batch)
    join(list(sinks.paths.values()), table.schema, folder / "joined.parquet")
    return folder / "joined.parquet"


@pytest.mark.parametrize("rows", [0, 1, ROW_GROUP, ROWS])
def test_columns_make_the_file_that_arrow_makes(tmp_path, rows):
    table = TABLE.slice(0, rows)
    joined = together(tmp_path, table, piece=50_001)
    with ParquetSink(tmp_path / "whole.parquet", table.schema) as sink:
        for batch in table.to_batches(50_001):
            sink.add(batch)
    assert joined.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert pq.read_table(joined).equals(table)


@pytest.mark.parametrize("random", [frozenset(), frozenset({"id"})])
def test_other_readers_read_them(tmp_path, random):
    joined = together(tmp_path, TABLE, piece=ROW_GROUP, random=random)
    encodings = pq.read_metadata(joined).row_group(0).column(0).encodings
    assert ("DELTA_LENGTH_BYTE_ARRAY" in encodings) == bool(random)
    assert pl.read_parquet(joined)["id"].to_list() == TABLE["id"].to_pylist()
    (found,) = (
        duckdb.read_parquet(str(joined)).aggregate("count(*), count(DISTINCT id), sum(价), sum(objects.a)").fetchall()
    )
    objects = sum(row["a"] for row in TABLE["objects"].to_pylist() if row)
    assert found == (ROWS, ROWS, sum(range(ROWS)), objects)


def test_columns_of_other_rows_are_no_file(tmp_path):
    paths = []
    for name, rows in (("a", 3), ("b", 4)):
        pq.write_table(pa.table({name: range(rows)}), tmp_path / name)
        paths.append(tmp_path / name)
    with pytest.raises(Permanent, match="other rows"):
        join(paths, pa.schema({"a": pa.int64(), "b": pa.int64()}), tmp_path / "out")


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no parquet file at all", b"\0" * 8 + b"PAR1"])
def test_what_is_no_parquet_file_is_told(tmp_path, damage):
    (tmp_path / "a").write_bytes(damage)
    with pytest.raises(Permanent, match="parquet"):
        join([tmp_path / "a"], pa.schema({"a": pa.int64()}), tmp_path / "out")
