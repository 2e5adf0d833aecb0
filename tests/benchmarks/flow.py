"""`make bench`: how fast records flow, beside the bare floor and Great Expectations on pandas, in the same run.

Each step runs several times on a fresh exchange over the population register of the demo; medians are printed. A floor is
the least that anyone must do for the same step: read the table and write parquet, scan the file, filter and write.
Machines are shared and noisy: read the ratios.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import warnings
from pathlib import Path

import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from measuring import Timed, machine, medians, timed

from crossdock import pipeline
from crossdock.demo.provision import provision
from crossdock.display import terminal
from crossdock.exchange import Exchange, open_exchange
from crossdock.ledger.counts import count
from crossdock.storage.records import extract_by_id, latest_snapshot
from crossdock.validation.plan import plan
from crossdock.validation.suite import expectation_of

ROOT = Path(__file__).parents[2]
DATASET, AGREEMENT = "public_security/population", "public_security/population/statistics"
PANDAS_KINDS = {"not_null", "unique", "in_set", "not_in_set", "pattern", "length", "between", "ordered"}


def once(home: Path, rows: int, times: Timed) -> None:
    """Takes one register through the verbs, and through the floors beside them."""
    shutil.copytree(ROOT / "contracts", home / "contracts")
    shutil.copytree(ROOT / "transforms", home / "transforms")
    province = provision(home, people=rows, enterprises=1_000)
    exchange = open_exchange(home)
    pipeline.validate(exchange, pipeline.pull(exchange, "civil_affairs/divisions").id)
    database = province.folder / "departments" / "public_security" / "registers.db"
    timed(times, "pull: floor", lambda: bare_pull(database, home / "floor.parquet"))
    extract = timed(times, "pull", lambda: pipeline.pull(exchange, DATASET))
    landing = exchange.dataset(extract.key)
    timed(times, "validate: floor", lambda: bare_scan(landing))
    timed(times, "validate", lambda: pipeline.validate(exchange, extract.id))
    snapshot = exchange.dataset(latest_snapshot(exchange.state, DATASET).key)
    timed(times, "validate: GX on pandas", lambda: pandas_validate(exchange, snapshot))
    timed(times, "push: floor", lambda: bare_push(exchange, snapshot, home / "floor_push.parquet"))
    timed(times, "push", lambda: pipeline.push(exchange, AGREEMENT))
    timed(times, "count", lambda: count(exchange.state, exchange.store, by=("consumer",)))
    timed(times, "recount", lambda: count(exchange.state, exchange.store, by=("consumer",), recount=True))
    assert extract_by_id(exchange.state, extract.id).rows == rows


def bare_pull(database: Path, target: Path) -> None:
    with adbc_driver_sqlite.dbapi.connect(str(database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT " + ", ".join(f"CAST({name} AS TEXT) AS {name}" for name in _columns(cursor)) + " FROM t_population"
        )
        reader = cursor.fetch_record_batch()
        with pq.ParquetWriter(target, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)


def _columns(cursor: adbc_driver_sqlite.dbapi.Cursor) -> list[str]:
    cursor.execute("SELECT name FROM pragma_table_info('t_population')")
    return cursor.fetch_arrow_table()["name"].to_pylist()


def bare_scan(extract: pads.Dataset) -> None:
    for batch in extract.to_batches():
        for column in batch.columns:
            pc.count(column)


def pandas_validate(exchange: Exchange, snapshot: pads.Dataset) -> None:
    """Judges the typed rows by GX on pandas: the contract's rules that GX itself can run, result format SUMMARY."""
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.validator import Validator

    checks = [c for c in plan(exchange.contract(DATASET)) if c.rule.kind in PANDAS_KINDS]
    frame = snapshot.to_table().to_pandas()

    class Quiet(Validator):
        def _determine_progress_bars(self) -> bool:
            return False

    validator = Quiet(execution_engine=PandasExecutionEngine(batch_data_dict={"rows": frame}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns about what GX does to it
        validator.graph_validate(
            configurations=[expectation_of(check).configuration for check in checks],
            runtime_configuration={"catch_exceptions": False, "result_format": {"result_format": "SUMMARY"}},
        )


def bare_push(exchange: Exchange, snapshot: pads.Dataset, target: Path) -> None:
    columns = list(exchange.agreement(AGREEMENT).columns)
    table: pa.Table = snapshot.to_table(columns=columns)
    pq.write_table(table, target, compression="zstd")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=200_000)
    words.add_argument("--times", type=int, default=3)
    asked = words.parse_args()
    times: Timed = {}
    with terminal.progress(asked.times) as advance:
        for number in range(asked.times):
            with tempfile.TemporaryDirectory() as folder:
                once(Path(folder), asked.rows, times)
            advance(f"run {number + 1}")
    shown = terminal.table(
        f"{asked.rows:,} rows, median of {asked.times}; {machine('pyarrow', 'great-expectations')}",
        "step",
        ">seconds",
        ">rows/s",
        ">times the step's floor",
    )
    found = medians(times)
    for name, seconds in found.items():
        floor = found.get(f"{name.partition(':')[0]}: floor")
        ratio = f"{seconds / floor:.1f}" if floor and not name.endswith("floor") else ""
        shown.add_row(name, f"{seconds:.3f}", f"{asked.rows / seconds:,.0f}", ratio)
    terminal.out.print(shown)


if __name__ == "__main__":
    main()
