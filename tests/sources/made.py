"""Contracts and readings for the tests of sources."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from crossdock.connections import Connection
from crossdock.contracts.model import Column, Contract, Label, SourceSpec
from crossdock.sources.source import Pulled


def column(name: str, kind: str = "string", **given) -> Column:
    return Column(**{"name": name, "source_name": name, "type": kind, **given})


def contract(
    *columns: Column | str, watermark: str = "", connection: str = "dept", kind: str = "files", **options
) -> Contract:
    return Contract(
        id="dept/set", department="dept", dataset="set", version="1.0.0", status="active", title=Label(zh="", en=""),
        description="", theme="", sharing="none", sharing_basis="", subject=None,
        source=SourceSpec(kind=kind, connection=connection, watermark=watermark, options=options),
        columns=tuple(column(c) if isinstance(c, str) else c for c in columns), rules=(), transforms=(),
        path=Path("contracts/dept/set/contract.odcs.yaml"),
    )  # fmt: skip


def folder(path: Path) -> Connection:
    return Connection(id="dept", type="fs", extra={"path": str(path)})


def table(pulled: Pulled) -> pa.Table:
    """Reads everything, and holds the stream to its schema."""
    batches = list(pulled.batches)
    assert all(batch.schema.equals(pulled.schema) for batch in batches)
    return pa.Table.from_batches(batches, pulled.schema)


def rows(pulled: Pulled) -> list[dict[str, object]]:
    return table(pulled).to_pylist()
