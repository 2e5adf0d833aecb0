"""Ids, digests and instants: how crossdock names things and proves two things equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa

_LANE = 1 << 64
_FARTHEST = 100_000_000  # days before and after 1970 to which DuckDB's instants reach at least
_TICKS = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}  # a day's


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

    rows = pa.table(batch)
    if rows.num_rows == 0:
        return np.zeros((0, 2), np.uint64)
    chosen = rows.columns if columns is None else [rows.column(name) for name in columns]
    spelled, text = _canonical_sql(chosen or [pa.chunked_array([pa.nulls(rows.num_rows)])])
    connection.register("crossdock_rows", spelled)
    try:
        hexes = connection.sql(f"SELECT substr(sha256({text}), 1, 32) AS h FROM crossdock_rows").to_arrow_table()["h"]  # noqa: S608 - our own names only
    finally:
        connection.unregister("crossdock_rows")
    digits = b"".join(
        bytes(memoryview(chunk.buffers()[2])[chunk.offset * 32 : (chunk.offset + len(chunk)) * 32])
        for chunk in _chunks(hexes.combine_chunks())
    )
    return np.frombuffer(bytes.fromhex(digits.decode()), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def _chunks(values: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    import pyarrow as pa

    return values.chunks if isinstance(values, pa.ChunkedArray) else [values]


def _canonical_sql(columns: Sequence[pa.ChunkedArray]) -> tuple[pa.Table, str]:
    """Returns the columns in a form that DuckDB takes, and the SQL of one text per row.

    The text joins the values with a separator, then the byte lengths of the text ones, so that no value can forge a
    boundary. Columns go by place: DuckDB takes names that differ only in case for one.
    """
    import pyarrow as pa

    given: dict[str, pa.ChunkedArray] = {}
    parts: list[str] = []
    lengths: list[str] = []
    for index, column in enumerate(columns):
        name, beyond = f"c{index}", f"b{index}"
        values, far = _taken_by_sql(column)
        given[name] = values
        parts += [f"coalesce({name}::VARCHAR, chr(0))", "chr(1)"]
        if far is not None:
            given[beyond] = far
            parts[-2] = f"coalesce({beyond}, {name}::VARCHAR, chr(0))"
        if not (pa.types.is_primitive(values.type) or pa.types.is_decimal(values.type)):
            lengths += ["chr(1)", f"coalesce(strlen({name}::VARCHAR), -1)"]
    return pa.table(given), f"concat({', '.join(parts + lengths)})"


def _taken_by_sql(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None]:
    """Returns values as DuckDB takes them; instants that it can't hold come back apart, as text (None: there is none).

    What it has no type for (lists, structs, wider decimals, half floats) becomes JSON text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind) and not pa.types.is_string(kind.value_type):
        return _taken_by_sql(column.cast(kind.value_type))
    if pa.types.is_nested(kind) or pa.types.is_decimal256(kind) or pa.types.is_float16(kind):
        texts = (json.dumps(_spelled(value), ensure_ascii=False) if value.is_valid else None for value in column)
        return pa.chunked_array([pa.array(texts, pa.string())]), None
    if pa.types.is_duration(kind):
        return column.cast(pa.int64()), None
    if not pa.types.is_timestamp(kind):
        return column, None
    number, most = column.cast(pa.int64()), _FARTHEST * _TICKS[kind.unit]
    extent = pc.min_max(number).as_py()
    if extent["min"] is None or -most <= extent["min"] <= extent["max"] <= most:
        return column, None
    far = pc.or_(pc.less(number, -most), pc.greater(number, most))
    near = pc.if_else(far, pa.scalar(0, kind), column)  # a null would still hide the instant
    return near, pc.if_else(far, number.cast(pa.string()), None)


def _spelled(value: pa.Scalar) -> object:
    """Returns a value of any type as JSON's types, the same for the same value."""
    import pyarrow as pa

    if not value.is_valid:
        return None
    if isinstance(value, pa.StructScalar):  # by place: names may repeat
        return [_spelled(value[index]) for index in range(len(value.type))]
    if pa.types.is_nested(value.type):
        return [_spelled(inner) for inner in value.values]
    if pa.types.is_timestamp(value.type) or pa.types.is_duration(value.type):
        return value.value
    plain = value.as_py()
    return plain.hex() if isinstance(plain, bytes) else str(plain)


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

    text = column if pa.types.is_string(column.type) else column.cast(pa.string())
    values: list[bytes | None] = text.cast(pa.binary()).to_pylist()
    return values
