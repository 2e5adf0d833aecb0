"""A hamlet: the smallest exchange that has every shape of agreement. One sweep over it takes about a second.

town_hall/streets    CSV, in full       -> public
town_hall/residents  SQLite, watermark  -> tax (database, changes, filtered, masked), school (folder, pseudonymised),
                                           court (expired: refused)
town_hall/permits    CSV, in full       -> tax (database, changes), school (folder, CSV)
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa
import yaml

from crossdock import sweep
from crossdock.exchange import Exchange, open_exchange
from crossdock.storage import tables

RESIDENTS, PERMITS, STREETS = 200, 90, 9
RESIDENT_FAULTS = {7: "name.not_null", 11: "phone.pattern", 50: "street.reference", 51: "born.type"}  # by row number
PERMIT_FAULTS = {3: "fee.type", 4: "fee.between"}
REFUSED = "town_hall/residents/court"
AGREEMENTS = {
    "town_hall/residents/tax", "town_hall/residents/school", REFUSED, "town_hall/permits/tax",
    "town_hall/permits/school", "town_hall/streets/public",
}  # fmt: skip

_VALID = {"startTimestamp": "2026-01-01T00:00:00+08:00", "endTimestamp": "2099-12-31T23:59:59+08:00"}


@dataclass(frozen=True)
class Hamlet:
    """Where it stands, and how to change what its town hall holds."""

    home: Path

    @property
    def sources(self) -> Path:
        return self.home / "var" / "sources"

    @property
    def tax(self) -> Path:
        return self.home / "var" / "consumers" / "tax" / "tax.db"

    @property
    def school(self) -> Path:
        return self.home / "var" / "consumers" / "school"

    def open(self) -> Exchange:
        return open_exchange(self.home)

    def sweep(self) -> sweep.Pass:
        return sweep.run(self.open())

    def sql(self, statement: str, *values: object) -> None:
        """Changes the residents' database."""
        with sqlite3.connect(self.sources / "town.db") as database:
            database.execute(statement, values)
        database.close()

    def write_permits(self, permits: list[list[str]]) -> None:
        (self.sources / "permits.csv").write_text(_csv([["permit_no", "holder", "fee", "remark"], *permits]), "utf-8")

    def contract(self, dataset: str) -> Path:
        return self.home / "contracts" / "town_hall" / dataset / "contract.odcs.yaml"

    def agreement(self, dataset: str, consumer: str) -> Path:
        return self.contract(dataset).parent / "agreements" / f"{consumer}.oaas.yaml"

    def add_connection(self, name: str, fields: Mapping[str, Any]) -> None:
        file = self.home / "var" / "connections.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {name: fields}))


def found(home: Path) -> Hamlet:
    """Lays a hamlet out in an empty folder."""
    made = Hamlet(home)
    (home / "transforms").mkdir(parents=True)
    for folder in (made.sources, made.school, made.tax.parent):
        folder.mkdir(parents=True)
    for department in ("town_hall", "tax", "school", "court"):
        write_yaml(home / "contracts" / department / "department.yaml", _department(department))
    _write_contracts(made)
    _write_agreements(made)
    _write_sources(made)
    connections = {
        "town_files": {"conn_type": "fs", "extra": {"path": str(made.sources)}},
        "town_database": {"conn_type": "sqlite", "host": str(made.sources / "town.db")},
        "tax_database": {"conn_type": "sqlite", "host": str(made.tax)},
        "school_folder": {"conn_type": "fs", "extra": {"path": str(made.school)}},
    }
    (home / "var" / "connections.json").write_text(json.dumps(connections))
    return made


def permits(**changed: list[str]) -> list[list[str]]:
    """Returns the permits the hamlet begins with; `P0005=[...]` replaces one, an empty list removes it."""
    rows = [[f"P{n:04}", f"R{n:04}", f"{n}.50", f"remark {n}"] for n in range(PERMITS)]
    rows[3][2], rows[4][2] = "a lot", "-1.00"
    return [row for row in (changed.get(row[0], row) for row in rows) if row]


