"""Ids, digests and instants: how crossdock names things and proves two things equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_LANE = 1 << 64
_known: dict[
    tuple[int, int], tuple[int, int, str]
] = {}  # by device and inode: size, when it was changed, in ns, SHA-256


def canonical(value: object) -> bytes:
    """Returns the one JSON spelling of a value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def content_id(*parts: object) -> str:
    """Returns 32 hex characters (128 bits of SHA-256) that name the parts, in order.

    Anybody can work it out: an id that whole rows have gone into, and that leaves, is a `Keys.private_id`.
    """
    return hashlib.sha256(canonical(parts)).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hex characters, reading it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_sha256(path: Path, sha256: str) -> bool:
    """Tells whether a file has a SHA-256; one that this process found to have it is not read again until it is changed."""
    about = path.stat()
    which, state = (about.st_dev, about.st_ino), (about.st_size, about.st_mtime_ns, sha256)
    if _known.get(which) != state and file_sha256(path) != sha256:
        return False
    _known[which] = state
    return True


def now() -> datetime:
    """Returns this instant in UTC; the default clock."""
    return datetime.now(UTC)


def instant(value: datetime) -> str:
    """Returns an instant as ISO 8601 in UTC with microseconds, the only spelling in state, manifests and ledger."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True)
class RowsDigest:
    """An order-free digest of a multiset of rows: how many, and the lane-wise sum of their 128-bit row hashes.

    Two parts of a whole add up to it (`whole == kept + set_aside`), whatever order rows came in.
    It reconciles counts inside the exchange; SHA-256 of the files is what proves them to others. It is made without a
    key, so whoever has it can try what the rows may be: it leaves only blinded (`ledger.blinding`).
    """

    rows: int = 0
    low: int = 0
    high: int = 0

    @classmethod
    def of(cls, hashes: np.ndarray) -> Self:
        """Sums row hashes, an array of shape (rows, 2) and type uint64 as `rowhash.row_hashes` makes it."""
        import numpy as np

        low, high = (int(hashes[:, lane].sum(dtype=np.uint64)) for lane in (0, 1))  # 20 times as fast as both at once
        return cls(len(hashes), low, high)

    @classmethod
    def of_some(cls, hashes: np.ndarray, chosen: np.ndarray) -> Self:
        """Sums the row hashes for which `chosen`, booleans of shape (rows,), is true; none is copied."""
        import numpy as np

        low, high = (int(hashes[:, lane].sum(dtype=np.uint64, where=chosen)) for lane in (0, 1))
        return cls(int(np.count_nonzero(chosen)), low, high)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str()` wrote."""
        rows, digest = text.split(":")
        return cls(int(rows), int(digest[:16], 16), int(digest[16:], 16))

    def __add__(self, other: RowsDigest) -> RowsDigest:
        return RowsDigest(self.rows + other.rows, (self.low + other.low) % _LANE, (self.high + other.high) % _LANE)

    def __sub__(self, other: RowsDigest) -> RowsDigest:
        return RowsDigest(self.rows - other.rows, (self.low - other.low) % _LANE, (self.high - other.high) % _LANE)

    def __str__(self) -> str:
        return f"{self.rows}:{self.low:016x}{self.high:016x}"


def keyed_hashes(rows: pa.RecordBatch | pa.Table, columns: Iterable[str], *, key: bytes, domain: str) -> pa.Array:
    """Returns a 16-byte BLAKE2b keyed hash per row over the named columns, as fixed_size_binary(16), never null.

    Without the key the values can't be guessed back, and hashes of one value under two domains can't be linked.

    Args:
        rows: holds the columns, typed as the contract says.
        columns: one or more columns that together identify the record.
        key: the secret, 16 to 64 bytes.
        domain: what is identified ("person", "enterprise", or a dataset id), at most 255 bytes.
    """
    import numpy as np
    import pyarrow as pa

    from crossdock.blake2b import blake2b
    from crossdock.columnar import text_buffers
    from crossdock.compiled import spell

    texts = [text_buffers(_texts(rows.column(name))) for name in columns]
    offsets = np.zeros(rows.num_rows + 1, np.int64)
    for _, ends, valid in texts:
        sizes = 4 + np.diff(ends)
        offsets[1:] += np.where(valid, sizes, 1) if len(valid) else sizes
    np.cumsum(offsets, out=offsets)
    messages, at = np.empty(int(offsets[-1]), np.uint8), offsets[:-1].copy()
    for octets, ends, valid in texts:
        spell(messages, at, octets, ends, valid)
    name = domain.encode()
    hashes = np.empty((rows.num_rows, 2), np.uint64)
    start = np.frombuffer(bytes([len(name)]) + name, np.uint8)
    blake2b(messages, offsets, np.frombuffer(key, np.uint8), start, hashes)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows.num_rows, [None, pa.py_buffer(hashes)])


def _texts(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Spells values as UTF-8 text, the same for an identifier that is a number here and text there."""
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        spelled = [None if value is None else canonical(value) for value in column.to_pylist()]
        return pa.array(spelled, pa.large_binary())
    texts = column.cast(pa.large_string()).cast(pa.large_binary())
    return texts if isinstance(texts, pa.Array) else pa.concat_arrays([*texts.chunks, pa.array([], texts.type)])
