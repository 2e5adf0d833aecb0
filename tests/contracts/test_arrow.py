import pyarrow as pa
import pytest

from crossdock.contracts.arrow import arrow_schema, arrow_type
from drafts import contract, read


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"logicalType": "string"}, pa.string()),
        ({"logicalType": "integer"}, pa.int64()),
        ({"logicalType": "number"}, pa.float64()),
        ({"logicalType": "number", "physicalType": "decimal(12,2)"}, pa.decimal128(12, 2)),
        ({"logicalType": "number", "physicalType": "numeric(5)"}, pa.decimal128(5, 0)),
        ({"logicalType": "boolean"}, pa.bool_()),
        ({"logicalType": "date"}, pa.date32()),
        ({"logicalType": "timestamp"}, pa.timestamp("us")),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}}, pa.timestamp("us", tz="UTC")),
        ({"logicalType": "time"}, pa.time64("us")),
    ],
)
def test_each_logical_type_has_one_arrow_type(tmp_path, given, expected):
    assert arrow_type(read(tmp_path, contract([{"name": "x", **given}])).columns[0]) == expected


def test_a_schema_keeps_the_contracts_order_and_what_must_be_filled(tmp_path):
    columns = [{"name": n, "logicalType": "string", "required": n == "b"} for n in ("c", "b", "a")]
    schema = arrow_schema(read(tmp_path, contract(columns)))
    assert [(field.name, field.nullable) for field in schema] == [("c", True), ("b", False), ("a", True)]