def tax_rows(hamlet: Hamlet, table: str) -> list[tuple[Any, ...]]:
    """Returns what the tax department's table holds, sorted."""
    with sqlite3.connect(hamlet.tax) as database:
        rows = database.execute(f"SELECT * FROM {table}").fetchall()
    database.close()
    return sorted(rows, key=repr)


def school_files(hamlet: Hamlet) -> dict[str, bytes]:
    """Returns every data file the school received, by path."""
    files = (file for file in sorted(hamlet.school.rglob("*")) if file.is_file() and file.name != "lock")
    return {str(file.relative_to(hamlet.school)): file.read_bytes() for file in files if file.name != "manifest.json"}


def entries(exchange: Exchange) -> list[dict[str, Any]]:
    """Returns the ledger's entries as they must be whenever and however often interrupted they were made."""
    with exchange.state.connect() as connection:
        bodies = connection.execute(sa.select(tables.ledger_entry.c.body).order_by(tables.ledger_entry.c.seq)).scalars()
        found = [json.loads(body) for body in bodies]
    for body in found:
        for name in ("delivered_at", "day", "manifest_sha256", "record"):  # instants, and what tells one
            del body[name]
    return found


def open_rows(exchange: Exchange, dataset: str) -> list[dict[str, Any]]:
    """Returns the rows that the public reads, by the pointer."""
    pointer = json.loads(exchange.store.read(f"open/{dataset}/latest.json"))
    filesystem, root = exchange.store.filesystem()
    rows: list[dict[str, Any]] = pq.read_table(
        f"{root}/open/{dataset}/{pointer['data']}", filesystem=filesystem
    ).to_pylist()
    return rows


