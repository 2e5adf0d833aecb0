"""Files: what stands in them arrives as it stands there, or not at all."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.connections import Connection
from crossdock.errors import SourceInvalid, SourceUnavailable
from crossdock.sources.files import file_columns, pull, read_file
from crossdock.sources.landing import land
from crossdock.sources.source import read
from sources.made import column, contract, folder, rows, table

AB = contract("a", "b")


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def content(tmp_path: Path, name: str, data: bytes | str, made=AB) -> list[dict[str, object]]:
    return rows(read_file(write(tmp_path / name, data), made))


# --- CSV and TSV ---


def test_csv_keeps_zeros_long_numbers_blanks_and_tells_null_from_empty(tmp_path):
    assert content(
        tmp_path, "x.csv", 'a,b\n007,12345678901234567890\n,""\n" x ",NULL\n"a ""quoted"", b","two\nlines"\n'
    ) == [
        {"a": "007", "b": "12345678901234567890"},
        {"a": None, "b": ""},
        {"a": " x ", "b": "NULL"},
        {"a": 'a "quoted", b', "b": "two\nlines"},
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\r")) | st.none()] * 2), max_size=8),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"]),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_csv_round_trip(tmp_path, values, encoding, delimiter):
    def cell(value: str | None) -> str:
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    text = "".join(delimiter.join(map(cell, row)) + "\n" for row in [("a", "b"), *values])
    made = contract("a", "b", encoding=encoding, delimiter=delimiter)
    assert content(tmp_path, "x.csv", text.encode(encoding), made) == [{"a": a, "b": b} for a, b in values]


def test_columns_come_in_contract_order_under_contract_names(tmp_path):
    made = contract(column("id", source_name="sfzh"), column("name", source_name="xm"), "gone", "here")
    pulled = read_file(write(tmp_path / "x.csv", "here,other,name,sfzh\n1,2,3,4\n"), made)
    assert (pulled.missing, pulled.extra) == (("gone",), ("other",))
    assert rows(pulled) == [{"id": "4", "name": "3", "here": "1"}]


def test_a_source_name_goes_before_the_same_contract_name(tmp_path):
    made = contract(column("x", source_name="y"), column("y", source_name="z"))
    assert content(tmp_path, "x.csv", "y,z\n1,2\n", made) == [{"x": "1", "y": "2"}]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_blank_lines_and_a_missing_last_one(tmp_path, ending):
    assert content(tmp_path, "x.csv", ending.join(["", "a,b", "1,2", "", "3,4"])) == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "4"},
    ]


@pytest.mark.parametrize("data", ["a,b", "a,b\n", "a,b\r\n", "a,b\n\n"])
def test_a_header_alone_is_no_row(tmp_path, data):
    assert content(tmp_path, "x.csv", data) == []


def test_tsv_by_its_name(tmp_path):
    assert content(tmp_path, "x.tsv", "a\tb\n1,2\t3\n") == [{"a": "1,2", "b": "3"}]


SECRET = "520102199001011234"


@pytest.mark.parametrize(
    ("data", "made", "message"),
    [
        (f"a,b\n1,2\n{SECRET}\n", AB, r"Line 3 has 1 values, the header has 2"),
        (f"a,b\n1,2\n3,{SECRET},5\n", AB, r"Line 3 has 3 values"),
        (f'a,b\n1,"{SECRET}\n', AB, r"quote is not closed"),
        (f'a,b\n1,2\n3,"{SECRET}', AB, r"quote is not closed"),
        (f'a,b\n1,"2\n{SECRET},4\n', AB, r"quote is not closed|has \d values"),
        ("", AB, "no header line"),
        ("\n\n", AB, "no header line"),
        ("a,b,a\n1,2,3\n", AB, "Column 'a' stands twice"),
        (f"{SECRET},x\n1,2\n", AB, "None of its 2 columns"),
        (b"a,b\n1,2\n" + "张三,x\n".encode("gb18030"), AB, r"Byte 8 \(line 3\) is not utf-8"),
        (f"a,b\n{'张三'},李四\n", contract("a", "b", encoding="gb18030"), "declares gb18030, but the file is UTF-8"),
        ("a,b\n", contract("a", "b", encoding="klingon"), "no encoding 'klingon'"),
        ("a,b\n", contract("a", "b", encoding="base64"), "no encoding 'base64'"),
        ("a,b\n", contract("a", "b", delimiter="::"), "delimiter must be one"),
        ("a,b\n1,2".encode("utf-16")[:-1], contract("a", "b", encoding="utf-16"), "is not utf-16"),
    ],
)  # fmt: skip
def test_what_is_no_csv_is_refused_without_a_value_in_the_error(tmp_path, data, made, message):
    with pytest.raises(SourceInvalid, match=message) as caught:
        content(tmp_path, "x.csv", data, made)
    assert SECRET not in repr(caught.value)
    assert "x.csv" in str(caught.value)


def test_a_wrong_byte_far_into_the_file_is_placed(tmp_path):
    data = b"a,b\n" + b"1,2\n" * 700_000 + b"\xff,2\n"
    with pytest.raises(SourceInvalid, match=rf"Byte {4 * 700_001} \(line 700002\)"):
        content(tmp_path, "x.csv", data)


def test_a_character_across_two_reads_and_an_error_after_it(tmp_path):
    data = b"a,b\n" + b"1" * ((1 << 20) - 5) + "中".encode() + b",2\n\xff,2\n"
    with pytest.raises(SourceInvalid, match=rf"Byte {data.index(0xFF)} \(line 3\)"):
        content(tmp_path, "x.csv", data)


def test_short_gb18030_text_that_passes_for_utf8_is_read(tmp_path):
    made = contract("a", "b", encoding="gb18030")
    assert content(tmp_path, "x.csv", "a,b\n联通,联通\n".encode("gb18030"), made) == [{"a": "联通", "b": "联通"}]


# --- packed ---


def packed(name: str, data: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(data)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.csv", data)
        archive.writestr("__MACOSX/._inner.csv", b"noise")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["x.csv.gz", "x.csv.zip", "X.CSV.ZIP"])
def test_packed_files_are_unpacked_and_damage_is_seen(tmp_path, name):
    data = b"a,b\n" + b"1,2\n" * 50_000
    whole = packed(name.lower(), data)
    assert len(content(tmp_path, name, whole)) == 50_000
    with pytest.raises(SourceInvalid, match="damaged or cut off"):
        content(tmp_path, name, whole[: len(whole) // 2])


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"no zip", lambda whole: whole[7:], lambda whole: whole.replace("表".encode(), b"\xff\xfe\xfd")],
)
def test_an_archive_that_is_none_is_refused(tmp_path, damage):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("表.csv", "a,b\n1,2\n" * 2)
    assert len(content(tmp_path, "x.csv.zip", buffer.getvalue())) == 3
    with pytest.raises(SourceInvalid, match="damaged or cut off"):
        content(tmp_path, "x.csv.zip", damage(buffer.getvalue()))


def test_an_archive_of_two_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.csv.zip", "w") as archive:
        archive.writestr("1.csv", "a,b\n")
        archive.writestr("2.csv", "a,b\n")
    with pytest.raises(SourceInvalid, match="holds 2 files"):
        read_file(tmp_path / "x.csv.zip", AB)


# --- JSON ---


def test_json_numbers_keep_their_digits(tmp_path):
    lines = '{"a": 12345678901234567890.10, "b": 1E5}\n\n{"a": "007", "b": null}\n{"a": true}\n{"a": {"x": [1.50, "é"]}, "b": ""}\n'
    assert content(tmp_path, "x.jsonl", lines) == [
        {"a": "12345678901234567890.10", "b": "1E5"},
        {"a": "007", "b": None},
        {"a": "true", "b": None},
        {"a": '{"x": [1.50, "é"]}', "b": ""},
    ]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.fixed_dictionaries({"a": _json}, optional={"b": _json}), max_size=6), st.sampled_from([None, 1]))
def test_lines_and_lists_of_json_say_the_same(tmp_path, records, indent):
    as_lines = content(tmp_path, "x.jsonl", "".join(json.dumps(r) + "\n" for r in records))
    assert content(tmp_path, "x.json", json.dumps(records, indent=indent, ensure_ascii=False)) == as_lines
    for record, row in zip(records, as_lines, strict=True):
        for name, value in row.items():
            given = record.get(name)
            assert value == given if isinstance(given, str | None) else json.loads(value) == given


def test_a_list_longer_than_one_read(tmp_path):
    records = [{"a": f"{n:07}", "b": "x" * (n % 90)} for n in range(40_000)]
    records[5]["b"] = "y" * 3_000_000
    assert content(tmp_path, "x.json", json.dumps(records)) == records


def test_json_columns_no_record_has_are_missing(tmp_path):
    pulled = read_file(write(tmp_path / "x.jsonl", '{"a": 1, "z": 2}\n{"a": 3}\n'), contract("a", "b"))
    assert rows(pulled) == [{"a": "1", "b": None}, {"a": "3", "b": None}]
    assert (pulled.missing, pulled.extra) == (("b",), ("z",))


@pytest.mark.parametrize(("name", "data"), [("x.json", "[]"), ("x.jsonl", ""), ("x.json", " [ ] \n")])
def test_json_without_records_misses_nothing(tmp_path, name, data):
    pulled = read_file(write(tmp_path / name, data), AB)
    assert rows(pulled) == []
    assert pulled.missing == ()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.jsonl", '{"a": 1}\n{"a": ', "Line 2 is no JSON object"),
        ("x.jsonl", '{"a": 1}\n[1]\n', "Line 2 is no object"),
        ("x.jsonl", '{"a": 1, "a": 2}\n', "Line 1 holds an object that names a key twice"),
        ("x.json", '[{"a": 1}, {"a": {"b": 1, "b": 2}}]', "Record 2 holds an object that names a key twice"),
        ("x.jsonl", '{"a": ' + "[" * 100_000 + "\n", "Line 1 is no JSON object"),
        ("x.jsonl", '{"a": "\\ud800"}\n', "lone surrogate"),
        ("x.jsonl", '{"q": 1}\n', "No record has a key"),
        ("x.json", '[{"a": 1}, {"a": 2}', "cut off"),
        ("x.json", '[{"a": 1}, 5]', "Record 2 is no object"),
        ("x.json", '[{"a": 1}] [', "Something follows"),
        ("x.json", '[{"a": 1 "b"}]', "Record 1 is no JSON"),
        ("x.json", b'[{"a": "\xff"}]', "Byte 8"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(tmp_path, name, data, message):
    with pytest.raises(SourceInvalid, match=message):
        content(tmp_path, name, data)


# --- spreadsheets ---


@pytest.fixture
def workbook(tmp_path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "planes"
    sheet.append(["a", " b "])
    values = [123, "007", 0.1, 1e20, True, date(2020, 1, 1), datetime(2020, 1, 1, 5, 30), time(5, 30), None, ""]  # noqa: DTZ001 - cells have no zone
    for value in values:
        sheet.append([value, "x"])
    sheet.append([])
    sheet.append(["end", "x"])
    book.create_sheet("other").append(["a", "b"])
    book.save(tmp_path / "x.xlsx")
    return tmp_path / "x.xlsx"


def test_cells_become_text_as_people_see_them(workbook):
    assert [row["a"] for row in rows(read_file(workbook, AB))] == [
        "123", "007", "0.1", "1e+20", "true", "2020-01-01", "2020-01-01T05:30:00", "05:30:00", None, None, "end",
    ]  # fmt: skip


def test_a_sheet_is_found_by_name(workbook):
    assert rows(read_file(workbook, contract("a", "b", sheet="other"))) == []
    with pytest.raises(SourceInvalid, match="Did you mean 'planes'"):
        read_file(workbook, contract("a", "b", sheet="plane"))


def test_what_is_no_workbook_is_refused(tmp_path, workbook):
    whole = workbook.read_bytes()
    unknown = whole.replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\x99")  # of a zip to come
    assert unknown != whole
    for data in (b"a,b\n1,2\n", unknown):
        with pytest.raises(SourceInvalid, match="no workbook"):
            content(tmp_path, "x.xlsx", data)


# --- parquet ---


def test_parquet_keeps_its_types(tmp_path):
    given = pa.table(
        {
            "a.b": pa.array([Decimal("1.50"), None]),
            "n": pa.array([1, 2], pa.int32()),
            "more": pa.array(["x", "y"]),
            "d": pa.array(["u", None]).dictionary_encode(),
        }
    )
    pq.write_table(given, tmp_path / "x.parquet")
    pulled = read_file(tmp_path / "x.parquet", contract("n", column("amount", source_name="a.b"), "d", "gone"))
    assert pulled.schema.names == ["n", "amount", "d"]
    assert pulled.schema.field("amount").type == pa.decimal128(3, 2)
    assert (pulled.missing, pulled.extra) == (("gone",), ("more",))
    assert table(pulled).to_pylist() == [
        {"n": 1, "amount": Decimal("1.50"), "d": "u"},
        {"n": 2, "amount": None, "d": None},
    ]


def test_parquet_numbers_of_more_digits_than_databases_have_come_as_text(tmp_path):
    """DuckDB can't hash them: landing such a file broke off with an error of DuckDB's own."""
    wide = pa.array([Decimal("-1234567890123456789012345678901234567890.5000"), Decimal(0), None], pa.decimal256(60, 4))
    pq.write_table(pa.table({"a": wide}), tmp_path / "x.parquet")
    landed = land(read_file(tmp_path / "x.parquet", contract("a")), tmp_path / "landed.parquet")
    (minus, nothing, missing) = pq.read_table(landed.path)["a"].to_pylist()
    assert (Decimal(minus), Decimal(nothing), missing) == (wide[0].as_py(), 0, None)


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"a": ["x" * 50] * 1000, "b": ["y"] * 1000}), path, compression="none", use_dictionary=False
    )
    whole = path.read_bytes()
    for data in (
        whole[:-5],
        b"PAR1",
        b"",
        whole[:200] + b"\xff" * 300 + whole[500:],
        whole[:4] + bytes(60) + whole[64:],
    ):
        with pytest.raises(SourceInvalid, match="parquet"):
            content(tmp_path, "x.parquet", data)


def test_parquet_with_a_garbled_column_name_is_refused(tmp_path):
    given = pa.table({"a": ["x"], "naïve": ["y"]})
    pq.write_table(given, tmp_path / "whole.parquet", store_schema=False)
    damaged = (tmp_path / "whole.parquet").read_bytes().replace("naïve".encode(), b"na\xff\xfeve")
    with pytest.raises(SourceInvalid, match="no parquet file"):
        content(tmp_path, "x.parquet", damaged)


# --- places and patterns ---


def test_a_pattern_reads_its_files_in_name_order_as_one(tmp_path):
    write(tmp_path / "in/2014.csv", "b,a,extra\n2,1,9\n")
    write(tmp_path / "in/2013.csv", "a,b\n0,0\n")
    write(tmp_path / "in/.2015.csv", "a,b\n5,5\n")
    write(tmp_path / "in/deep/2016.csv", "a,b\n6,6\n")
    write(tmp_path / "in/2013.csv.part", "a,b\n7,7\n")
    pulled = read(contract("a", "b", path="in/*.csv", format="csv"), lambda _: folder(tmp_path), since=None)
    assert rows(pulled) == [{"a": "0", "b": "0"}, {"a": "1", "b": "2"}]
    assert pulled.extra == ("extra",)
    every = read(contract("a", "b", path="**/*.csv"), lambda _: folder(tmp_path), since=None)
    assert [row["a"] for row in rows(every)] == ["0", "1", "6"]


def test_files_of_a_pattern_must_be_alike(tmp_path):
    write(tmp_path / "1.csv", "a,b\n0,0\n")
    write(tmp_path / "2.csv", "a\n0\n")
    with pytest.raises(SourceInvalid, match=r"dept:2\.csv: It has other columns"):
        rows(pull(contract("a", "b", path="*.csv"), lambda _: folder(tmp_path), since=None))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(SourceInvalid, match=r"dept:2\.parquet: Its columns have other types"):
        rows(pull(contract("a", path="*.parquet"), lambda _: folder(tmp_path), since=None))


@pytest.mark.parametrize(
    "path", ["../x.csv", "/etc/passwd", "a/../../x.csv", "..\\x.csv", "link.csv", "linked/x.csv", "l*.csv"]
)
def test_no_path_leaves_the_folder(tmp_path, path):
    write(tmp_path / "x.csv", "a,b\n1,2\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.csv").symlink_to(tmp_path / "x.csv")
    (inside / "linked").symlink_to(tmp_path)
    with pytest.raises(SourceInvalid, match=r"leaves the connection's folder|leads out of"):
        pull(contract("a", "b", path=path), lambda _: folder(inside), since=None)


def test_missing_files_formats_and_settings_are_named(tmp_path):
    with pytest.raises(SourceInvalid, match=r"dept:x\.csv: There is no such file"):
        pull(contract("a", path="x.csv"), lambda _: folder(tmp_path), since=None)
    with pytest.raises(SourceInvalid, match="There is no such file"):
        pull(contract("a", path="no/*.csv"), lambda _: folder(tmp_path), since=None)
    with pytest.raises(SourceInvalid, match="There is no such file"):
        read_file(tmp_path / "x.csv", AB)
    with pytest.raises(SourceInvalid, match=r"format 'cvs' is not known.*Did you mean 'csv'"):
        content(tmp_path, "x.cvs", "a,b\n", contract("a", format="cvs"))
    with pytest.raises(SourceInvalid, match="tells no format"):
        content(tmp_path, "x", "a,b\n")
    with pytest.raises(SourceInvalid, match="type 'sftp' yet"):
        pull(contract("a", path="x.csv"), lambda _: Connection(id="dept", type="sftp", host="h"), since=None)


def test_a_bucket_is_read_like_a_folder(s3):
    bucket = s3.new_bucket()
    given = Connection(
        id="dept", type="aws", login=s3.access_key, password=s3.secret_key,
        extra={"endpoint_url": f"http://{s3.endpoint}", "path": f"{bucket}/drop"},
    )  # fmt: skip
    from minio import Minio

    client = Minio(s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key, secure=False, region="us-east-1")
    for name, text in (("drop/2.csv", "a,b\n3,4\n"), ("drop/1.csv", "a,b\n1,2\n"), ("other/3.csv", "a,b\n5,6\n")):
        client.put_object(bucket, name, io.BytesIO(text.encode()), len(text))
    client.put_object(bucket, "drop/x.csv.gz", io.BytesIO(gzip.compress(b"a,b\n7,8\n")), -1, part_size=5 << 20)
    client.put_object(bucket, "drop/bad/x.csv", io.BytesIO(b""), 0)
    assert [r["a"] for r in rows(pull(contract("a", "b", path="*.csv"), lambda _: given, since=None))] == ["1", "3"]
    assert [r["a"] for r in rows(pull(contract("a", "b", path="x.csv.gz"), lambda _: given, since=None))] == ["7"]
    with pytest.raises(SourceInvalid, match="no such file"):
        pull(contract("a", "b", path="9.csv"), lambda _: given, since=None)
    closed = Connection(id="dept", type="aws", login="x", password="y", extra=dict(given.extra))
    with pytest.raises(SourceUnavailable, match="can't be listed"):
        pull(contract("a", "b", path="*.csv"), lambda _: closed, since=None)


# --- asking for columns ---


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.csv", "b, a ,,姓名\n1,2,3,4\n"),
        ("x.tsv", "b\ta\t\t姓名\n"),
        ("x.jsonl", '{"b": 1}\n{"a": 2, "": 3}\n{"姓名": 1, "b": 2}\n'),
        ("x.json", '[{"b": 1, "a": 2}, {"姓名": 3}]'),
    ],
)
def test_columns_are_named_as_they_stand_in_the_file(tmp_path, name, data):
    assert file_columns(write(tmp_path / name, data), contract()) == ["b", "a", "姓名"]


def test_columns_of_typed_files(tmp_path):
    pq.write_table(pa.table({"b": [1], "a.c": [2]}), tmp_path / "x.parquet")
    book = openpyxl.Workbook()
    book.active.append(["b", None, "a.c"])
    book.save(tmp_path / "x.xlsx")
    assert (
        file_columns(tmp_path / "x.parquet", contract())
        == file_columns(tmp_path / "x.xlsx", contract())
        == ["b", "a.c"]
    )


@pytest.mark.parametrize(("name", "data"), [("x.csv", '"",""\n1,2\n'), ("x.jsonl", ""), ("x.jsonl", "{}\n")])
def test_a_file_without_named_columns_is_refused(tmp_path, name, data):
    with pytest.raises(SourceInvalid, match="no column with a name"):
        file_columns(write(tmp_path / name, data), contract())
