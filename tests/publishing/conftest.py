"""A publication of flights, and its releases into a local store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossdock.contracts.agreement import Agreement, Protection
from crossdock.contracts.model import Column, Contract, Department, Label, Rule
from crossdock.keys import Keys
from crossdock.publishing.versions import Release, Version, release
from crossdock.storage.local import LocalStore
from crossdock.storage.open import open_store
from crossdock.storage.store import Store
from s3_server import S3

ROWS = {"carrier": ["UA", "AA", None], "distance": [1400, 1416, 1089], "day": [1, 2, 3]}


def column(name: str, **options: object) -> Column:
    """Returns a column with the same name at its source."""
    return Column(name=name, source_name=name, **{"type": "string", **options})  # type: ignore[arg-type] # test options


CONTRACT = Contract(
    id="transport/flights",
    department="transport",
    dataset="flights",
    version="1.0.0",
    status="active",
    title=Label(zh="航班", en="Flights"),
    description="Flights that departed | all of them.",
    theme="transport",
    sharing="unconditional",
    sharing_basis="",
    subject=None,
    source=None,
    columns=(
        column("carrier", label="承运人", description='The "carrier", by two letters | IATA', key_position=1),
        column("tail", label="机尾号"),
        column("distance", type="integer", required=True, description="Miles"),
        column("day", type="integer"),
    ),
    rules=(Rule(id="carrier.in_set", kind="in_set", columns=("carrier",), args={"values": ("UA", "AA")}),),
    transforms=(),
    digest="c0ffee",
)
PUBLICATION = Agreement(
    id="transport/flights/public",
    dataset="transport/flights",
    provider="transport",
    consumer="public",
    version="1.0.0",
    status="approved",
    purpose="开放数据",
    legal_basis="政府信息公开条例",
    start=datetime(2026, 1, 1, tzinfo=UTC),
    end=datetime(2030, 1, 1, tzinfo=UTC),
    columns=("carrier", "distance", "day"),
    protect={"day": Protection(kind="generalise", to="10")},
    licence="CC-BY-4.0",
    digest="feed",
)
PUBLISHER = Department(id="transport", name=Label(zh="交通运输厅", en="Transport"), contact="", path=Path())


@dataclass
class Press:
    """Releases versions of the publication."""

    folder: Path
    store: Store
    keys: Keys
    made: int = 0
    defaults: dict[str, object] = field(default_factory=dict)

    def prepare(self, rows: Mapping[str, list[object]] = ROWS, *, seq: int = 1, **changes: object) -> Release:
        """Writes the prepared file and returns the release of it."""
        self.made += 1
        path = self.folder / f"prepared-{self.made}.parquet"
        pq.write_table(pa.table(dict(rows)), path, compression="zstd")
        made = Release(
            publication=PUBLICATION,
            contract=CONTRACT,
            publisher=PUBLISHER,
            data=path,
            snapshot=f"snapshot-{seq}",
            snapshot_seq=seq,
            released_at=f"2026-03-{seq:02d}T00:00:00.000000+00:00",
            pseudonym_key=None,
        )
        return replace(made, **(self.defaults | changes))  # type: ignore[arg-type] # test options

    def release(self, rows: Mapping[str, list[object]] = ROWS, *, seq: int = 1, **changes: object) -> Version:
        """Prepares and releases."""
        return release(self.store, self.prepare(rows, seq=seq, **changes), sign=self.keys.sign)


@pytest.fixture
def press(tmp_path: Path) -> Press:
    """A press with an empty store."""
    (tmp_path / "store").mkdir()
    return Press(folder=tmp_path, store=LocalStore(tmp_path / "store"), keys=Keys.open(tmp_path / "keys"))


@pytest.fixture
def content() -> Callable[[Press], dict[str, bytes]]:
    """Returns all objects of a store."""
    return lambda press: {key: press.store.read(key) for key in press.store.list("open/")}


@pytest.fixture
def s3_store(s3: S3) -> Store:
    """An empty store in a bucket of its own."""
    return open_store(f"s3://{s3.new_bucket()}/exchange?connection=store", lambda _: s3.connection)
