"""Writes the generated registers to where their departments keep them, and beside each the exact list of its faults."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.demo import faults
from crossdock.demo.enterprises import SCHEMA, enterprises
from crossdock.demo.identities import Settings
from crossdock.demo.population import population

# SQLite keeps a text that is no number in a column of numbers: that is how such faults come about in real databases.
_POPULATION_TABLE = """
CREATE TABLE t_population (
    sfzh TEXT, xm TEXT, xb TEXT, csrq DATE, mz TEXT, lxdh TEXT, dzyx TEXT, hh TEXT, hnxh INTEGER, xzqh TEXT, zz TEXT,
    djrq DATE, yxqz DATE, dwdm TEXT, cbys INTEGER, ysr DECIMAL(12, 2), zt TEXT, gxsj TEXT
)
"""

Told = Callable[[int], None]  # is told the rows written so far


def write_population(database: Path, fault_list: Path, settings: Settings, *, told: Told | None = None) -> int:
    """Makes the SQLite database with the table `t_population`; returns the rows.

    Rows stand in arrival order: a scan in rowid order meets them by the arrival numbers of the fault list.
    """
    import adbc_driver_sqlite.dbapi

    database.unlink(missing_ok=True)
    with sqlite3.connect(database) as made:
        made.execute(_POPULATION_TABLE)
    made.close()
    with adbc_driver_sqlite.dbapi.connect(str(database)) as connection, connection.cursor() as cursor:

        def add(rows: pa.RecordBatch) -> None:
            cursor.adbc_ingest("t_population", rows, mode="append")
            connection.commit()

        return _write(population(settings), add, fault_list, told)


def write_enterprises(
    path: Path, fault_list: Path, settings: Settings, names: Mapping[str, str], *, told: Told | None = None
) -> int:
    """Makes the parquet file of the enterprise register; returns the rows.

    Args:
        path: the file.
        fault_list: parquet file of `arrival` (0-based row number) and `rules` (ids of all rules that the row breaks).
        settings: how many rows, and from which counties.
        names: full name of each county by code.
        told: is told the rows written so far.
    """
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        return _write(enterprises(settings, names), writer.write_batch, fault_list, told)


def _write(
    chunks: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]],
    add: Callable[[pa.RecordBatch], None],
    fault_list: Path,
    told: Told | None,
) -> int:
    written = 0
    with pq.ParquetWriter(fault_list, faults.FAULTS, compression="zstd") as list_writer:
        for rows, spoiled in chunks:
            add(rows)
            list_writer.write_batch(spoiled)
            written += rows.num_rows
            if told:
                told(written)
    return written
