"""Texts planted in rows that must not leave: after everything ran, they are where they may be and nowhere else."""

from __future__ import annotations

import json
import sqlite3

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossdock import sweep
from crossdock.demo.server import WeatherService
from hamlet import agreement, column, contract, found, key, write_yaml
from killing import code, start

KINDS = ("csv", "jsonl", "xlsx", "parquet", "sqlite", "http")
COLUMNS = ["visitor_no", "name", "visited_on", "remark"]
FAULTY = ("pattern", "type", "key", "length")  # what the rows with these texts break
MAY_BE = {
    "faulty": {"landing", "quarantine"},
    "filtered": {"landing", "accepted"},
    "unlisted": {"landing", "accepted"},
    "masked": {"landing", "accepted"},
    "hashed": {"landing", "accepted"},
}


def text(kind, place):
    """A text that occurs nowhere else; upper case, so that the name's pattern admits it."""
    return f"SECRET{kind.upper()}{place.upper()}X"


def rows(kind):
    many = [[f"V{n}", f"NAME{n}", "2026-03-04", f"remark {n}"] for n in range(40)]
    return [
        *many,
        ["V100", f"{text(kind, 'pattern')}?", "2026-03-04", ""],
        ["V101", "NAME", text(kind, "type"), ""],
        [text(kind, "key"), "NAME", "2026-03-04", ""],
        [text(kind, "key"), "NAME", "2026-03-04", ""],
        ["V102", text(kind, "length") * 5, "2026-03-04", ""],
        ["V103", text(kind, "filtered"), "1999-03-04", ""],
        ["V104", "NAME", "2026-03-04", text(kind, "unlisted")],
        ["V105", f"AA{text(kind, 'masked')}BB", "2026-03-04", ""],
        [text(kind, "hashed"), "NAME", "2026-03-04", ""],
    ]


def write_csv(folder, name, given):
    (folder / name).write_text("\n".join(",".join(row) for row in [COLUMNS, *given]) + "\n")


def write_jsonl(folder, name, given):
    (folder / name).write_text("\n".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in given) + "\n")


def write_xlsx(folder, name, given):
    book = openpyxl.Workbook()
    for row in [COLUMNS, *given]:
        book.active.append(row)
    book.save(folder / name)


def write_parquet(folder, name, given):
    pq.write_table(pa.table(dict(zip(COLUMNS, zip(*given, strict=True), strict=True))), folder / name)


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "xlsx": write_xlsx, "parquet": write_parquet}


def add_visitors(hamlet, kind, service):
    """A dataset of this source kind, for a database, a folder and everybody."""
    dataset = f"visitors_{kind}"
    if kind in WRITERS:
        source = {"kind": "files", "connection": "town_files", "path": f"visitors.{kind}", "format": kind}
        WRITERS[kind](hamlet.sources, f"visitors.{kind}", rows(kind))
    elif kind == "sqlite":
        source = {"kind": "database", "connection": "town_database", "table": "visitors"}
        hamlet.sql(f"CREATE TABLE visitors ({', '.join(COLUMNS)})")
        for row in rows(kind):
            hamlet.sql("INSERT INTO visitors VALUES (?, ?, ?, ?)", *row)
    else:
        source = {"kind": "http", "connection": "town_api", "path": "/v1/weather", "records": "data",
                  "page": {"param": "page", "start": 1, "size_param": "size", "size": 10}}  # fmt: skip
        fields = {"conn_type": "http", "host": "127.0.0.1", "port": service.server_port, "schema": "http"}
        hamlet.add_connection("town_api", fields | {"extra": {"token": service.token}})
    promised = [
        key("visitor_no"),
        column("name", required=True, logicalTypeOptions={"pattern": "^[A-Z0-9]*$", "maxLength": 40}),
        column("visited_on", "date"),
        column("remark"),
    ]
    subject = {"kind": "person", "column": "visitor_no"}
    write_yaml(hamlet.contract(dataset), contract(dataset, promised, source=source, subject=subject))
    agreed = ["visitor_no", "name", "visited_on"]
    protect = {"name": {"mask": {"keepFirst": 2, "keepLast": 2}}, "visitor_no": "pseudonymise"}
    common = {"rows": "visited_on > '2020-01-01'", "protect": protect}
    table = {"channel": "database", "connection": "tax_database", "mode": "changes", "table": dataset}
    folder = {"channel": "folder", "connection": "school_folder", "mode": "full", "path": dataset, "format": "csv"}
    for consumer, more in {
        "tax": {"delivery": table},
        "school": {"delivery": folder},
        "public": {"licence": "CC0-1.0"},
    }.items():
        write_yaml(hamlet.agreement(dataset, consumer), agreement(dataset, consumer, agreed, **common, **more))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A hamlet with a dataset of every source kind, after a run and after every command that shows something of it."""
    from threading import Thread

    hamlet = found(tmp_path_factory.mktemp("secrets"))
    records = [json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in rows("http")]
    service = WeatherService(records, token="open sesame", port=0)
    Thread(target=service.serve_forever, daemon=True).start()
    for kind in KINDS:
        add_visitors(hamlet, kind, service)
    commands = [
        ("run",),
        ("run", "--json"),
        ("quarantine", "list"),
        ("deliveries", "list", "--json"),
        ("ledger", "verify"),
    ]
    codes = [code(start(hamlet.home, arguments=command)) for command in commands]
    service.shutdown()
    service.server_close()
    said = (hamlet.home / "said.txt").read_text("utf-8")
    assert codes == [1, 1, 0, 0, 0], said
    assert '"failures": []' in said
    return hamlet, said


def seen(file):
    """What a reader of the file's format sees."""
    if file.suffix == ".parquet":
        return repr(pq.read_table(file).to_pylist()).encode()
    if file.suffix == ".db":
        with sqlite3.connect(file) as database:
            dump = "\n".join(database.iterdump()).encode()
        database.close()
        return dump
    return b""


