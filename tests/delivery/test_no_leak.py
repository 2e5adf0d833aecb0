"""Nothing but what is agreed leaves: every value of a snapshot is a canary, and every delivered byte is searched."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crossdock.connections import Connection
from crossdock.contracts.agreement import DeliverySpec, Protection
from crossdock.contracts.model import Column
from crossdock.delivery.channels.channel import deliver
from crossdock.delivery.decide import decide
from crossdock.delivery.protect import protect
from crossdock.errors import ConsumerRefused
from delivery.consumers import consumer
from delivery.samples import AGREEMENT, CONTRACT, KEYS, NOW, held, person, ready, shipment

TEXTS = ("id", "name", "电话", "keep", "row", "select")
NAMES = (*TEXTS, "born", "income")
ROWS = 8
ANYWAY = [None, Protection(kind="pseudonymise"), Protection(kind="dummy"), Protection(kind="drop")]
OF_TEXT = [
    *ANYWAY,
    Protection(kind="mask"),
    Protection(kind="mask", keep_first=2, keep_last=2),
    Protection(kind="generalise", to="prefix:3"),
]
PROTECTIONS = {
    **dict.fromkeys(TEXTS, OF_TEXT),
    "born": [*ANYWAY, *(Protection(kind="generalise", to=to) for to in ("year", "month"))],
    "income": [*ANYWAY, Protection(kind="generalise", to="1000000")],
}


def canary(row, column, version=0):
    """A value that no other cell has, and no other text: 24 letters, a day of the 17th century, 13 digits."""
    if column == "born":
        return date(1600, 1, 1) + timedelta(days=37 * (2 * row + version))
    if column == "income":
        return 7_310_000_000_017 + row * 1_000_003 + version * 17_000_000_003
    return f"c{NAMES.index(column)}{row:03d}v{version}Zq7XyWkP9mLbTnRs"


@dataclass(frozen=True)
class Case:
    """An agreement, and the rows of the second snapshot; those of the first are all."""

    columns: tuple[str, ...]
    mode: str
    protections: dict
    kept: frozenset[int]  # by the agreement's filter
    stay: frozenset[int]
    form: str

    def leaves(self, row, column, version):
        """Whether that value may reach the consumer, as it is or protected."""
        return column in self.columns and row in self.kept and (row in self.stay or version == 0)

    def agreed(self, **delivery):
        ids = ", ".join(f"'{canary(i, 'id')}'" for i in self.kept) or "'nobody'"
        spec = DeliverySpec(mode=self.mode, **delivery)
        return replace(AGREEMENT, columns=self.columns, rows=f"id in ({ids})", protect=self.protections, delivery=spec)


@st.composite
def cases(draw):
    columns = tuple(draw(st.permutations(NAMES))[: draw(st.integers(1, len(NAMES)))])
    mode = draw(st.sampled_from(["full", "changes"]))
    protections = {name: draw(st.sampled_from(PROTECTIONS[name])) for name in columns}
    if mode == "changes":
        columns = (*(c for c in columns if c != "id"), "id")
        protections["id"] = draw(st.sampled_from([None, Protection(kind="pseudonymise")]))
    some = st.frozensets(st.integers(0, ROWS - 1))
    form = draw(st.sampled_from(["parquet", "csv", "jsonl"]))
    return Case(columns, mode, {k: v for k, v in protections.items() if v}, draw(some), draw(some), form)


def table(version=0, rows=range(ROWS)):
    found = [{n: canary(i, n, version if n != "id" else 0) for n in NAMES} for i in rows]
    schema = pa.schema([(n, {"born": pa.date32(), "income": pa.int64()}.get(n, pa.string())) for n in NAMES])
    return pa.Table.from_pylist(found, schema).replace_schema_metadata({"origin": canary(999, "id")})


def everything(folder: Path) -> str:
    """All bytes below a folder, and what packed parquet and its footer hold, as text."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        raw = path.read_bytes()
        found.append(raw.decode("utf-8", "replace"))
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            found += [str(v) for column in file.read().to_pydict().values() for v in column]
            found += [str(file.schema_arrow.metadata), str(file.metadata.metadata)]
            groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
            columns = [group.column(n) for group in groups for n in range(group.num_columns)]
            found += [f"{c.statistics.min} {c.statistics.max}" for c in columns if c.statistics]
    return "\n".join(found)


CONTRACT8 = replace(
    CONTRACT,
    columns=tuple(
        Column(
            name=n,
            source_name=n,
            type={"born": "date", "income": "integer"}.get(n, "string"),
            key_position=1 if n == "id" else None,
        )
        for n in NAMES
    ),
    subject=None,
)


