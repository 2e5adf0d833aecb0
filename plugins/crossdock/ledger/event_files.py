"""The files that an `EventWriter` wrote, read: whole, or only where someone's events can be."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.errors import LedgerBroken, ObjectMissing, Transient
from crossdock.ledger.events import ORDER, ROW_GROUP, SCHEMA
from crossdock.storage.store import Store


def positions(path: Path, sent: Collection[int], places: Path | None) -> dict[int, int]:
    """Returns where in its file a writer put the events of the rows that were sent as the first (0), second (1), ...

    Args:
        path: of the file.
        sent: rows by their places.
        places: a file that tells per row which event, as they were added, is its, as uint32; None: the same one.

    Returns:
        position in the file -> place of the row.
    """
    added = np.fromfile(places, np.uint32)[list(sent)].tolist() if places else list(sent)
    rows = dict(zip(added, sent, strict=True))
    order = np.fromfile(path.with_suffix(ORDER), np.uint32)
    found = np.flatnonzero(np.isin(order, added))
    return {position: rows[event] for position, event in zip(found.tolist(), order[found].tolist(), strict=True)}


def read_events(store: Store, key: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yields the share events of one delivery, as record batches of `SCHEMA` or some of its columns.

    Raises:
        ObjectMissing: there is no such file.
        LedgerBroken: the file is not what an `EventWriter` wrote.
        Transient: the store did not give it.
    """
    with open_events(store, key, SCHEMA) as file, reading(key):
        yield from file.iter_batches(batch_size=ROW_GROUP, columns=columns)


def find_events(file: pq.ParquetFile, key: str, hashes: Sequence[bytes], column: str, *, run: int) -> pa.ChunkedArray:
    """Returns a column of the events that have one of the hashes as subject; reads only where they can be.

    Args:
        file: of events, sorted by subject in runs.
        key: its key, for errors.
        hashes: whom they are about.
        column: what to return of them.
        run: how many row groups are one run.

    Raises:
        LedgerBroken: the file can't be read.
        Transient: the store did not give it.
    """
    with reading(key):
        found = [pa.array([], file.schema_arrow.field(column).type)]
        for group, sought in sorted(_where(file.metadata, hashes, run).items()):
            subjects = file.read_row_group(group, columns=["subject"], use_threads=False)["subject"]
            places = _places(subjects.combine_chunks(), sought)
            if len(places):  # hardly ever: most of whom a group could be about are not in it
                read = file.read_row_group(group, columns=[column], use_threads=False)[column]
                found += read.take(pa.array(places)).chunks
        return pa.chunked_array(found)


def _where(metadata: pq.FileMetaData, hashes: Sequence[bytes], run: int) -> dict[int, list[bytes]]:
    """Returns the row groups that can hold events about one of the hashes, and about which."""
    wanted: dict[int, list[bytes]] = defaultdict(list)
    for first in range(0, metadata.num_row_groups, run):
        groups = range(first, min(first + run, metadata.num_row_groups))
        for each in set(hashes):
            at = bisect_left(groups, each, key=lambda group: _ends(metadata, group).max)
            while at < len(groups) and _ends(metadata, groups[at]).min <= each:
                wanted[groups[at]].append(each)
                at += 1
    return wanted


def _places(subjects: pa.Array, sought: Sequence[bytes]) -> npt.NDArray[np.intp]:
    """Returns where subjects are one of those that are sought: each is two numbers, which compare quickly."""
    octets = subjects.buffers()[1]
    halves = np.frombuffer(octets, np.uint64, 2 * len(subjects), 16 * subjects.offset).reshape(-1, 2)
    these = np.frombuffer(b"".join(sought), np.uint64).reshape(-1, 2)
    return np.concatenate([np.flatnonzero((halves[:, 0] == one) & (halves[:, 1] == two)) for one, two in these])


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
