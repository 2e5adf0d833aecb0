"""The Arrow types that a contract's columns have once they are validated."""

from __future__ import annotations

import pyarrow as pa

from crossdock.contracts.model import Column, Contract

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
    return _PLAIN[column.type]


def arrow_schema(contract: Contract) -> pa.Schema:
    """Returns the schema of a contract's snapshots, in contract order; required columns are not nullable."""
    return pa.schema([pa.field(c.name, arrow_type(c), nullable=not c.required) for c in contract.columns])