def sent_twice(case, system_connection, folder, **delivery):
    """Delivers both snapshots, the first one late once more and under another agreement; returns what was told."""
    agreed, previous, told = case.agreed(**delivery), None, []
    assert decide(agreed, CONTRACT8, now=NOW).allowed
    for version, rows in enumerate([range(ROWS), sorted(case.stay)]):
        source = pads.dataset(table(version, rows))
        made = shipment(
            folder / f"{version}", agreed, source, sequence=version + 1, previous=previous, contract=CONTRACT8
        )
        told.append(deliver(made, system_connection).to_dict())
        previous = held(made.prepared, made.delivery_id) if case.mode == "changes" else None
    for agreement, name in ((agreed, "late"), (replace(agreed, id="another"), "stray")):
        spec = replace(agreement.delivery, mode="full")
        stray = replace(agreement, delivery=spec)
        source = pads.dataset(table(0))
        made = shipment(folder / name, stray, source, sequence=0, delivery_id=name, contract=CONTRACT8)
        with pytest.raises(ConsumerRefused) as refused:
            deliver(made, system_connection)
        told.append(f"{refused.value!r} {refused.value}")
    return str(told)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_no_other_column_row_or_raw_value_leaves(tmp_path_factory, case):
    folder = tmp_path_factory.mktemp("leak")
    (folder / "consumer").mkdir()
    connection = Connection(id="consumer_tax", type="fs", extra={"path": str(folder / "consumer")})
    base = Connection(id="consumer_tax", type="sqlite", host=str(folder / "consumer" / "tax.db"))
    told = sent_twice(case, connection, folder / "f", channel="folder", options={"path": "in", "format": case.form})
    told += sent_twice(case, base, folder / "d", channel="database", options={"table": "t"})
    _only_agreed(everything(folder / "consumer") + told, case)


@pytest.mark.parametrize("kind", ["postgres", "mariadb", "mysql", "bucket", "sftp", "webhook"])
@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
def test_nor_to_a_server(kind, tmp_path_factory, request, case):
    folder = tmp_path_factory.mktemp("leak")
    system = consumer(kind, folder, request)
    told = sent_twice(case, system.connection, folder / "made", channel=system.channel, options=system.options)
    if kind == "bucket":
        there = folder / "there"
        for name in list(system.keys()):
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            (there / name).write_bytes(system.get(name))
        left = everything(there)
    elif system.channel == "database":
        left = str([str(value) for row in _all_rows(system) for value in row])
    else:
        left = everything(folder / "consumer")
    _only_agreed(left + told, case, gone=kind in ("postgres", "mariadb", "mysql"))


def _all_rows(system):
    schema = "'public'" if system.connection.type == "postgres" else "database()"
    found = system.query(f"SELECT table_name FROM information_schema.tables WHERE table_schema = {schema}")
    quote = '"' if system.connection.type == "postgres" else "`"
    return [row for (name,) in found for row in system.query(f"SELECT * FROM {quote}{name}{quote}")]


def _only_agreed(left, case, *, gone=False):
    """Searches for each value of both snapshots; `gone`: what the second one replaced is not there any more."""
    key = KEYS.of_consumer("tax")
    for version in (0, 1):
        rows = table(version)
        for name in NAMES:
            protection = case.protections.get(name)
            shown = protect(rows[name].combine_chunks(), protection, key=key).to_pylist()
            for i, form in enumerate(shown):
                raw = str(canary(i, name, version if name != "id" else 0))
                leaves = case.leaves(i, name, version) or (name == "id" and case.leaves(i, name, 0))
                there = leaves and not (gone and not case.leaves(i, name, 1))
                if there and not (gone and version == 0 and name != "id") and form is not None:
                    assert str(form) in left, (name, i)
                # The agreement's own filter names ids; it is not part of a manifest.
                if not leaves or protection:
                    assert raw not in left, (name, i)
                if protection and protection.kind in ("pseudonymise", "dummy") and not leaves:
                    assert str(form) not in left, (name, i)
    assert canary(999, "id") not in left


def test_neither_manifest_nor_error_names_values(tmp_path):
    sent = shipment(tmp_path, replace(AGREEMENT, rows="name = 'c1000v0Zq7XyWkP9mLbTnRs'"), [])
    assert "Zq7XyWkP9mLbTnRs" not in sent.manifest.decode()
    assert "digests" not in json.loads(sent.manifest)


@pytest.mark.parametrize("mode", ["full", "changes"])
def test_a_manifest_lets_nobody_try_what_a_hidden_value_may_be(mode, tmp_path):
    """A hash of a whole row, or of one that stays, would tell a good guess of an income or of a number from a bad one."""
    hidden = {"phone": Protection(kind="mask"), "region_code": Protection(kind="generalise", to="prefix:2")}
    spec = DeliverySpec(channel="folder", connection="c", mode=mode, options={"path": "p"})
    columns = ("resident_id", "phone", "region_code")
    agreed = replace(AGREEMENT, columns=columns, rows="children < 2", protect=hidden, delivery=spec)
    known = {"region_code": "520103", "phone": "13800000000"}
    other = {"region_code": "520999", "phone": "13999999999", "income": 7, "name": "x", "height": 2.0}
    told = [
        shipment(tmp_path / str(n), agreed, [person(0, **known | cells), person(3, **cells)]).manifest
        for n, cells in enumerate(({}, other))
    ]
    assert json.loads(told[0])["counts"]["filtered"] == 1
    assert told[0] == told[1]


def test_representations_hide_keys(tmp_path):
    prepared, _ = ready(tmp_path, AGREEMENT, [])
    assert KEYS.ledger.hex() not in repr(prepared)
