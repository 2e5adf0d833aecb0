"""Segments, examined: every entry's events in them, and that a lookup can rely on their order. Shares no code with what wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.ledger.evidence import booked, file_sha256, leaf_hashes, spelled, tally_of, told, tree_over
from crossdock.storage.store import Store

_FOLDER = "ledger/segments/"
_NAME = re.compile(rf"{_FOLDER}(\d+)-(\d+)-(\d+)-([0-9a-f]{{16}})\.parquet")
_TOGETHER = 1_048_576  # a delivery of more events has a file of its own
_BATCH = 1_048_576
Objection = tuple[int, str, str, str]  # the entry concerned and its delivery, what is wrong, and in which object


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an entry says of its events."""

    delivery: str
    rows: int
    tally: Mapping[str, int]
    tree: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Expected:
        """Reads it from an entry's body."""
        return cls(
            delivery=body["delivery"], rows=int(body["events"]["rows"]), tally=booked(body), tree=body["events_tree"]
        )


class Covered:
    """The entries whose events are in segments; each segment found is examined, be it read from or not."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = list(store.list(_FOLDER))
        names = [(key, _NAME.fullmatch(key)) for key in self._keys]
        self._ranges = {key: (int(name[1]), int(name[2]), name[4]) for key, name in names if name}
        self._expected: dict[int, Expected] = {}

    def takes(self, seq: int, body: Mapping[str, Any]) -> bool:
        """Notes an entry; True when its events are in a segment, so that they need no file of their own."""
        if not any(first <= seq <= last for first, last, _ in self._ranges.values()):
            return False
        found = self._expected[seq] = Expected.of(body)
        return found.rows <= _TOGETHER

    def objections(self, *, retired: int) -> Iterator[Objection]:
        """Yields all that is wrong with the segments, once every entry was noted; not of entries up to `retired`.

        Raises:
            Transient: the store did not answer.
        """
        filesystem, root = self._store.filesystem()
        for key in self._keys:
            if key not in self._ranges:
                yield 0, "", "It is no segment's name.", key
                continue
            first, last, sha256 = self._ranges[key]
            if last <= retired:
                continue  # on its way out
            if not (file_sha256(filesystem, f"{root}/{key}", key) or "").startswith(sha256):
                yield (
                    first,
                    self._delivery(first),
                    "The segment is missing, or its bytes are not those of its name.",
                    key,
                )
                continue
            try:
                with pq.ParquetFile(f"{root}/{key}", filesystem=filesystem) as file:
                    found = list(self._examined(file, first, last))
            except (pa.ArrowException, OSError, KeyError, IndexError, ValueError, TypeError):
                file_sha256(filesystem, f"{root}/{key}", key)  # raises when it is the store that does not answer now
                found = [(first, "The segment cannot be read as share events.")]
            for seq, what in found:
                yield seq, self._delivery(seq), what, key

    def _delivery(self, seq: int) -> str:
        return self._expected[seq].delivery if seq in self._expected else ""

    def _examined(self, file: pq.ParquetFile, first: int, last: int) -> Iterator[tuple[int, str]]:
        here = {seq: self._expected[seq] for seq in range(first, last + 1) if seq in self._expected}
        apart = [seq for seq, expected in here.items() if expected.rows > _TOGETHER]
        if json.loads((file.schema_arrow.metadata or {})[b"crossdock.apart"]) != apart:
            yield first, "The segment does not name the entries that it leaves out."
        events, entries = _read(file)
        if not _is_sorted(file, events["subject"]):
            yield first, "The segment's events are not in their order: a lookup would miss some."
        small = entries.astype(np.uint16) if last - first < 1 << 16 else entries  # which sort by radix
        order = np.argsort(small, kind="stable")
        entries, events = entries[order], np.take(events, order)
        unknown = set(np.unique(entries).tolist()) - {seq - first for seq in here if seq not in apart}
        if unknown:
            yield first + min(unknown), "The segment holds events of an entry that has none in it."
        ends = np.searchsorted(entries, np.arange(last - first + 2, dtype=entries.dtype))
        for seq, expected in here.items():
            if expected.rows > _TOGETHER:
                continue
            own = events[ends[seq - first] : ends[seq - first + 1]]
            tally = tally_of(own)
            if tally != expected.tally:
                yield seq, f"The segment holds {told(tally)}; the entry says {told(expected.tally)}."
            elif tree_over(leaf_hashes(own)) != expected.tree:
                yield seq, "The Merkle tree over the entry's events in the segment is not the one that was booked."


def _read(file: pq.ParquetFile) -> tuple[np.ndarray, np.ndarray]:
    """Returns a segment's events as leaves have them, and beside each the place of its entry."""
    parts, entries = [spelled(_EMPTY)], [np.zeros(0, np.int32)]
    for batch in file.iter_batches(batch_size=_BATCH):
        parts.append(spelled(batch))
        entries.append(batch["entry"].to_numpy())
    return np.concatenate(parts), np.concatenate(entries)


_SIXTEEN = pa.binary(16)
_EMPTY = pa.record_batch(
    [pa.array([], _SIXTEEN), pa.array([], _SIXTEEN), pa.array([], pa.string()).dictionary_encode()],
    ["subject", "record", "operation"],
)


def _is_sorted(file: pq.ParquetFile, subjects: np.ndarray) -> bool:
    """True when subjects ascend, and each row group says truly with which it begins and ends."""
    halves = np.ascontiguousarray(subjects).view(">u8").reshape(-1, 2)
    high, low = halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)
    ascending = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] >= low[:-1]))
    if not ascending.all():
        return False
    start = 0
    for group in range(file.metadata.num_row_groups):
        described = file.metadata.row_group(group)
        ends, rows = described.column(0).statistics, described.num_rows
        if ends is None or (ends.min, ends.max) != (subjects[start].tobytes(), subjects[start + rows - 1].tobytes()):
            return False
        start += rows
    return True
