"""Filters, examined: a bit that is not set would hide somebody's events from a lookup. Shares no code with what wrote them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from crossdock.ledger.evidence import Objection, stored
from crossdock.storage.store import Store

_FOLDER = "ledger/filters/"


class Filters:
    """The filters that are in a store, by the names of the files that they are of."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, list[str]] = defaultdict(list)
        for key in store.list(_FOLDER):
            self._keys[key.removeprefix(_FOLDER).rpartition("-")[0]].append(key)

    def of(self, key: str, rows: int) -> Bits | None:
        """Returns what makes anew the filter of a file of so many events, None when there is none to be examined."""
        keys = self._keys.get(key.rpartition("/")[2].removesuffix(".parquet"))
        return Bits(self._store, keys, rows) if keys else None


class Bits:
    """A filter as its file's events make it: of eight bits an event, those at the places of subjects are set."""

    def __init__(self, store: Store, keys: list[str], rows: int) -> None:
        self._store, self._keys = store, keys
        self._bits = np.zeros(rows, np.uint8)

    def add(self, subjects: np.ndarray) -> None:
        """Sets the bits of some subjects, given as values of 16 bytes: those of a row group, which stand close together."""
        if not len(subjects) or not len(self._bits):
            return
        begins = np.ascontiguousarray(subjects).view(">u4").reshape(-1, 4)[:, 0].astype(np.uint64)
        places = begins * np.uint64(8 * len(self._bits)) >> np.uint64(32)
        first, last = int(places.min()) // 8, int(places.max()) // 8
        marks = np.zeros(8 * (last - first + 1), bool)
        marks[places - np.uint64(8 * first)] = True
        self._bits[first : last + 1] |= np.packbits(marks, bitorder="little")

    def objections(self, apart: object) -> Iterator[Objection]:
        """Yields what is wrong with the filters of a file, once all its subjects were added.

        Args:
            apart: the entries that the file says it leaves out.

        Raises:
            Transient: the store did not answer.
        """
        digest = hashlib.sha256(self._bits.data)
        digest.update(json.dumps(apart).encode())
        filesystem, root = self._store.filesystem()
        for key in self._keys:
            found = stored(filesystem, f"{root}/{key}", key)
            if found is not None and found.sha256 != digest.hexdigest():  # one that is gone spares a lookup nothing
                yield "The filter is not that of its file: a lookup would miss events.", key
