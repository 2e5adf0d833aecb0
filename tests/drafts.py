"""Contracts, agreements and whole trees as a test needs them, written as the files that people write."""

from pathlib import Path

import yaml

from crossdock.contracts.odcs import read_contract
from crossdock.errors import ContractInvalid

REGISTER = {
    "title": {"zh": "登记", "en": "Register"},
    "sharing": {"class": "conditional", "basis": "Article 34"},
    "source": {"kind": "files", "connection": "dept", "path": "*.csv", "format": "csv"},
}
PEOPLE = [
    {"name": "id", "logicalType": "string", "primaryKey": True},
    {"name": "name", "logicalType": "string"},
    {"name": "born", "logicalType": "date"},
    {"name": "income", "logicalType": "number", "physicalType": "decimal(12,2)"},
    {"name": "region", "logicalType": "string", "classification": "public"},
]


def contract(properties=None, *, table=None, crossdock=None, **header):
    """Returns a contract as data; `table` and `header` add keys to its one table and to its top."""
    data = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "people",
        "version": "1.0.0",
        "status": "active",
        "schema": [{"name": "people", "properties": PEOPLE if properties is None else properties, **(table or {})}],
    }
    if crossdock is not None:
        data["customProperties"] = [{"property": "crossdock", "value": crossdock}]
    return data | header


def agreement(provider="police", consumer="tax", *, header=None, **terms):
    """Returns an agreement as data; `terms` change its crossdock property (None takes a key out)."""
    value = {
        "legalBasis": "Article 15",
        "columns": ["id", "name"],
        "delivery": {"channel": "database", "connection": "c", "mode": "full", "table": "people"},
    }
    if consumer == "public":
        value = {"legalBasis": "Article 1", "columns": ["region"], "licence": "CC-BY-4.0"}
    return {
        "apiVersion": "v0.9.0",
        "kind": "AccessAgreement",
        "id": f"{consumer}_people",
        "version": "1.0.0",
        "status": "approved",
        "description": {"purpose": "To tax them."},
        "startTimestamp": "2026-01-01T00:00:00+08:00",
        "endTimestamp": "2030-12-31T23:59:59+08:00",
        "provider": {"department": provider},
        "consumer": {"department": consumer},
        "customProperties": [
            {"property": "crossdock", "value": {k: v for k, v in (value | terms).items() if v is not None}}
        ],
    } | (header or {})


def write(path: Path, data) -> Path:
    """Writes data as YAML (text as it is)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False, allow_unicode=True), "utf-8"
    )
    return path


def read(folder: Path, data, **how):
    """Reads data as a contract of its own."""
    return read_contract(write(folder / "given.yaml", data), **how)


def problems(folder: Path, data, **how):
    """Returns what is wrong with data as a contract: "path: what fix" each."""
    try:
        read(folder, data, **how)
    except ContractInvalid as error:
        return [f"{p.path}: {p.what} {p.fix}".strip() for p in error.problems]
    return []


def column_rules(folder: Path, given, *, name="x"):
    """Returns the rules, by id, that one property states beside its type."""
    made = read(folder, contract([{"name": name, **given}]))
    return {rule.id: rule for rule in made.rules if rule.kind != "type"}


def tree(root: Path, files=None) -> Path:
    """Lays out a small contracts tree: two departments, one dataset, two agreements; `files` change or add some.

    A file whose data is None is left out.
    """
    default = {
        "police/department.yaml": {"id": "police", "name": {"zh": "公安", "en": "Police"}, "contact": "desk"},
        "tax/department.yaml": {"id": "tax", "name": {"zh": "税务", "en": "Tax"}, "contact": "desk"},
        "police/people/contract.odcs.yaml": contract(crossdock=REGISTER),
        "police/people/agreements/tax.oaas.yaml": agreement(),
        "police/people/agreements/public.oaas.yaml": agreement(consumer="public"),
    }
    for name, data in (default | (files or {})).items():
        if data is not None:
            write(root / name, data)
    return root
