"""`make bench`: the ledger at 19 million share events and more: written, counted, looked up and verified.

The same events, in the same run, are put into PostgreSQL (COPY, one index) and into a DuckDB table, and asked the same.
`--events 190000000` does the whole at ten times the size (15 minutes, and 20 GB for the databases beside; `--alone`
leaves them out). Every event is made anew, of as many people as a province has; no file is read twice.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from measuring import Timed, machine, medians, timed

from crossdock.display import terminal
from crossdock.identity import RowsDigest, canonical, content_id, file_sha256, instant
from crossdock.keys import Keys
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import Body, append, fingerprint
from crossdock.ledger.compaction import compact
from crossdock.ledger.counts import count
from crossdock.ledger.events import HASH, OPERATIONS, EventWriter
from crossdock.ledger.heads import sign_heads
from crossdock.ledger.own import own_key
from crossdock.ledger.subjects import who
from crossdock.ledger.verify import verify
from crossdock.storage.local import LocalStore
from crossdock.storage.records import Delivery, complete_delivery, intend_delivery
from crossdock.storage.state import State
from crossdock.storage.store import Ref
from servers import postgres

YEAR = 365
DEPARTMENTS, DATASETS, CONSUMERS = 66, 500, 40
PEOPLE_PER_EVENT = 3  # every person is in about so many events
BY = ("department", "dataset", "consumer", "day")
START = datetime(2026, 1, 1, 3, tzinfo=UTC)
ROUNDS = 7
LARGE = 4 << 20  # events of a large delivery
WRITERS = 10


class Made:
    """Deliveries of random sizes: most are small, few are large, as those of a province are."""

    def __init__(self, events: int, deliveries: int) -> None:
        self.dice = np.random.default_rng(19)
        sizes = self.dice.pareto(1.1, deliveries) + 0.05
        self.sizes = np.maximum((sizes / sizes.sum() * events).astype(int), 1)
        self.people = self.dice.integers(0, 256, (max(events // PEOPLE_PER_EVENT, 10), 16), np.uint8)
        self.deliveries = deliveries

    def batch(self, rows: int) -> tuple[pa.Array, pa.Array]:
        """Returns hashes of whom the events of a delivery are about, each once, and the operations."""
        start = int(self.dice.integers(0, max(len(self.people) - rows, 1)))
        picked = self.people[start : start + rows]
        if len(picked) < rows:
            picked = np.concatenate([picked, self.dice.integers(0, 256, (rows - len(picked), 16), np.uint8)])
        shuffled = picked[self.dice.permutation(rows)]
        hashes = pa.FixedSizeBinaryArray.from_buffers(HASH, rows, [None, pa.py_buffer(shuffled.tobytes())])
        codes = self.dice.choice(3, rows, p=[0.8, 0.15, 0.05]).astype(np.int8)
        return hashes, pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(OPERATIONS))


def body_of(number: int, writer: EventWriter, events: Ref, manifest: tuple[str, str], day: int) -> Body:
    dataset, consumer = number % DATASETS, number // DATASETS % CONSUMERS
    department = f"department_{dataset % DEPARTMENTS:02}"
    shared = writer.counts["insert"] + writer.counts["update"]
    digest = str(RowsDigest(shared, number, number) if shared else RowsDigest())
    nothing = str(RowsDigest())
    counts = {"accepted": shared, "inserted": writer.counts["insert"], "updated": writer.counts["update"]}
    counts |= {"deleted": writer.counts["delete"], "unchanged": 0, "filtered": 0}
    name = f"{department}/dataset_{dataset:03}"
    return Body(
        delivery=content_id("delivery", number), dataset=name, department=department, theme=f"theme_{dataset % 20}",
        sharing="conditional", subject="person", consumer=f"consumer_{consumer:02}",
        agreement=f"{name}/consumer_{consumer:02}", agreement_version="1.0.0", contract_version="1.0.0",
        purpose="核定税额", legal_basis="税收征收管理法 第六条", withheld_until="", columns=("resident_id", "name"),
        channel="database", mode="changes", snapshot=content_id("snapshot", number), counts=counts,
        digests={"accepted": digest, "delivered": digest, "unchanged": nothing, "filtered": nothing},
        events=events, events_tree=writer.tree, manifest_key=manifest[0], manifest_sha256=manifest[1],
        delivered_at=instant(START + timedelta(days=day, seconds=number % 60_000)), record="",
    )  # fmt: skip


def intent_of(body: Body) -> Delivery:
    return Delivery(
        id=body.delivery, agreement=body.agreement, agreement_version="1.0.0", agreement_digest="0",
        dataset=body.dataset, department=body.department, consumer=body.consumer, channel=body.channel, mode=body.mode,
        snapshot=body.snapshot, snapshot_seq=1, intended_at=body.delivered_at, delivered_at=body.delivered_at,
        counts=dict(body.counts), digests=dict(body.digests), manifest_key=body.manifest_key,
        manifest_sha256=body.manifest_sha256, receipt={"delivery_id": body.delivery, "location": "t", "digest": "0"},
    )  # fmt: skip


def book(state: State, body: Body) -> None:
    """The one transaction that completes a delivery."""
    intent = intent_of(body)
    intend_delivery(state, intent)
    with state.begin() as connection:
        complete_delivery(connection, intent)
        append(connection, replace(body, record=fingerprint(intent)))


def manifest_of(world: SimpleNamespace, number: int) -> tuple[str, str]:
    data = canonical({"delivery": content_id("delivery", number)})
    signed = canonical({"delivery": content_id("delivery", number), "signature": world.keys.sign(data)})
    key = f"outbox/c/{content_id('delivery', number)}/manifest.json"
    world.store.put_new(key, signed)
    return key, hashlib.sha256(signed).hexdigest()


def fill(world: SimpleNamespace, made: Made, beside: list[SimpleNamespace], times: Timed) -> int:
    """Writes and books every delivery; puts the same events into the databases beside. Returns how many events there are."""
    total, written, worked = 0, 0.0, 0.0
    with terminal.progress(10) as step:
        for number, rows in enumerate(made.sizes.tolist()):
            day = number * YEAR // made.deliveries
            subject, operation = made.batch(rows)
            path = world.root / "events.parquet"
            start, began = time.perf_counter(), time.process_time()
            writer = write(path, subject, operation)
            worked += time.process_time() - began
            written += time.perf_counter() - start
            sha256 = file_sha256(path)
            key = own_key(content_id("delivery", number), sha256)
            world.store.put_file(key, path)
            ref = Ref(key=key, rows=rows, sha256=sha256)
            body = body_of(number, writer, ref, manifest_of(world, number), day)
            book(world.state, body)
            for other in beside:
                other.add(body, subject, operation)
            total += rows
            if number * 10 // made.deliveries < (number + 1) * 10 // made.deliveries:
                step(f"{number + 1:,} deliveries")
    times["append, delivery by delivery, million events/s"] = [total / written / 1e6]
    times["append, delivery by delivery, million events/s of a processor"] = [total / worked / 1e6]
    return total


def write(path: Path, subject: pa.Array, operation: pa.Array) -> EventWriter:
    with EventWriter(path) as writer:
        for at in range(0, len(subject), 131_072):
            writer.add(subject[at : at + 131_072], None, operation[at : at + 131_072])
    return writer


def append_large(world: SimpleNamespace, made: Made, times: Timed) -> None:
    """Writes the events of one large delivery, several times: what a core does without a file per few events."""
    subject, operation = made.batch(LARGE)
    for _ in range(ROUNDS):
        began = time.process_time()
        write(world.root / "large.parquet", subject, operation)
        rate = LARGE / (time.process_time() - began) / 1e6
        times.setdefault("append, one large delivery, million events/s of a processor", []).append(rate)


def duckdb_beside(root: Path) -> SimpleNamespace:
    database = duckdb.connect(str(root / "beside.duckdb"), config={"memory_limit": "8GB"})
    database.execute(
        "CREATE TABLE event (subject BLOB, operation VARCHAR, department VARCHAR, dataset VARCHAR, consumer VARCHAR, "
        "day DATE, delivery VARCHAR)"
    )

    def add(body: Body, subject: pa.Array, operation: pa.Array) -> None:
        found = pa.table({"subject": subject.cast(pa.binary()), "operation": operation.dictionary_decode()})
        database.register("found", found)
        values = [body.department, body.dataset, body.consumer, body.day, body.delivery]
        database.execute("INSERT INTO event SELECT subject, operation, ?, ?, ?, CAST(? AS DATE), ? FROM found", values)
        database.unregister("found")

    def counted() -> int:
        sql = f"SELECT {', '.join(BY)}, count(*) FROM event WHERE operation <> 'delete' GROUP BY ALL"
        return sum(row[-1] for row in database.execute(sql).fetchall())

    def found(subject: bytes) -> int:
        return len(
            database.execute(
                "SELECT delivery, operation, count(*) FROM event WHERE subject = ? GROUP BY ALL", [subject]
            ).fetchall()
        )

    def ready() -> None:
        database.execute("CHECKPOINT")

    size = lambda: (root / "beside.duckdb").stat().st_size  # noqa: E731
    return SimpleNamespace(
        name="DuckDB table", add=add, count=counted, find=found, size=size, ready=ready, close=database.close
    )


def postgres_beside(url: str) -> SimpleNamespace:
    connection = adbc.connect(url.replace("+psycopg", ""))
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE UNLOGGED TABLE event (subject bytea, operation text, department text, dataset text, consumer text, "
            "day text, delivery text)"
        )
    connection.commit()

    def add(body: Body, subject: pa.Array, operation: pa.Array) -> None:
        rows = len(subject)
        more = {name: pa.repeat(getattr(body, name), rows) for name in (*BY, "delivery")}
        found = pa.table({"subject": subject.cast(pa.binary()), "operation": operation.dictionary_decode(), **more})
        with connection.cursor() as cursor:
            cursor.adbc_ingest("event", found, mode="append")  # COPY
        connection.commit()

    def ask(sql: str) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def counted() -> int:
        return sum(
            row[-1]
            for row in ask(
                f"SELECT {', '.join(BY)}, count(*) FROM event WHERE operation <> 'delete' GROUP BY 1, 2, 3, 4"
            )
        )

    def found(subject: bytes) -> int:
        return len(
            ask(f"SELECT delivery, operation, count(*) FROM event WHERE subject = '\\x{subject.hex()}' GROUP BY 1, 2")
        )

    def ready() -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE INDEX ON event (subject)")
            cursor.execute("ANALYZE event")
        connection.commit()

    size = lambda: ask("SELECT pg_total_relation_size('event')")[0][0]  # noqa: E731
    return SimpleNamespace(
        name="PostgreSQL", add=add, count=counted, find=found, size=size, ready=ready, close=connection.close
    )


def both(times: Timed, name: str, work: Callable[[], object]) -> object:
    """Notes a work's seconds, and those that processors were at it: others on the machine do not change them much."""
    began = time.process_time()
    result = timed(times, name, work)
    times.setdefault(f"{name}, processor", []).append(time.process_time() - began)
    return result


