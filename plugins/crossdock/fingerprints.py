"""What tells each row of a snapshot from others, kept beside it for a while: who delivers changes need not read all rows.

A row has two hashes of 128 bits (`rowhash.row_hashes`): one as it counts in digests, and one with a key, so that nobody
can make a row that passes for another. They lie one row behind the other, in the rows' order, as little-endian words.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crossdock.identity import content_id
from crossdock.rowhash import row_hashes

_FORM = 1  # of the file
Fingerprints = npt.NDArray[np.uint64]  # (rows, 4): the two words of the plain hash, then those of the keyed one


def fingerprints(rows: pa.RecordBatch | pa.Table, hashes: npt.NDArray[np.uint64], key: bytes) -> Fingerprints:
    """Returns the fingerprints of rows whose plain hashes are known."""
    return np.hstack([hashes, row_hashes(rows, key=key)])


def shelf_name(snapshot: str, key: bytes) -> str:
    """Returns the name of a snapshot's fingerprints: by the SHA-256 of its file, and the key."""
    return content_id("fingerprints", _FORM, snapshot, hashlib.blake2b(key=key, digest_size=16).hexdigest())


class Fingerprinting:
    """Writes fingerprints into a file as rows come."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path, self._key = path, key

    def begin(self) -> None:
        """Begins anew."""
        self.path.write_bytes(b"")

    def of(self, rows: pa.RecordBatch | pa.Table, hashes: npt.NDArray[np.uint64]) -> Fingerprints:
        """Returns the fingerprints of rows whose plain hashes are known; threads may share this."""
        return fingerprints(rows, hashes, self._key)

    def add(self, made: Fingerprints) -> None:
        """Adds the fingerprints of the next rows."""
        with self.path.open("ab") as file:
            made.tofile(file)


def read_fingerprints(path: Path, rows: int) -> Fingerprints | None:
    """Opens the fingerprints of so many rows; None when they are of another number."""
    with suppress(OSError, ValueError):
        found = np.asarray(np.memmap(path, "<u8", mode="r")).reshape(-1, 4)
        if len(found) == rows:
            return found
    return None
