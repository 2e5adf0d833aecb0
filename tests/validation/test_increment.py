"""How an incremental extract joins the snapshot before it, whatever its columns hold."""

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.validation.increment import RowIdentity, merge_increment

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("address", pa.struct([("city", pa.string()), ("tags", pa.list_(pa.string()))])),
        ("sizes", pa.map_(pa.string(), pa.decimal128(4, 1))),
    ]
)


def rows(*keys):
    return [{"id": key, "address": {"city": key, "tags": ["x", None]}, "sizes": [("a", None)]} for key in keys]


def test_nested_values_of_both_are_merged_as_they_are(tmp_path):
    base = pads.dataset(pa.Table.from_pylist(rows("a", "b"), SCHEMA))
    pq.write_table(
        pa.Table.from_pylist([{**rows("b")[0], "address": None}, *rows("c")], SCHEMA), tmp_path / "new.parquet"
    )
    merged, digest = merge_increment(base, tmp_path / "new.parquet", SCHEMA, RowIdentity(key=("id",)))
    table = pq.read_table(merged)
    assert table.schema == SCHEMA
    assert table.to_pylist() == [rows("a")[0], {**rows("b")[0], "address": None}, rows("c")[0]]
    assert digest.rows == 3
