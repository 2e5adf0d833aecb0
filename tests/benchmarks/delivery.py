"""`make bench`: a delivery of 16 columns beside the bare work, in the same run: files, bucket, fan-out, PostgreSQL, changes.

The floor of a database is staging by ADBC and one INSERT from there; of files, reading, masking nothing and writing
parquet. Changes are those of one row in a hundred, on the first day after all was brought and on the days after it. Machines are shared and noisy: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import yaml
from adbc_driver_postgresql import dbapi
from measuring import Timed, machine, medians, timed

from crossdock import dispatch, pipeline, routes, sweep
from crossdock.connections import Connection
from crossdock.contracts.odcs import read_contract
from crossdock.delivery.terms import Terms
from crossdock.demo.provision import provision
from crossdock.display import terminal
from crossdock.exchange import Exchange, open_exchange
from crossdock.foreseen import foresee
from crossdock.ledger.events import EventWriter
from crossdock.rowhash import warm_up
from crossdock.storage.local import LocalStore
from crossdock.storage.records import latest_snapshot
from s3_server import S3
from servers import Postgres, postgres, s3

ROOT = Path(__file__).parents[2]
DATASET = "public_security/population"
FANNED = 10
DAYS = 4  # of changes; on the first one, pages are full and not in PostgreSQL's memory: a changed row goes elsewhere
LEFT_OUT = {"member_no", "updated_at"}
MASKED = {"name": {"mask": {"keepFirst": 1}}}
HIDDEN = MASKED | {"resident_id": "pseudonymise"}  # which no two consumers can share
FILES = {"mode": "full", "path": "p"}


def lay_out(home: Path, rows: int, **servers: Mapping[str, object]) -> Exchange:
    """Makes an exchange with the register at its source, connections to servers too, and agreements with many folders."""
    shutil.copytree(ROOT / "contracts", home / "contracts")
    shutil.copytree(ROOT / "transforms", home / "transforms")
    provision(home, people=rows, enterprises=1_000)
    shutil.rmtree(home / "contracts" / DATASET / "agreements")
    contract = read_contract(home / "contracts" / DATASET / "contract.odcs.yaml", root=home / "contracts")
    columns = [column.name for column in contract.columns if column.name not in LEFT_OUT]
    file = home / "var" / "connections.json"
    connections = json.loads(file.read_text()) | servers
    for number in range(FANNED):
        place = home / "var" / f"consumer{number}"
        place.mkdir()
        connections[f"bench_folder{number}"] = {"conn_type": "fs", "extra": {"path": str(place)}}
        agree(home, f"consumer{number}", columns, HIDDEN, to_folder(number))
    file.write_text(json.dumps(connections))
    exchange = open_exchange(home)
    pipeline.validate(exchange, pipeline.pull(exchange, "civil_affairs/divisions").id)
    pipeline.validate(exchange, pipeline.pull(exchange, DATASET).id)
    _ = exchange.catalogue  # whoever serves several consumers reads all contracts, once
    return exchange


def to_folder(number: int) -> Mapping[str, str]:
    return {"channel": "folder", "connection": f"bench_folder{number}"} | FILES


def to_database(database: Connection) -> Mapping[str, object]:
    """Returns a connection to a PostgreSQL database as the exchange has it in its file."""
    return {"conn_type": "postgres", "host": database.host, "port": database.port, "login": database.login, "schema": database.schema}  # fmt: skip


def to_bucket(store: S3) -> Mapping[str, object]:
    """Returns a connection to a bucket as the exchange has it in its file."""
    login = {"login": store.access_key, "password": store.secret_key, "schema": bucket_in_use(store)}
    return login | {"conn_type": "aws", "extra": store.connection.extra}


def bucket_in_use(store: S3) -> str:
    """Makes a bucket that holds something: for the first object of one, the server makes room on its disk for a second."""
    name = store.new_bucket()
    store.client().put_object(name, "first", BytesIO(b"1"), 1)
    return name


def with_alike(exchange: Exchange) -> Exchange:
    """Opens the exchange anew with new agreements with the consumers of files, who all get the same by them."""
    columns = list(exchange.agreement(f"{DATASET}/consumer0").columns)
    for number in range(FANNED):
        agree(exchange.home, f"consumer{number}", columns, MASKED, to_folder(number))
    opened = open_exchange(exchange.home)
    _ = opened.catalogue
    return opened


def with_servers(exchange: Exchange) -> Exchange:
    """Opens the exchange anew with agreements more: with a bucket and with a database."""
    columns = list(exchange.agreement(f"{DATASET}/consumer0").columns)
    agree(exchange.home, "bucket", columns, HIDDEN, {"channel": "bucket", "connection": "bench_bucket"} | FILES)
    where = {"channel": "database", "connection": "bench_database", "mode": "changes", "table": "population"}
    agree(exchange.home, "database", columns, {}, where)
    return open_exchange(exchange.home)


def agree(home: Path, consumer: str, columns, protect, delivery) -> None:
    (home / "contracts" / consumer).mkdir(exist_ok=True)
    (home / "contracts" / consumer / "department.yaml").write_text(
        f"id: {consumer}\nname: {{zh: 消费方, en: Consumer}}\ncontact: bench@example.org\n"
    )
    terms = {
        "legalBasis": "A benchmark.", "columns": columns, "protect": protect, "delivery": delivery,
        "unprotected": {name: "A benchmark." for name in columns if name not in protect},
    }  # fmt: skip
    document = {
        "apiVersion": "v0.9.0", "kind": "AccessAgreement", "id": f"{consumer}_population", "version": "1.0.0", "status": "approved",
        "description": {"purpose": "A benchmark."}, "startTimestamp": "2026-01-01T00:00:00+08:00", "endTimestamp": "2099-12-31T00:00:00+08:00",
        "provider": {"department": "public_security"}, "consumer": {"department": consumer},
        "customProperties": [{"property": "crossdock", "value": terms}],
    }  # fmt: skip
    file = home / "contracts" / DATASET / "agreements" / f"{consumer}.oaas.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(document, allow_unicode=True))


def change(exchange: Exchange, which: int) -> None:
    """Changes one row in a hundred at the source, others each time, and lets it through."""
    register = exchange.home / "var" / "demo" / "departments" / "public_security" / "registers.db"
    with closing(sqlite3.connect(register)) as database, database:
        (newest,) = database.execute("SELECT max(gxsj) FROM t_population").fetchone()
        later = (datetime.fromisoformat(newest) + timedelta(minutes=1)).isoformat()
        database.execute(
            "UPDATE t_population SET zz = zz || ', changed', gxsj = ? WHERE rowid % 100 = ?", (later, which)
        )
    verdict = pipeline.validate(exchange, pipeline.pull(exchange, DATASET).id)
    if verdict.accepted < 1:
        raise SystemExit(f"the changed rows were not accepted: {verdict.outcome}")


def fanned_out(exchange: Exchange) -> None:
    """Serves all consumers of files; the first has everything by now."""
    found = [outcome.status for outcome in sweep.serve(exchange, DATASET).outcomes]
    if sorted(found) != ["delivered"] * (FANNED - 1) + ["unchanged"]:
        raise SystemExit(f"not everybody was served: {found}")


def bare_database(database, rows: pads.Dataset, columns) -> None:
    uri = f"postgresql://{database.login}@{database.host}:{database.port}/{database.schema}"
    with dbapi.connect(uri) as session, session.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS floor")
        reader = rows.scanner(columns=columns, batch_size=131_072).to_reader()
        cursor.adbc_ingest("floor_staged", reader, mode="create", temporary=True)
        cursor.execute('CREATE TABLE floor (LIKE pg_temp.floor_staged, PRIMARY KEY ("resident_id"))')
        names = ", ".join(columns)
        cursor.execute(f"INSERT INTO floor ({names}) SELECT {names} FROM pg_temp.floor_staged")
        session.commit()


@contextmanager
def ledger_of(times: Timed, name: str) -> Iterator[None]:
    """Notes how long a push is busy with its share events, ledger entry and manifest, and with booking it.

    What it does with events behind its back, where it makes them itself, is not in it.
    """
    spent, put_file = 0.0, LocalStore.put_file

    def watched(part: Callable[..., object]) -> Callable[..., object]:
        def watching(*given: object, **named: object) -> object:
            nonlocal spent
            start = time.perf_counter()
            done = part(*given, **named)
            if part is not put_file or str(given[1]).startswith("ledger/"):
                spent += time.perf_counter() - start
            return done

        return watching

    parts = [
        *((EventWriter, part) for part in ("again", "add", "done", "close")),
        *((LocalStore, part) for part in ("put_file", "put_new")),
        (dispatch, "_entry"), (dispatch, "_book"), (routes, "manifest"),
    ]  # fmt: skip
    with ExitStack() as stack:
        for owner, part in parts:
            stack.enter_context(patch.object(owner, part, watched(getattr(owner, part))))
        yield
    times.setdefault(f"{name}: ledger and manifest", []).append(spent)


def accept_again(exchange: Exchange) -> None:
    """Makes anew what `validate` makes of share events when it accepts the snapshot."""
    shutil.rmtree(exchange.shelf.folder, ignore_errors=True)  # small registers leave nothing there
    snapshot = latest_snapshot(exchange.state, DATASET)
    file = exchange.home / "var" / "store" / snapshot.key
    foresee(exchange, exchange.contract(DATASET), file, sha256=snapshot.sha256, accepted=snapshot.digest)


def ledger(exchange: Exchange, folder: Path, terms: Terms, rows: list[pa.RecordBatch]) -> None:
    """What the ledger takes of a delivery of all rows, which are read anyway: the hash of each record, and its event."""
    with EventWriter(folder / "events.parquet") as events:
        for batch in rows:
            events.add(terms.records(batch), None, "insert")
    exchange.store.put_file("bench/events.parquet", events.path)


def once(folder: Path, rows: int, server: Postgres, store: S3, times: Timed) -> None:
    database, _ = server.new_database()
    exchange = lay_out(folder, rows, bench_database=to_database(database), bench_bucket=to_bucket(store))
    columns = list(exchange.agreement(f"{DATASET}/consumer0").columns)
    snapshot = exchange.dataset(latest_snapshot(exchange.state, DATASET).key)
    # Files first: a database goes on writing to its disk for a while.
    target = folder / "floor.parquet"
    timed(times, "files: floor", lambda: pq.write_table(snapshot.to_table(columns=columns), target, compression="zstd"))
    timed(times, "files: events, made when it is accepted", lambda: accept_again(exchange))
    with ledger_of(times, "files"):
        timed(times, "files", lambda: pipeline.push(exchange, f"{DATASET}/consumer0"))
    timed(times, f"files: {FANNED - 1} more consumers, with own pseudonyms", lambda: fanned_out(exchange))
    exchange = with_alike(exchange)
    accept_again(exchange)
    timed(times, "files: the same columns for all", lambda: pipeline.push(exchange, f"{DATASET}/consumer0"))
    timed(times, f"files: the same columns for all, {FANNED - 1} more", lambda: fanned_out(exchange))
    exchange = with_servers(exchange)
    accept_again(exchange)
    with ledger_of(times, "files: into a bucket"):
        timed(times, "files: into a bucket", lambda: pipeline.push(exchange, f"{DATASET}/bucket"))
    agreement, contract = exchange.agreement(f"{DATASET}/database"), exchange.contract(DATASET)
    terms = Terms.of(agreement, contract, snapshot.schema, exchange.keys, today=None)
    keys = list(snapshot.to_batches(columns=list(contract.primary_key), batch_size=131_072))
    ledger(exchange, folder, terms, keys)  # as in the middle of a push, memory has been touched before
    timed(times, "database: the ledger's part, made by a push", lambda: ledger(exchange, folder, terms, keys))
    # The ledger's before as well: the server goes on with what it was given when it has answered.
    timed(times, "database: floor", lambda: bare_database(database, snapshot, columns))
    with ledger_of(times, "database"):
        timed(times, "database", lambda: pipeline.push(exchange, f"{DATASET}/database"))
    for day in range(DAYS):
        change(exchange, day)
        step = "database: 1 % changed" + ("" if day else ", for the first time")
        timed(times, step, lambda: pipeline.push(exchange, f"{DATASET}/database"))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=200_000)
    words.add_argument("--times", type=int, default=3)
    asked = words.parse_args()
    times: Timed = {}
    warm_up()
    fixtures = postgres.__wrapped__(), s3.__wrapped__()
    servers = [next(fixture) for fixture in fixtures]
    with terminal.progress(asked.times) as advance:
        for number in range(asked.times):
            with tempfile.TemporaryDirectory() as folder:
                once(Path(folder), asked.rows, *servers, times)
            advance(f"run {number + 1}")
    for fixture in fixtures:
        next(fixture, None)
    shown = terminal.table(
        f"{asked.rows:,} rows, median of {asked.times}; {machine('pyarrow', 'adbc-driver-postgresql')}",
        "step", ">seconds", ">rows/s", ">times the floor",
    )  # fmt: skip
    found = medians(times)
    for name, seconds in found.items():
        floor = found[f"{name.partition(':')[0]}: floor"]
        shown.add_row(name, f"{seconds:.3f}", f"{asked.rows / seconds:,.0f}", f"{seconds / floor:.2f}")
    terminal.out.print(shown)


if __name__ == "__main__":
    main()
