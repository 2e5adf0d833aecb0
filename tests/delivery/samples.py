"""A small register with an agreement about it, for the tests of delivery."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crossdock.contracts.agreement import Agreement, DeliverySpec
from crossdock.contracts.model import Column, Contract, Label, Subject
from crossdock.delivery.changes import Received
from crossdock.delivery.channels.channel import Shipment
from crossdock.delivery.manifest import Consignment, manifest
from crossdock.delivery.prepare import prepare
from crossdock.delivery.prepared import Prepared
from crossdock.delivery.terms import Terms
from crossdock.keys import Keys

KEYS = Keys(ledger=b"l" * 32, protection=b"p" * 32, signing=Ed25519PrivateKey.from_private_bytes(b"s" * 32))
NOW = datetime(2026, 6, 1, tzinfo=UTC)

SCHEMA = pa.schema(
    [
        pa.field("resident_id", pa.string(), nullable=False),
        ("name", pa.string()),
        ("phone", pa.string()),
        ("birth_date", pa.date32()),
        ("region_code", pa.string()),
        ("income", pa.decimal128(12, 2)),
        ("children", pa.int64()),
        ("height", pa.float64()),
        ("alive", pa.bool_()),
        ("updated_at", pa.timestamp("us", tz="UTC")),
        ("noted_at", pa.timestamp("us")),
        ("opens", pa.time64("us")),
    ]
)
_TYPES = {
    "resident_id": {"type": "string", "key_position": 1, "required": True},
    "birth_date": {"type": "date"},
    "income": {"type": "number", "precision": 12, "scale": 2},
    "children": {"type": "integer"},
    "height": {"type": "number"},
    "alive": {"type": "boolean"},
    "updated_at": {"type": "timestamp", "timezone": True},
    "noted_at": {"type": "timestamp"},
    "opens": {"type": "time"},
}
CONTRACT = Contract(
    id="public_security/population",
    department="public_security",
    dataset="population",
    version="1.0.0",
    status="active",
    title=Label(zh="人口登记", en="Population register"),
    description="",
    theme="population",
    sharing="conditional",
    sharing_basis="Article 1",
    subject=Subject(kind="person", column="resident_id"),
    source=None,
    columns=tuple(Column(name=name, source_name=name, **_TYPES.get(name, {"type": "string"})) for name in SCHEMA.names),
    rules=(),
    transforms=(),
    digest="c1",
)
AGREEMENT = Agreement(
    id="public_security/population/tax",
    dataset=CONTRACT.id,
    provider="public_security",
    consumer="tax",
    version="1.0.0",
    status="approved",
    purpose="Assessment of income tax",
    legal_basis="Article 2",
    start=datetime(2026, 1, 1, tzinfo=UTC),
    end=datetime(2027, 1, 1, tzinfo=UTC),
    columns=("resident_id", "name"),
    delivery=DeliverySpec(channel="folder", connection="consumer_tax", mode="full", options={"path": "population"}),
    data_life="P1Y",
    digest="a1",
)


def agreement(*columns, mode="full", channel="folder", options=None, **changes):
    """The agreement with other columns, delivery or fields."""
    spec = DeliverySpec(
        channel=channel,
        connection="consumer_tax",
        mode=mode,
        options=options or {"path": "population", "table": "population"},
    )
    return replace(AGREEMENT, columns=columns or AGREEMENT.columns, delivery=spec, **changes)


def person(number, **values):
    """One row, with defaults that differ by number."""
    row = {
        "resident_id": f"5201031990010{number:05d}",
        "name": f"姓名{number}",
        "phone": f"138{number:08d}",
        "birth_date": date(1990, 1, 1 + number % 28),
        "region_code": "520103" if number % 2 else "110101",
        "income": Decimal(number) + Decimal("0.50"),
        "children": number % 4,
        "height": 1.5 + number / 100,
        "alive": True,
        "updated_at": datetime(2026, 1, 1, 8, number % 60, tzinfo=UTC),
        "noted_at": datetime.fromisoformat("2026-01-01T08:00:00.000123"),
        "opens": datetime(2026, 1, 1, 8, 30, tzinfo=UTC).time(),
    }
    return row | values


def snapshot(folder: Path, rows, *, schema=SCHEMA, name="snapshot.parquet") -> pads.Dataset:
    """Writes rows as a snapshot file and opens it."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), schema)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name, row_group_size=3)
    return pads.dataset(folder / name, format="parquet")


@dataclass
class Recorder:
    """Share events in memory."""

    events: list = field(default_factory=list)

    def add(self, record, subject, operation):
        operations = [operation] * len(record) if isinstance(operation, str) else operation.to_pylist()
        subjects = [None] * len(record) if subject is None else subject.to_pylist()
        self.events += zip(record.to_pylist(), subjects, operations, strict=True)

    def done(self):
        pass

    def again(self, _name):
        return False

    def keep(self, _name):
        pass

    def count(self, operation):
        return sum(1 for event in self.events if event[2] == operation)


def ready(
    folder: Path, agreed, rows, *, previous=None, contract=CONTRACT, keys=KEYS, **more
) -> tuple[Prepared, Recorder]:
    """Prepares a delivery of rows in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    events = Recorder()
    source = rows if isinstance(rows, pads.Dataset) else snapshot(folder / "in", rows)
    scratch = folder / "scratch"
    scratch.mkdir()
    terms = Terms.of(agreed, contract, source.schema, keys, today=NOW.date())
    prepared = prepare(agreed, terms, source, previous=previous, scratch=scratch, events=events, **more)
    return prepared, events


def held(prepared: Prepared, delivery="d1") -> Received:
    """What the consumer holds after a delivery of changes."""
    return Received.open(delivery, prepared.received)


def rows_of(path: Path):
    """A parquet file's rows."""
    return pq.read_table(path).to_pylist()


def shipment(folder: Path, agreed, rows, *, sequence=1, delivery_id=None, previous=None, contract=CONTRACT) -> Shipment:
    """A whole shipment, ready for a channel."""
    prepared, _ = ready(folder, agreed, rows, previous=previous, contract=contract)
    consignment = Consignment(
        delivery_id=delivery_id or f"d{sequence}",
        agreement=agreed,
        contract=contract,
        snapshot=f"s{sequence}",
        sequence=sequence,
        intended_at=f"2026-06-01T00:00:{sequence:02d}.000000+00:00",
        prepared=prepared,
    )
    return Shipment(consignment=consignment, manifest=manifest(consignment, KEYS), sign=KEYS.sign)
