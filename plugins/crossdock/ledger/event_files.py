"""The files that an `EventWriter` wrote, read: whole, or only where someone's events can be."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossdock.errors import LedgerBroken, ObjectMissing, Transient
from crossdock.ledger.events import HASH, ORDER, ROW_GROUP, SCHEMA
from crossdock.storage.store import Store


def positions(path: Path, added: Collection[int]) -> dict[int, int]:
    """Returns where in its file a writer put the events that were added as the first (0), second (1), ..., position -> added."""
    order = np.fromfile(path.with_suffix(ORDER), np.uint32)
    found = np.flatnonzero(np.isin(order, list(added)))
    return dict(zip(found.tolist(), order[found].tolist(), strict=True))


def read_events(store: Store, key: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yields the share events of one delivery, as record batches of `SCHEMA` or some of its columns.

    Raises:
        ObjectMissing: there is no such file.
        LedgerBroken: the file is not what an `EventWriter` wrote.
        Transient: the store did not give it.
    """
    with open_events(store, key, SCHEMA) as file, reading(key):
        yield from file.iter_batches(batch_size=ROW_GROUP, columns=columns)


def find_events(
    file: pq.ParquetFile, key: str, hashes: Sequence[bytes], columns: Sequence[str], *, run: int
) -> pa.Table:
    """Returns the events of a file that have one of the hashes as subject; reads only where they can be.

    Args:
        file: of events, sorted by subject in runs.
        key: its key, for errors.
        hashes: whom they are about.
        columns: what to return of them; `subject` is among them.
        run: how many row groups are one run.

    Raises:
        LedgerBroken: the file can't be read.
        Transient: the store did not give it.
    """
    with reading(key):
        metadata = file.metadata
        wanted: set[int] = set()
        for first in range(0, metadata.num_row_groups, run):
            groups = range(first, min(first + run, metadata.num_row_groups))
            for each in hashes:
                at = bisect_left(groups, each, key=lambda group: _ends(metadata, group).max)
                while at < len(groups) and _ends(metadata, groups[at]).min <= each:
                    wanted.add(groups[at])
                    at += 1
        found = file.read_row_groups(sorted(wanted), columns=columns)
        return found.filter(pc.is_in(found["subject"], value_set=pa.array(hashes, HASH)))


def _ends(metadata: pq.FileMetaData, group: int) -> pq.Statistics:
    """Returns the statistics that hold a row group's first and last subject."""
    return metadata.row_group(group).column(0).statistics


def open_events(store: Store, key: str, schema: pa.Schema) -> pq.ParquetFile:
    """Opens a parquet file of events.

    Raises:
        ObjectMissing: there is no such file.
        LedgerBroken: it has another schema, or is no parquet file.
        Transient: the store did not give it.
    """
    filesystem, root = store.filesystem()
    try:
        with reading(key):
            file = pq.ParquetFile(f"{root}/{key}", filesystem=filesystem)
    except FileNotFoundError as error:
        raise ObjectMissing("An event file that the ledger names is missing.", where=key, fix=_VERIFY) from error
    if not file.schema_arrow.equals(schema):
        file.close()
        raise _unreadable(key)
    return file


_VERIFY = "`crossdock ledger verify` names every broken place."


@contextmanager
def reading(key: str) -> Iterator[None]:
    """Tells a file that is no event file from a store that does not give it now."""
    try:
        yield
    except FileNotFoundError:
        raise
    except ValueError as error:  # pyarrow's ArrowInvalid is one
        raise _unreadable(key) from error
    except OSError as error:
        raise Transient("The store did not give an event file.", where=key, fix=f"Try again. {_VERIFY}") from error


def _unreadable(key: str) -> LedgerBroken:
    return LedgerBroken("An event file cannot be read as share events.", where=key, fix=_VERIFY)
