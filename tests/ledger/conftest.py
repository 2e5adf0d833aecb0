"""A small exchange without a pipeline: state, store, keys, and deliveries that never left the building."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from crossdock.identity import RowsDigest, canonical, content_id, file_sha256, instant, keyed_hashes
from crossdock.keys import Keys
from crossdock.ledger.book import Body, Entry, append, fingerprint
from crossdock.ledger.events import EventWriter
from crossdock.ledger.own import own_key
from crossdock.storage.local import LocalStore
from crossdock.storage.open import open_store
from crossdock.storage.records import Delivery, complete_delivery, intend_delivery
from crossdock.storage.state import State
from crossdock.storage.store import Ref, Store
from s3_server import S3
from servers import Postgres

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def digest(rows: int, seed: int) -> RowsDigest:
    """Returns some digest of that many rows."""
    dice = random.Random(seed)
    return RowsDigest(rows, dice.getrandbits(64), dice.getrandbits(64)) if rows else RowsDigest()


@dataclass
class World:
    """One exchange's state, store and keys, and the steps of a delivery."""

    root: Path
    state: State
    store: Store
    keys: Keys
    made: int = 0
    shared: dict[str, int] = field(default_factory=dict)

    def body(
        self,
        *,
        inserted: Sequence[str] = (),
        updated: Sequence[str] = (),
        deleted: Sequence[str] = (),
        dataset: str = "public_security/population",
        consumer: str = "tax",
        day: int = 0,
        kind: str = "person",
        subjects: Sequence[str] | None = None,
        unchanged: int = 0,
        filtered: int = 0,
    ) -> Body:
        """Writes events and manifest of a delivery of the named records, and returns its body; books nothing."""
        self.made += 1
        delivery = content_id("delivery", self.made)
        path = self.root / f"{delivery}.parquet"
        with EventWriter(path) as writer:
            for words, operation in ((inserted, "insert"), (updated, "update"), (deleted, "delete")):
                record = self.hashes(words, kind if subjects is None else dataset)
                subject = None if subjects is None else self.hashes(subjects[: len(words)], kind)
                writer.add(record, subject, operation)
        sha256 = file_sha256(path)
        key = own_key(delivery, sha256)
        self.store.put_file(key, path)
        sent = len(inserted) + len(updated)
        counts = {
            "accepted": sent + unchanged + filtered,
            "inserted": len(inserted),
            "updated": len(updated),
            "deleted": len(deleted),
            "unchanged": unchanged,
            "filtered": filtered,
        }
        parts = {
            "delivered": digest(sent, self.made),
            "unchanged": digest(unchanged, -self.made),
            "filtered": digest(filtered, 7 * self.made),
        }
        manifest = {"delivery": delivery, "dataset": {"id": dataset, "title": {"zh": "人口"}}, "counts": counts}
        data = canonical({**manifest, "signature": self.keys.sign(canonical(manifest))})
        manifest_key = f"outbox/{consumer}/{delivery}/manifest.json"
        self.store.put_new(manifest_key, data)
        return Body(
            delivery=delivery,
            dataset=dataset,
            department=dataset.split("/", maxsplit=1)[0],
            theme="population",
            sharing="conditional",
            subject=kind,
            consumer=consumer,
            agreement=f"{dataset}/{consumer}",
            agreement_version="1.0.0",
            contract_version="1.2.0",
            purpose="核定税额",
            legal_basis="税收征收管理法 第六条",
            withheld_until="",
            columns=("resident_id", "name"),
            channel="database",
            mode="changes",
            snapshot=content_id("snapshot", self.made),
            counts=counts,
            digests={
                name: str(part) for name, part in {**parts, "accepted": sum(parts.values(), RowsDigest())}.items()
            },
            events=Ref(key=key, rows=writer.rows, sha256=sha256),
            events_tree=writer.tree,
            manifest_key=manifest_key,
            manifest_sha256=content_hash(data),
            delivered_at=instant(START + timedelta(days=day, seconds=self.made)),
            record="",
        )

    def intend(self, body: Body) -> Delivery:
        """Records the intent of a delivery, as it will be completed."""
        intent = Delivery(
            id=body.delivery,
            agreement=body.agreement,
            agreement_version=body.agreement_version,
            agreement_digest="0",
            dataset=body.dataset,
            department=body.department,
            consumer=body.consumer,
            channel=body.channel,
            mode=body.mode,
            snapshot=body.snapshot,
            snapshot_seq=self.made,
            intended_at=body.delivered_at,
            delivered_at=body.delivered_at,
            counts=dict(body.counts),
            digests=dict(body.digests),
            manifest_key=body.manifest_key,
            manifest_sha256=body.manifest_sha256,
            receipt={"delivery_id": body.delivery, "location": "table population", "digest": body.manifest_sha256},
        )
        intend_delivery(self.state, intent)
        return intent

    def book(self, body: Body) -> Entry:
        """Completes a delivery: the one transaction."""
        intent = self.intend(body)
        with self.state.begin() as connection:
            assert complete_delivery(connection, intent)
            return append(connection, replace(body, record=fingerprint(intent)))

    def deliver(self, *inserted: str, **options: object) -> Entry:
        """Delivers the named records and books them."""
        return self.book(self.body(inserted=inserted, **options))  # type: ignore[arg-type] # options of body

    def hashes(self, words: Sequence[str], domain: str) -> pa.Array:
        """Returns record or subject hashes as delivery makes them."""
        rows = pa.table({"id": pa.array(words, pa.string())})
        return keyed_hashes(rows, ["id"], key=self.keys.ledger, domain=domain)


def content_hash(data: bytes) -> str:
    """Returns SHA-256 as hex."""
    return hashlib.sha256(data).hexdigest()


def build(root: Path, url: str | None = None) -> World:
    """Makes an empty exchange."""
    root.mkdir(parents=True, exist_ok=True)
    store = LocalStore(root / "store")
    store.root.mkdir()
    state = State.open(url or f"sqlite:///{root / 'state.db'}")
    return World(root=root, state=state, store=store, keys=Keys.open(root / "keys"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty exchange."""
    return build(tmp_path)


@pytest.fixture
def worlds(tmp_path: Path) -> Callable[[], World]:
    """Makes a fresh exchange at each call, for hypothesis."""
    made = iter(range(1_000_000))
    return lambda: build(tmp_path / str(next(made)))


@pytest.fixture
def world_on_postgres(tmp_path: Path, postgres: Postgres) -> Iterator[World]:
    """An empty exchange whose state is in PostgreSQL."""
    world = build(tmp_path / "pg", postgres.new_database()[1])
    yield world
    world.state.engine.dispose()


@pytest.fixture
def world_on_s3(tmp_path: Path, s3: S3) -> World:
    """An empty exchange whose store is a bucket."""
    world = build(tmp_path / "s3")
    world.store = open_store(f"s3://{s3.new_bucket()}/exchange?connection=store", lambda _: s3.connection)
    return world
