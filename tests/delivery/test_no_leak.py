"""Nothing but what is agreed leaves: every value of a snapshot is a canary, and every delivered byte is searched."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.connections import Connection
from crossdock.contracts.model import Column, DeliverySpec, Protection
from crossdock.delivery.channels.channel import deliver
from crossdock.delivery.decide import decide
from crossdock.delivery.protect import protect
from delivery.consumers import SqliteConsumer
from delivery.samples import AGREEMENT, CONTRACT, KEYS, NOW, held, ready, shipment

NAMES = ("id", "name", "电话", "keep", "row", "select")
PROTECTIONS = st.sampled_from(
    [
        None,
        Protection(kind="mask"),
        Protection(kind="mask", keep_first=2, keep_last=2),
        Protection(kind="pseudonymise"),
        Protection(kind="generalise", to="prefix:3"),
        Protection(kind="dummy"),
        Protection(kind="drop"),
    ]
)


def canary(row, column, version=0):
    """A value that no other cell has, and no other text: 24 letters."""
    return f"c{NAMES.index(column)}{row:03d}v{version}Zq7XyWkP9mLbTnRs"


@st.composite
def cases(draw):
    columns = tuple(draw(st.permutations(NAMES))[: draw(st.integers(1, len(NAMES)))])
    mode = draw(st.sampled_from(["full", "changes"]))
    protections = {name: draw(PROTECTIONS) for name in columns}
    if mode == "changes":
        columns = (*(c for c in columns if c != "id"), "id")
        protections["id"] = draw(st.sampled_from([None, Protection(kind="pseudonymise")]))
    kept = draw(st.sets(st.integers(0, 7)))
    form = draw(st.sampled_from(["parquet", "csv", "jsonl"]))
    return columns, mode, {k: v for k, v in protections.items() if v}, kept, form


def table(version=0):
    rows = [{n: canary(i, n, version if n != "id" else 0) for n in NAMES} for i in range(8)]
    return pa.Table.from_pylist(rows).replace_schema_metadata({"origin": canary(999, "id")})


def everything(folder: Path) -> str:
    """All bytes below a folder, and what compressed parquet holds, as text."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        raw = path.read_bytes()
        found.append(raw.decode("utf-8", "replace"))
        if path.suffix == ".parquet":
            found += [str(pq.read_table(path).to_pydict()), str(pq.read_schema(path).metadata)]
    return "\n".join(found)


CONTRACT6 = replace(
    CONTRACT,
    columns=tuple(Column(name=n, source_name=n, type="string", key_position=1 if n == "id" else None) for n in NAMES),
    subject=None,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_no_other_column_row_or_raw_value_leaves(tmp_path_factory, case):
    columns, mode, protections, kept, form = case
    folder = tmp_path_factory.mktemp("leak")
    (folder / "consumer").mkdir()
    ids = ", ".join(f"'{canary(i, 'id')}'" for i in kept) or "'nobody'"
    agreed = replace(
        AGREEMENT,
        columns=columns,
        rows=f"id in ({ids})",
        protect=protections,
        delivery=DeliverySpec(channel="folder", mode=mode, options={"path": "in", "format": form}),
    )
    assert decide(agreed, CONTRACT6, now=NOW).allowed
    connection = Connection(id="consumer_tax", type="fs", extra={"path": str(folder / "consumer")})
    base = SqliteConsumer(
        Connection(id="consumer_tax", type="sqlite", host=str(folder / "consumer" / "tax.db")), "database"
    )
    tabled = replace(agreed, delivery=replace(agreed.delivery, channel="database", options={"table": "t"}))
    previous = None
    for version in (0, 1):
        source = pads.dataset(table(version))
        sent = shipment(folder / f"f{version}", agreed, source, sequence=version, previous=previous, contract=CONTRACT6)
        deliver(sent, connection)
        deliver(shipment(folder / f"d{version}", tabled, source, sequence=version, contract=CONTRACT6), base.connection)
        previous = held(sent.prepared, f"d{version}") if mode == "changes" else None
    _only_agreed(everything(folder / "consumer"), columns, protections, kept)


def _only_agreed(left, columns, protections, kept):
    key = KEYS.of_consumer("tax")
    for version in (0, 1):
        rows = table(version)
        for name in NAMES:
            shown = protect(rows[name].combine_chunks(), protections.get(name), key=key).to_pylist()
            for i, form in enumerate(shown):
                raw, leaves = canary(i, name, version if name != "id" else 0), name in columns and i in kept
                clear = leaves and name not in protections
                # The agreement's own filter names ids; it is not part of a manifest.
                assert (raw in left) is clear, (name, i)
                if name in protections and protections[name].kind in ("pseudonymise", "mask", "dummy") and not leaves:
                    assert protections[name].kind == "mask" or form not in left
                if leaves and form is not None:
                    assert form in left
    assert canary(999, "id") not in left


def test_neither_manifest_nor_error_names_values(tmp_path):
    sent = shipment(tmp_path, replace(AGREEMENT, rows="name = 'c1000v0Zq7XyWkP9mLbTnRs'"), [])
    assert "Zq7XyWkP9mLbTnRs" not in sent.manifest.decode()
    assert set(json.loads(sent.manifest)["digests"]) == {"accepted", "delivered", "unchanged", "filtered"}


def test_representations_hide_keys(tmp_path):
    prepared, _ = ready(tmp_path, AGREEMENT, [])
    assert KEYS.ledger.hex() not in repr(prepared)
