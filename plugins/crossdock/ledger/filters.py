"""Filters: a byte an event tells who cannot be in a file, so that a lookup opens the few files that hold somebody.

A filter is a row of bits, eight for each event of its file. Hashes are random, so that a subject's first four bytes tell
its place in the row, and its bit is set; of those who are not in the file, eight of nine find theirs unset. Behind the
bits stands, as JSON, what a lookup would open a segment for besides: the entries that it leaves out.

A filter can only spare reading a file: where there is none, the file is read. `verify` makes each anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossdock.faults import reached
from crossdock.identity import file_sha256
from crossdock.ledger.event_files import open_events, reading
from crossdock.ledger.events import ROW_GROUP
from crossdock.storage.store import Store

FILTERS = "ledger/filters/"
_FILES = ("ledger/events/", "ledger/segments/")
_BITS = 8  # of each event
_MOST = 1 << 29  # events of a file: the first four bytes tell no more bits apart


class Filtered(NamedTuple):
    """A file that has a filter, or is to have one."""

    key: str
    schema: pa.Schema
    rows: int
    apart: Sequence[int]  # the entries that it leaves out, if it is a segment


def filters(store: Store) -> dict[str, str]:
    """Returns the keys of filters by what `name_of` says of their files."""
    return {PurePosixPath(key).name.rpartition("-")[0]: key for key in store.list(FILTERS)}


def name_of(key: str) -> str:
    """Returns what the names of a file's filters begin with."""
    return PurePosixPath(key).stem


def add_filters(store: Store, scratch: Path, files: Iterable[Filtered]) -> None:
    """Writes the filters that files lack; raises as `open_events` does."""
    present = filters(store)
    for file in files:
        if name_of(file.key) not in present and 0 < file.rows < _MOST:
            path = scratch / "filter"
            with path.open("wb") as written:
                written.write(_row_of_bits(store, file).data)
                written.write(json.dumps(list(file.apart)).encode())
            store.put_file(f"{FILTERS}{name_of(file.key)}-{file_sha256(path)[:16]}", path)
            path.unlink(missing_ok=True)
            reached("filters.written")


def drop_filters(store: Store) -> None:
    """Deletes the filters of files that are gone."""
    names = {name_of(key) for folder in _FILES for key in store.list(folder) if key.endswith(".parquet")}
    for name, key in filters(store).items():
        if name not in names:
            store.delete(key)


def _row_of_bits(store: Store, about: Filtered) -> npt.NDArray[np.uint8]:
    bits = np.zeros(about.rows, np.uint8)
    with open_events(store, about.key, about.schema) as file, reading(about.key):
        for batch in file.iter_batches(batch_size=ROW_GROUP, columns=["subject"]):
            subjects = batch["subject"]
            octets = np.frombuffer(subjects.buffers()[1], np.uint8).reshape(-1, 16)[subjects.offset :][: len(subjects)]
            places = np.ascontiguousarray(octets[:, :4]).view(">u4")[:, 0].astype(np.uint64)
            places = (places * np.uint64(_BITS * about.rows) >> np.uint64(32)).astype(np.intp)
            np.bitwise_or.at(bits, places // _BITS, np.uint8(1) << (places % _BITS).astype(np.uint8))
    return bits


def may_hold(store: Store, key: str, rows: int, hashes: Sequence[bytes]) -> tuple[list[bytes], list[int]] | None:
    """Returns which subjects a file may hold, and the entries that it leaves out; None when the filter was just deleted.

    Args:
        store: holds the filter.
        key: the filter's.
        rows: how many events its file holds.
        hashes: of subjects.

    Raises:
        LedgerBroken: it is no filter of such a file.
        Transient: the store did not give it.
    """
    filesystem, root = store.filesystem()
    try:
        with reading(key), filesystem.open_input_file(f"{root}/{key}") as file:
            behind = max(file.size() - rows, 0)
            # Each reading is a request where the store is a server: what is as short as an empty list is one.
            apart = [] if behind == len("[]") else json.loads(file.read_at(behind, rows))
            if not isinstance(apart, list) or not all(isinstance(seq, int) for seq in apart):
                raise ValueError  # `reading` tells what it means
            found = [each for each in hashes if _is_set(file, each, rows)]
    except FileNotFoundError:
        return None
    return found, apart


def _is_set(file: pa.NativeFile, subject: bytes, rows: int) -> bool:
    place = int.from_bytes(subject[:4]) * _BITS * rows >> 32
    (octet,) = file.read_at(1, place // _BITS)
    return bool(octet >> place % _BITS & 1)
