"""The Arrow types that a contract's columns have once they are validated."""

from __future__ import annotations

import pyarrow as pa

from crossdock.contracts.model import NESTED, Column, Contract

_PLAIN = {
    "string": pa.string(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
}


def arrow_type(column: Column) -> pa.DataType:
    """Returns a column's type: exact decimals where the contract gives precision and scale, microseconds for instants."""
    if column.type == "number":
        exact = column.precision is not None
        return pa.decimal128(column.precision, column.scale or 0) if exact else pa.float64()
    if column.type == "timestamp":
        return pa.timestamp("us", tz="UTC" if column.timezone else None)
    return _nested_type(column) if column.type in NESTED else _PLAIN[column.type]


def _nested_type(column: Column) -> pa.DataType:
    """Returns structs, lists and maps, in which all may be null; JSON text for what has no form."""
    inside = [pa.field(child.field, arrow_type(child)) for child in column.children]
    if not inside:
        return pa.string()
    if column.type == "object":
        return pa.struct(inside)
    if column.type == "array":
        return pa.list_(inside[0].with_name("element"))
    return pa.map_(inside[0].type, inside[1].type)


def arrow_schema(contract: Contract) -> pa.Schema:
    """Returns the schema of a contract's snapshots, in contract order; required columns are not nullable."""
    return pa.schema([pa.field(c.name, arrow_type(c), nullable=not c.required) for c in contract.columns])