def writers_at_once(world: SimpleNamespace, made: Made, times: Timed, url: str | None) -> None:
    """Ten threads book deliveries at the same time; one books as many alone. Every one must be in the chain."""
    for where, address in (("SQLite", f"sqlite:///{world.root / 'busy.db'}"), ("PostgreSQL", url)):
        if address is None:
            continue
        state, each = State.open(address), 40
        bodies = []
        for number in range(each * (WRITERS + 1)):
            with EventWriter(world.root / "few.parquet") as writer:
                writer.add(*[made.batch(50)[0], None, "insert"])
            bodies.append(body_of(number, writer, Ref(key="k", rows=50, sha256="0"), ("k", "0"), 0))
        alone, together = bodies[:each], bodies[each:]
        start = time.perf_counter()
        for body in alone:
            book(state, body)
        one = each / (time.perf_counter() - start)
        waits: list[float] = []

        def work(part: list[Body], state: State = state, waits: list[float] = waits) -> None:
            for body in part:
                begun = time.perf_counter()
                book(state, body)
                waits.append(time.perf_counter() - begun)

        start = time.perf_counter()
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(work, [together[n::WRITERS] for n in range(WRITERS)]))
        ten = len(together) / (time.perf_counter() - start)
        times[f"deliveries booked per second, {where}: one writer"] = [one]
        times[f"deliveries booked per second, {where}: {WRITERS} writers"] = [ten]
        times[f"longest wait of {WRITERS} writers, {where}, s"] = [max(waits)]
        with state.connect() as connection:
            assert connection.scalar(sa.text("SELECT count(*) FROM ledger_entry")) == len(bodies)
            assert connection.scalar(sa.text("SELECT max(seq) FROM ledger_entry")) == len(bodies)
        state.engine.dispose()


