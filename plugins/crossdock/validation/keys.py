"""Which keys may occur more than once: found by hashes, in little memory, so that only few rows need a closer look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.rowhash import row_hashes
from crossdock.validation.kernels import present

_PART = 1 << 23  # hashes sorted at once: 64 MB
_CHUNK = 1 << 18  # hashes read at once
_SIEVE = 16  # bits of a hash that tell at one look that it is none of the repeated ones


class Keys:
    """The hashes of one key over all rows, by arrival, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows = 0
        file.write_bytes(b"")

    def add(self, hashes: np.ndarray, missing: np.ndarray | None) -> None:
        """Takes the next rows' hashes, and which of them have no whole key."""
        if missing is not None:
            places = np.nonzero(missing)[0]
            # No two of these are alike, so that they don't look like one key that is repeated.
            hashes[places] = (places + self._rows).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        self._rows += len(hashes)
        with self._file.open("ab") as file:
            hashes.tofile(file)

    def suspects(self) -> np.ndarray:
        """Returns, ascending, the arrival numbers of all rows whose hash another row has too: every repeated key's."""
        repeated = [np.zeros(0, np.uint64)]
        parts = -(-self._rows // _PART)
        for part in range(parts):
            ordered = self._part(part, parts)
            repeated.append(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]))
        wanted = np.sort(np.concatenate(repeated))
        return self._places(wanted) if len(wanted) else np.zeros(0, np.int64)

    def _part(self, part: int, parts: int) -> np.ndarray:
        """Returns, sorted, the hashes that fall into one of several parts of like size."""
        if parts == 1:
            found = list(self._chunks())
        else:
            found = [chunk[chunk % np.uint64(parts) == part] for chunk in self._chunks()]
        ordered = np.concatenate(found)
        ordered.sort()
        return ordered

    def _places(self, wanted: np.ndarray) -> np.ndarray:
        shift = np.uint64(64 - _SIEVE)
        sieve = np.zeros(1 << _SIEVE, np.bool_)
        sieve[wanted >> shift] = True
        found, start = [], 0
        for chunk in self._chunks():
            likely = np.nonzero(sieve[chunk >> shift])[0]
            hashes = chunk[likely]
            place = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
            found.append(likely[wanted[place] == hashes] + start)
            start += len(chunk)
        return np.concatenate(found)

    def _chunks(self) -> Iterator[np.ndarray]:
        with self._file.open("rb") as file:
            while len(chunk := np.fromfile(file, np.uint64, _CHUNK)):
                yield chunk


def key_hashes(columns: Sequence[pa.Array]) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns a hash per row over a key's columns, and which rows lack a value in one of them (None: no row does).

    Zero has two spellings as a float, and both are one key.
    """
    alike = [pc.add(column, 0.0) if pa.types.is_floating(column.type) else column for column in columns]
    rows = pa.RecordBatch.from_arrays(alike, names=[str(index) for index in range(len(alike))])
    hashes = row_hashes(rows)[:, 0].copy()
    there = np.ones(len(hashes), np.bool_)
    for column in columns:
        there &= np.asarray(present(column))
    return hashes, None if there.all() else ~there