@pytest.fixture(scope="module")
def contents(ran):
    """Every file the run wrote, by the area it is in."""
    hamlet, _ = ran
    var = hamlet.home / "var"
    files = [f for f in var.rglob("*") if f.is_file() and not f.is_relative_to(hamlet.sources)]
    areas = [f.relative_to(var).parts for f in files]
    names = [parts[1] if parts[0] == "store" else parts[0] for parts in areas]
    data = [f.read_bytes() for f in files]  # before a database is opened, which tidies the files beside it
    return list(zip(names, (known + seen(f) for known, f in zip(data, files, strict=True)), strict=True))


def areas_with(contents, word):
    return {area for area, data in contents if word.encode() in data}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", FAULTY)
def test_a_faulty_row_stays_in_quarantine(contents, kind, place):
    assert areas_with(contents, text(kind, place)) == MAY_BE["faulty"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["filtered", "unlisted", "masked", "hashed"])
def test_what_no_agreement_lets_out_stays_among_the_accepted(contents, kind, place):
    assert areas_with(contents, text(kind, place)) == MAY_BE[place]


def test_the_command_line_shows_none_of_it(ran):
    assert "SECRET" not in ran[1]


def test_the_search_finds_what_is_delivered(contents):
    """Else the tests above prove nothing."""
    assert {"consumers", "open", "accepted", "landing"} <= areas_with(contents, "20")
    assert "consumers" in areas_with(contents, "AA")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("visitors.csv", b"V1,NAME,SECRETRAGGED,,,,\n"),
        ("visitors.csv", b'V1,SECRETQUOTE"x,2026-01-01,\n"SECRET'),
        ("visitors.csv", b"V1,SECRETCODE\xff,2026-01-01,\n"),
        ("visitors.jsonl", b'{"visitor_no": "SECRETBROKEN", \n'),
        ("visitors.jsonl", b'["SECRETLIST"]\n'),
        ("visitors.jsonl", b'{"visitor_no": "SECRETTWICE", "visitor_no": "SECRETTWICE"}\n'),
    ],
)
def test_a_damaged_file_is_reported_without_its_content(ran, name, damage):
    hamlet, _ = ran
    file = hamlet.sources / name
    sound = file.read_bytes()
    file.write_bytes(sound + damage)
    try:
        done = sweep.run(hamlet.open(), f"town_hall/visitors_{file.suffix[1:]}")
    finally:
        file.write_bytes(sound)
    (step,) = done.failures
    assert name in str(step.error)
    assert "SECRET" not in f"{step.error!r} {step.error}"