def measure(world: SimpleNamespace, made: Made, beside: list[SimpleNamespace], times: Timed) -> None:
    state, store, keys = world.state, world.store, world.keys
    someone = made.people[len(made.people) // 2].tobytes()
    shares = count(state, store, by=()).shares
    for _ in range(ROUNDS):
        recounted = both(times, "count by 4 from the files", lambda: count(state, store, by=BY, recount=True))
        booked = both(times, "count by 4 from the rollup", lambda: count(state, store, by=BY))
        assert recounted == booked
        assert recounted.shares == shares
        found = timed(times, "who received", lambda: Archive.open(state, store).find([someone]))
        timed(times, "who received, by four spellings", lambda: who(state, store, keys, "11010119900307123x"))
        for other in beside:
            assert timed(times, f"count by 4, {other.name}", other.count) == shares
            rows = timed(times, f"who received, {other.name}", lambda other=other: other.find(someone))
            assert rows == sum(len(tally) for _, tally in found)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=19_000_000)
    options.add_argument("--deliveries", type=int, default=0, help="how many; by default one per 1,900 events")
    options.add_argument("--alone", action="store_true", help="without the databases beside")
    said = options.parse_args()
    times: Timed = {}
    made = Made(said.events, said.deliveries or max(said.events // 1_900, 1))
    with tempfile.TemporaryDirectory() as folder, contextmanager(postgres.__wrapped__)() as server:
        root = Path(folder)
        (root / "store").mkdir()
        world = SimpleNamespace(
            root=root,
            store=LocalStore(root / "store"),
            state=State.open(f"sqlite:///{root / 'state.db'}"),
            keys=Keys.open(root / "keys"),
        )
        beside = [] if said.alone else [duckdb_beside(root), postgres_beside(server.new_database()[1])]
        append_large(world, made, times)
        total = fill(world, made, beside, times)
        for other in beside:
            timed(times, f"ready, {other.name}", other.ready)
        loose = size_of(root / "store" / "ledger" / "events")
        timed(times, "sign", lambda: sign_heads(world.state, world.store, world.keys))
        assert (
            both(times, "verify, one file a delivery", lambda: verify(world.state, world.store, world.keys.public()))
            == []
        )
        (root / "scratch").mkdir()
        timed(times, "compact", lambda: compact(world.state, world.store, root / "scratch"))
        compact(world.state, world.store, root / "scratch")
        assert both(times, "verify, compacted", lambda: verify(world.state, world.store, world.keys.public())) == []
        measure(world, made, beside, times)
        figures = medians(times)
        figures |= {"bytes per event, one file a delivery": loose / total}
        figures |= {"bytes per event, compacted": size_of(root / "store" / "ledger") / total}
        figures |= {f"bytes per event, {other.name}": other.size() / total for other in beside}
        writers_at_once(world, made, times, server.new_database()[1])
        figures |= medians(times)
        for other in beside:
            other.close()
        world.state.engine.dispose()
    show(figures, total)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def show(figures: dict[str, float], total: int) -> None:
    where = machine("pyarrow", "duckdb", "adbc-driver-postgresql")
    table = terminal.table(
        f"The ledger at {total:,} events ({where}), medians", "what", ">seconds, unless it says otherwise"
    )
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3f}")
    terminal.out.print(table)


if __name__ == "__main__":
    main()
