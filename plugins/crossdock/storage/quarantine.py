"""What became of rows that a verdict set aside: still open, or replaced by what a later verdict says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from crossdock.errors import Permanent
from crossdock.storage import tables
from crossdock.storage.rows import add, columns_of
from crossdock.storage.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineEntry:
    """The rows that one verdict set aside; `id` is the verdict's.

    `status` is "open"; "replayed" when those very rows were judged again; "superseded" when a later extract, pulled
    from the source, says what became of them.
    """

    id: str
    dataset: str
    rows: int
    status: str
    opened_at: str
    closed_at: str | None = None
    closed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A person's word that rows are to be accepted although they break rules; `key` is a parquet file of row hashes."""

    id: str
    dataset: str
    verdict: str
    rules: Sequence[str]
    rows: int
    key: str
    reason: str
    released_by: str
    released_at: str


def settle(connection: Connection, verdict: Mapping[str, Any], *, late: bool) -> None:
    """Opens the entry of a verdict that now counts, and closes those whose rows it has judged anew.

    Args:
        connection: in the transaction that records the verdict.
        verdict: its row.
        late: a later extract was judged already, so what this one set aside is out of date at once.

    Raises:
        Permanent: the rows were to be judged again, but a pull has brought what became of them.
    """
    extract = _extract(connection, verdict["extract"])
    _check_not_overtaken(connection, extract)
    if not late:
        for entry in connection.execute(_open(verdict["dataset"])).mappings():
            status = None if entry["id"] == verdict["id"] else _what_became(extract, entry)
            if status:
                _close(connection, entry["id"], status, verdict)
    if not verdict["quarantined"]:
        return
    opened = QuarantineEntry(
        id=verdict["id"],
        dataset=verdict["dataset"],
        rows=verdict["quarantined"],
        status="superseded" if late else "open",
        opened_at=verdict["validated_at"],
    )
    if not add(connection, tables.quarantine, columns_of(opened)) and not late and not extract["incremental"]:
        # The source, or the contract, went back to what it was.
        again = {"status": "open", "closed_at": None, "closed_by": None}
        connection.execute(tables.quarantine.update().where(tables.quarantine.c.id == verdict["id"]).values(again))


def _extract(connection: Connection, extract_id: str) -> RowMapping:
    return connection.execute(tables.extract.select().where(tables.extract.c.id == extract_id)).mappings().one()


def _check_not_overtaken(connection: Connection, extract: RowMapping) -> None:
    entry = tables.quarantine.c
    overtaken = sa.select(entry.id).where(entry.id.in_(extract["replays"] or ()), entry.status == "superseded")
    if connection.execute(overtaken).first():
        raise Permanent("These rows were pulled again meanwhile.", where=extract["dataset"], fix="Look at them anew.")


def _open(dataset: str) -> sa.Select[tuple[object, ...]]:
    """Selects a dataset's open entries, each with the extract whose rows it holds."""
    entry, extract = tables.quarantine.c, tables.extract.c
    return (
        sa.select(entry.id, extract.id.label("extract"), extract.watermark, extract.replays)
        .join(tables.verdict, tables.verdict.c.id == entry.id)
        .join(tables.extract, extract.id == tables.verdict.c.extract)
        .where(entry.dataset == dataset, entry.status == "open")
        .order_by(extract.pulled_at, entry.id)
    )


def _what_became(extract: RowMapping, entry: RowMapping) -> str | None:
    """Returns what a verdict on this extract makes of an older entry; None when it says nothing of its rows."""
    if entry["extract"] == extract["id"] or entry["id"] in (extract["replays"] or ()):
        return "replayed"
    if extract["replays"] is not None:
        return None
    # A pull from the same point on brings the same rows again, as they are now.
    same_start = entry["replays"] is None and entry["watermark"] == extract["watermark"]
    return "superseded" if not extract["incremental"] or same_start else None


def _close(connection: Connection, name: str, status: str, verdict: Mapping[str, Any]) -> None:
    closed = {"status": status, "closed_at": verdict["validated_at"], "closed_by": verdict["id"]}
    connection.execute(tables.quarantine.update().where(tables.quarantine.c.id == name).values(closed))


def entries(state: State, *, dataset: str | None = None, status: str | None = None) -> list[QuarantineEntry]:
    """Returns entries (of one dataset and status, or all), newest first."""
    table = tables.quarantine
    query = table.select().order_by(table.c.opened_at.desc(), table.c.id)
    query = query.where(table.c.dataset == dataset) if dataset else query
    query = query.where(table.c.status == status) if status else query
    with state.connect() as connection:
        return [QuarantineEntry(**row) for row in connection.execute(query).mappings()]


def open_verdicts(state: State, dataset: str) -> list[str]:
    """Returns the verdicts of a dataset's open entries, those of the oldest extract first."""
    with state.connect() as connection:
        return [row["id"] for row in connection.execute(_open(dataset)).mappings()]


def record_waiver(state: State, waiver: Waiver) -> None:
    """Records a waiver; the same one is recorded once."""
    with state.begin() as connection:
        add(connection, tables.waiver, columns_of(waiver) | {"rules": list(waiver.rules)})


def waivers(state: State, dataset: str) -> list[Waiver]:
    """Returns a dataset's waivers, oldest first."""
    query = tables.waiver.select().where(tables.waiver.c.dataset == dataset)
    with state.connect() as connection:
        rows = connection.execute(query.order_by(tables.waiver.c.released_at, tables.waiver.c.id)).mappings()
        return [Waiver(**row) for row in rows]
