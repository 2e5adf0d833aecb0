"""Delivered files: steady bytes, and text formats that can be read back exactly."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.delivery.files import ROW_GROUP, ParquetSink, encode
from delivery.samples import SCHEMA, person

TEXT = pa.schema([("a", pa.string()), ("b", pa.string())])


def write(path, rows, schema=TEXT):
    table = pa.Table.from_pylist(rows, schema)
    with ParquetSink(path, schema) as sink:
        for batch in table.to_batches():
            sink.add(batch)
    return path


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(0, ROW_GROUP), min_size=1, max_size=6))
def test_row_groups_are_batches_or_several_small_ones(tmp_path_factory, sizes):
    folder = tmp_path_factory.mktemp("sink")
    whole = pa.table({"a": pa.array(range(sum(sizes))), "b": pa.array([str(i % 97) for i in range(sum(sizes))])})
    ends = np.cumsum(sizes).tolist()
    pieces = [
        batch
        for end, size in zip(ends, sizes, strict=True)
        for batch in whole.slice(end - size, size).combine_chunks().to_batches()
    ]
    for name in ("one", "other"):
        with ParquetSink(folder / name, whole.schema) as sink:
            for piece in pieces:
                sink.add(piece)
        assert sink.rows == sum(sizes)
    assert (folder / "one").read_bytes() == (folder / "other").read_bytes()
    assert pq.read_table(folder / "one").equals(whole)
    metadata = pq.read_metadata(folder / "one")
    groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert all(ROW_GROUP // 2 <= rows <= 3 * ROW_GROUP // 2 for rows in groups[:-1])
    assert {sum(groups[: n + 1]) for n in range(len(groups))} <= {0, *ends}


def test_an_interrupted_sink_is_no_complete_file(tmp_path):
    def interrupted():
        with ParquetSink(tmp_path / "x", TEXT) as sink:
            sink.add(pa.RecordBatch.from_pylist([{"a": "1", "b": "2"}], TEXT))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert not (tmp_path / "x").exists()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries({"a": st.text().filter(lambda t: "\x00" not in t), "b": st.just("end")}), min_size=1
    )
)
def test_csv_and_json_lines_read_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("text")
    path = write(folder / "rows.parquet", rows)
    with encode(path, "csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [r["a"].removeprefix("'") if r["a"].startswith("'") else r["a"] for r in read] == [r["a"] for r in rows]
    assert not any(r["a"].startswith(tuple("=+-@＝＋－＠\t\r\n")) for r in read)
    lines = encode(path, "jsonl").read_bytes().decode().split("\n")
    assert [json.loads(line) for line in lines if line] == rows


def test_csv_tells_null_from_empty(tmp_path):
    path = write(tmp_path / "rows.parquet", [{"a": None, "b": ""}, {"a": "", "b": None}])
    assert encode(path, "csv").read_text() == '"a","b"\n,""\n"",\n'


def test_every_type_has_a_text_form(tmp_path):
    path = write(tmp_path / "rows.parquet", [person(1), dict.fromkeys(SCHEMA.names) | {"resident_id": "x"}], SCHEMA)
    first = encode(path, "csv").read_text().splitlines()[1]
    assert first == (
        '"520103199001000001","姓名1","13800000001",1990-01-02,"520103",1.50,1,1.51,true,'
        "2026-01-01 08:01:00.000000Z,2026-01-01 08:00:00.000123,08:30:00.000000"
    )
    line = json.loads(encode(path, "jsonl").read_text().splitlines()[0])
    assert line["income"] == "1.50"
    assert line["updated_at"] == "2026-01-01T08:01:00+00:00"
    assert line["height"] == 1.51


def test_numbers_that_json_has_not_are_text(tmp_path):
    schema = pa.schema([("f", pa.float64())])
    path = write(tmp_path / "rows.parquet", [{"f": float("nan")}, {"f": float("-inf")}], schema)
    assert encode(path, "jsonl").read_text() == '{"f": "nan"}\n{"f": "-inf"}\n'


NESTED = pa.schema(
    [
        ("id", pa.string()),
        ("who", pa.struct([("name", pa.string()), ("paid", pa.decimal128(5, 2)), ("on", pa.date32())])),
        ("tags", pa.list_(pa.string())),
        ("sizes", pa.map_(pa.string(), pa.decimal128(4, 1))),
    ]
)
ONE = {
    "id": "1",
    "who": {"name": "=1", "paid": Decimal("1.50"), "on": date(2026, 1, 31)},
    "tags": ["a", None],
    "sizes": [("a", Decimal("2.0"))],
}
NOTHING = dict.fromkeys(NESTED.names)
IN_JSON = {
    "id": "1",
    "who": {"name": "=1", "paid": "1.50", "on": "2026-01-31"},
    "tags": ["a", None],
    "sizes": {"a": "2.0"},
}


def test_nested_values_are_themselves_in_parquet_and_json_lines(tmp_path):
    path = write(tmp_path / "rows.parquet", [ONE, NOTHING], NESTED)
    assert pq.read_table(path).to_pylist() == [ONE, NOTHING]
    lines = encode(path, "jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [IN_JSON, NOTHING]


def test_nested_values_are_json_text_in_csv(tmp_path):
    path = write(tmp_path / "rows.parquet", [ONE, NOTHING], NESTED)
    header, first, second = csv.reader(encode(path, "csv").read_text("utf-8").splitlines())
    found = dict(zip(header, first, strict=True))
    assert {name: json.loads(text) for name, text in found.items() if name != "id"} | {"id": "1"} == IN_JSON
    assert second == ["", "", "", ""]