def write_yaml(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")


def contract(name: str, properties: list[dict[str, Any]], **crossdock: Any) -> dict[str, Any]:
    """Returns a contract's document; `crossdock` are the fields of its crossdock property."""
    schema = {"name": name, "physicalName": name, "properties": properties}
    value = {"title": {"zh": name, "en": name}, "sharing": {"class": "unconditional"}} | crossdock
    return {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": name, "name": name, "version": "1.0.0", "status": "active",
        "domain": "population", "description": {"purpose": "A test."}, "schema": [schema],
        "customProperties": [{"property": "crossdock", "value": value}],
    }  # fmt: skip


def agreement(dataset: str, consumer: str, columns: list[str], **crossdock: Any) -> dict[str, Any]:
    """Returns an agreement's document; `crossdock` are further fields of its crossdock property."""
    value = {"legalBasis": "A law.", "columns": columns, "frequency": "on_change"} | crossdock
    return {
        "apiVersion": "v0.9.0", "kind": "AccessAgreement", "id": f"{consumer}_{dataset}", "version": "1.0.0",
        "status": "approved", "description": {"purpose": "A test."}, **_VALID, "provider": {"department": "town_hall"},
        "consumer": {"department": consumer}, "customProperties": [{"property": "crossdock", "value": value}],
    }  # fmt: skip


def column(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "logicalType": kind, **more}


def key(name: str, **more: Any) -> dict[str, Any]:
    return column(name, required=True, unique=True, primaryKey=True, primaryKeyPosition=1, **more)


def _department(name: str) -> dict[str, Any]:
    return {"id": name, "name": {"zh": name, "en": name}, "contact": f"{name}@example.org"}


def _write_contracts(hamlet: Hamlet) -> None:
    streets = [key("code"), column("name", required=True)]
    source = {"kind": "files", "connection": "town_files", "path": "streets.csv", "format": "csv"}
    write_yaml(hamlet.contract("streets"), contract("streets", streets, source=source))

    to = "../streets/contract.odcs.yaml#/schema/streets/properties/code"
    residents = [
        key("resident_no", logicalTypeOptions={"pattern": r"^R\d{4}$"}),
        column("name", required=True),
        column("phone", logicalTypeOptions={"pattern": r"^\d{8}$"}),
        column("street", required=True, relationships=[{"type": "foreignKey", "to": to}]),
        column("born", "date"),
        column("note"),  # in no agreement
        column("changed_at", "timestamp", required=True, logicalTypeOptions={"timezone": False}),
    ]
    source = {"kind": "database", "connection": "town_database", "table": "residents", "watermark": "changed_at"}
    subject = {"kind": "person", "column": "resident_no"}
    write_yaml(hamlet.contract("residents"), contract("residents", residents, source=source, subject=subject))

    permits = [
        key("permit_no"),
        column("holder", required=True),
        column("fee", "number", physicalType="decimal(8,2)", logicalTypeOptions={"minimum": 0}),
        column("remark"),  # in no agreement
    ]
    source = {"kind": "files", "connection": "town_files", "path": "permits.csv", "format": "csv"}
    subject = {"kind": "person", "column": "holder"}
    write_yaml(
        hamlet.contract("permits"),
        contract("permits", permits, source=source, subject=subject, tolerance={"percent": 50}),
    )


def _write_agreements(hamlet: Hamlet) -> None:
    def agree(dataset: str, consumer: str, columns: list[str], **crossdock: Any) -> dict[str, Any]:
        document = agreement(dataset, consumer, columns, **crossdock)
        write_yaml(hamlet.agreement(dataset, consumer), document)
        return document

    table = {"channel": "database", "connection": "tax_database", "mode": "changes"}
    folder = {"channel": "folder", "connection": "school_folder", "mode": "full"}
    agree(
        "residents", "tax", ["resident_no", "name", "phone", "street"], rows="street != 'S8'",
        protect={"phone": {"mask": {"keepFirst": 2, "keepLast": 2}}}, delivery=table | {"table": "residents"},
    )  # fmt: skip
    agree(
        "residents", "school", ["resident_no", "born", "street"],
        protect={"resident_no": "pseudonymise", "born": {"generalise": "year"}},
        delivery=folder | {"path": "residents", "format": "parquet"},
    )  # fmt: skip
    court = agree("residents", "court", ["resident_no", "name"], delivery=folder | {"path": "court"})
    write_yaml(hamlet.agreement("residents", "court"), court | {"endTimestamp": "2026-02-01T00:00:00+08:00"})
    agree("permits", "tax", ["permit_no", "holder", "fee"], delivery=table | {"table": "permits"})
    agree("permits", "school", ["permit_no", "holder"], delivery=folder | {"path": "permits", "format": "csv"})
    agree("streets", "public", ["code", "name"], licence="CC0-1.0")


def _write_sources(hamlet: Hamlet) -> None:
    streets = [["code", "name"], *([f"S{n}", f"Street {n}, 第{n}街"] for n in range(STREETS))]
    (hamlet.sources / "streets.csv").write_text(_csv(streets), "utf-8")
    hamlet.write_permits(permits())
    hamlet.sql(
        "CREATE TABLE residents (resident_no TEXT, name TEXT, phone TEXT, street TEXT, born TEXT, note TEXT, changed_at TEXT)"
    )
    with sqlite3.connect(hamlet.sources / "town.db") as database:
        database.executemany("INSERT INTO residents VALUES (?, ?, ?, ?, ?, ?, ?)", map(_resident, range(RESIDENTS)))
    database.close()


def _resident(number: int) -> list[str | None]:
    born = f"{1950 + number % 60}-0{number % 9 + 1}-11"
    row: list[str | None] = [
        f"R{number:04}", f"王{number}", f"{number:08}", f"S{number % STREETS}", born, f"note {number}",
        f"2026-05-0{number % 9 + 1}T00:00:00",
    ]  # fmt: skip
    spoiled = {7: (1, None), 11: (2, "no phone"), 50: (3, "S77"), 51: (4, "2020-02-30")}
    if number in spoiled:
        place, value = spoiled[number]
        row[place] = value
    return row


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
