"""Parquet footers: read and written back to the byte, and nothing hostile gets further than an error."""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossdock.delivery.thrift import BINARY, DOUBLE, I32, I64, LIST, STRUCT, TRUE, read_struct, write_struct
from crossdock.errors import Permanent

TABLE = pa.table(
    {
        "text": ["a", None, "长"],
        "number": [1, -(2**63), 2**63 - 1],
        "nested": pa.array([{"a": [1, None]}, None, {"a": []}]),
        "map": pa.array([[("k", 1.5)], None, []], pa.map_(pa.string(), pa.float64())),
        **{f"column {n}": [True, None, False] for n in range(20)},
    }
)
VALUES = st.deferred(
    lambda: (
        st.tuples(st.just(TRUE), st.just(True))
        | st.tuples(st.just(I32), st.integers(-(2**31), 2**31 - 1))
        | st.tuples(st.just(I64), st.integers(-(2**63), 2**63 - 1))
        | st.tuples(st.just(DOUBLE), st.binary(min_size=8, max_size=8))
        | st.tuples(st.just(BINARY), st.binary(max_size=200))
        | st.tuples(st.just(LIST), st.tuples(st.just(I64), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20)))
        | st.tuples(st.just(LIST), st.tuples(st.just(TRUE), st.lists(st.integers(1, 2), max_size=20)))
        | st.tuples(st.just(STRUCT), STRUCTS)
    )
)
STRUCTS = st.dictionaries(st.integers(1, 2000), VALUES, max_size=4)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
@pytest.mark.parametrize("rows", [1, 3, 100_000])
def test_arrows_footers_come_back_to_the_byte(tmp_path, rows, compression):
    table = pa.concat_tables([TABLE] * (rows // 3 + 1))
    pq.write_table(table, tmp_path / "t.parquet", compression=compression, row_group_size=1000, write_page_index=True)
    data = (tmp_path / "t.parquet").read_bytes()
    (size,) = struct.unpack("<I", data[-8:-4])
    footer = data[-8 - size : -8]
    assert write_struct(read_struct(footer)) == footer


@given(value=STRUCTS)
def test_what_is_written_is_read(value):
    assert read_struct(write_struct(value)) == value


@given(data=st.binary(max_size=60))
@example(data=b"\x1c" * 5000)  # a struct in a struct in a struct
@example(data=b"\x19\xf5" + b"\xff" * 9 + b"\x01")  # a list of more items than there are bytes
def test_whatever_the_bytes_are_it_is_a_struct_or_an_error(data):
    try:
        found = read_struct(data)
    except Permanent:
        return
    assert isinstance(found, dict)
