"""`make bench`: one table from PostgreSQL into parquet and into PostgreSQL (by key), by dlt and by crossdock, in the same run.

dlt pulls and loads. crossdock judges every row by the contract in between, protects what leaves under an agreement, signs
and books; so its times stand with and without the judging, and those of `pull` alone, which writes parquet as well,
beside. dlt runs in a process of its own with packages of its own; its imports are not counted, and neither are ours.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
from measuring import Timed, machine, medians, timed

from crossdock import pipeline
from crossdock.connections import Connection
from crossdock.display import terminal
from crossdock.rowhash import warm_up
from delivery import DATASET, lay_out, to_database, with_servers
from servers import Postgres, postgres
from validation import python_with

PACKAGES = (
    "dlt[postgres,parquet,sql_database]==1.31.0",
    "connectorx",
    "adbc-driver-postgresql==1.13.0",
    "psycopg[binary]",
)
SCRIPT = Path(__file__).parent / "engines" / "dlt_load.py"
WAYS = [  # target, backend, file format
    ("parquet", "pyarrow", "parquet"),
    ("parquet", "connectorx", "parquet"),
    ("postgresql", "pyarrow", "csv"),
    ("postgresql", "pyarrow", "parquet"),
    ("postgresql", "connectorx", "parquet"),
    ("postgresql", "sqlalchemy", "insert_values"),
]


def move(home: Path, database: Connection) -> None:
    """Puts the register into a PostgreSQL database, and the exchange's connection with it.

    Everything is text there: dlt ends at the first date that is none, and some are.
    """
    (register,) = home.rglob("registers.db")
    with (
        adbc_driver_sqlite.dbapi.connect(str(register)) as source,
        adbc_driver_postgresql.dbapi.connect(plain_url(database)) as target,
        source.cursor() as rows,
        target.cursor() as cursor,
    ):
        rows.execute("SELECT name FROM pragma_table_info('t_population')")
        names = rows.fetch_arrow_table()["name"].to_pylist()
        rows.execute(f"SELECT {', '.join(f'CAST({name} AS TEXT) AS {name}' for name in names)} FROM t_population")
        cursor.adbc_ingest("t_population", rows.fetch_record_batch(), mode="create")
        target.commit()
    file = home / "var" / "connections.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"dept_public_security": to_database(database)}))


def plain_url(database: Connection) -> str:
    return f"postgresql://{database.login}:any@{database.host}:{database.port}/{database.schema}"


def once(folder: Path, rows: int, server: Postgres, times: Timed, failed: dict[str, str]) -> None:
    database, _ = server.new_database()
    held, _ = server.new_database()
    exchange = lay_out(folder / "exchange", rows, bench_database=to_database(database))
    move(folder / "exchange", held)
    extract = timed(times, "parquet: crossdock, pull alone", lambda: pipeline.pull(exchange, DATASET))
    timed(times, "judge", lambda: pipeline.validate(exchange, extract.id))
    pulled, judged = (times[step][-1] for step in ("parquet: crossdock, pull alone", "judge"))
    for target, consumer in (("parquet", "consumer0"), ("postgresql", "database")):
        exchange = with_servers(exchange) if target == "postgresql" else exchange
        agreement = f"{DATASET}/{consumer}"
        timed(times, consumer, lambda exchange=exchange, agreement=agreement: pipeline.push(exchange, agreement))
        loaded = pulled + times[consumer][-1]
        times.setdefault(f"{target}: crossdock, pull + push", []).append(loaded)
        times.setdefault(f"{target}: crossdock, pull + validate + push", []).append(loaded + judged)
    for number, (target, backend, form) in enumerate(WAYS):
        name, place = f"{target}: dlt, {backend}, {form}", folder / f"dlt{number}"
        place.mkdir()
        order = {
            "source": plain_url(held), "table": "t_population", "backend": backend, "format": form,
            "key": "sfzh", "merge": target == "postgresql", "folder": str(place / "work"),
            "target": plain_url(server.new_database()[0]) if target == "postgresql" else (place / "out").as_uri(),
        }  # fmt: skip
        done = subprocess.run([*python_with(PACKAGES), SCRIPT], input=json.dumps(order), capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            failed[name] = (done.stderr.strip().splitlines() or ["no word"])[-1][:160]
        else:
            times.setdefault(name, []).append(float(done.stdout.split()[-1]))
        shutil.rmtree(place)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=200_000)
    words.add_argument("--times", type=int, default=3)
    asked = words.parse_args()
    times: Timed = {}
    warm_up()
    failed: dict[str, str] = {}
    fixture = postgres.__wrapped__()
    server = next(fixture)
    with terminal.progress(asked.times) as advance:
        for number in range(asked.times):
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "exchange").mkdir()
                once(Path(folder), asked.rows, server, times, failed)
            advance(f"run {number + 1}")
    next(fixture, None)
    shown = terminal.table(
        f"{asked.rows:,} rows, median of {asked.times}; {machine('pyarrow', 'adbc-driver-postgresql')}",
        "target: way", ">seconds", ">rows/s",
    )  # fmt: skip
    for name, seconds in sorted(medians(times).items(), key=lambda pair: (pair[0].partition(":")[0], pair[1])):
        if ":" in name:
            shown.add_row(name, f"{seconds:.2f}", f"{asked.rows / seconds:,.0f}")
    terminal.out.print(shown)
    for name, why in failed.items():
        terminal.out.print(f"[yellow]{name} failed[/]: {why}")


if __name__ == "__main__":
    main()
