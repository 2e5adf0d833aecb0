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
    import duckdb
    import numpy as np
    import pyarrow as pa

_LANE = 1 << 64


def canonical(value: object) -> bytes:
    """Returns the one JSON spelling of a value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def content_id(*parts: object) -> str:
    """Returns 32 hex characters (128 bits of SHA-256) that name the parts, in order."""
    return hashlib.sha256(canonical(parts)).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hex characters, reading it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    It reconciles counts inside the exchange; SHA-256 of the files is what proves them to others.
    """

    rows: int = 0
    low: int = 0
    high: int = 0

    @classmethod
    def of(cls, hashes: np.ndarray) -> Self:
        """Sums row hashes, an array of shape (rows, 2) and type uint64 as `row_hashes` makes it."""
        import numpy as np

        low, high = (int(lane) for lane in hashes.sum(axis=0, dtype=np.uint64)) if len(hashes) else (0, 0)
        return cls(len(hashes), low, high)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str()` wrote."""
        rows, digest = text.split(":")
        return cls(int(rows), int(digest[:16], 16), int(digest[16:], 16))

    def __add__(self, other: RowsDigest) -> RowsDigest:
        return RowsDigest(self.rows + other.rows, (self.low + other.low) % _LANE, (self.high + other.high) % _LANE)

    def __str__(self) -> str:
        return f"{self.rows}:{self.low:016x}{self.high:016x}"


def row_hashes(
    batch: pa.RecordBatch | pa.Table, columns: Iterable[str] | None = None, *, connection: duckdb.DuckDBPyConnection
) -> np.ndarray:
    """Returns one 128-bit hash per row over the named columns (default: all), as uint64 of shape (rows, 2).

    The hash is SHA-256 of a text that is the same for the same values whatever chunk, order or encoding they came in,
    cut to 128 bits; nulls differ from empty strings, and no value can pass for two neighbouring ones.
    """
    import numpy as np
    import pyarrow as pa

    names = list(columns) if columns is not None else batch.schema.names
    rows = pa.table(batch.select(names)) if names else pa.table({"none": pa.nulls(batch.num_rows)})
    if rows.num_rows == 0:
        return np.zeros((0, 2), np.uint64)
    query = f"SELECT substr(sha256({_canonical_sql(rows.schema)}), 1, 32) AS h FROM crossdock_rows"  # noqa: S608
    connection.register("crossdock_rows", rows)
    try:
        hexes = connection.sql(query).to_arrow_table()["h"].combine_chunks()
    finally:
        connection.unregister("crossdock_rows")
    text = b"".join(
        bytes(memoryview(chunk.buffers()[2])[chunk.offset * 32 : (chunk.offset + len(chunk)) * 32])
        for chunk in (hexes.chunks if isinstance(hexes, pa.ChunkedArray) else [hexes])
    )
    return np.frombuffer(bytes.fromhex(text.decode()), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def _canonical_sql(schema: pa.Schema) -> str:
    """Joins values with a separator, then the byte lengths of the text ones, so that no value can forge a boundary."""
    import pyarrow as pa

    parts: list[str] = []
    lengths: list[str] = []
    for field in schema:
        name = '"' + field.name.replace('"', '""') + '"'
        if pa.types.is_nested(field.type):
            name = f"to_json({name})"  # as text, a struct could pass for another one
        parts += [f"coalesce({name}::VARCHAR, chr(0))", "chr(1)"]
        if not (pa.types.is_primitive(field.type) or pa.types.is_decimal(field.type)):
            lengths += ["chr(1)", f"coalesce(strlen({name}::VARCHAR), -1)"]
    return f"concat({', '.join(parts + lengths)})"


def keyed_hashes(rows: pa.RecordBatch | pa.Table, columns: Iterable[str], *, key: bytes, domain: str) -> pa.Array:
    """Returns a 16-byte BLAKE2b keyed hash per row over the named columns, as fixed_size_binary(16), never null.

    Without the key the values can't be guessed back, and hashes of one value under two domains can't be linked.

    Args:
        rows: holds the columns, typed as the contract says.
        columns: one or more columns that together identify the record.
        key: the secret, 16 to 64 bytes.
        domain: what is identified ("person", "enterprise", or a dataset id), at most 255 bytes.
    """
    import pyarrow as pa

    texts = [_texts(rows.column(name)) for name in columns]
    start = hashlib.blake2b(key=key, digest_size=16)
    name = domain.encode()
    start.update(bytes([len(name)]) + name)
    hashes = bytearray()
    for values in zip(*texts, strict=True):
        state = start.copy()
        for value in values:
            state.update(b"\xff" if value is None else len(value).to_bytes(4, "big") + value)
        hashes += state.digest()
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows.num_rows, [None, pa.py_buffer(bytes(hashes))])


def _texts(column: pa.Array | pa.ChunkedArray) -> list[bytes | None]:
    """Spells values as UTF-8 text, the same for an identifier that is a number here and text there."""
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        return [None if value is None else canonical(value) for value in column.to_pylist()]
    text = column if pa.types.is_string(column.type) else column.cast(pa.string())
    values: list[bytes | None] = text.cast(pa.binary()).to_pylist()
    return values
