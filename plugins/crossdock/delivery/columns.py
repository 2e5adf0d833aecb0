"""Parquet files put together from columns that were encoded apart: on all cores, and once for all who get the same.

A parquet file is the bytes of its columns, row group by row group, and a footer that says where each begins. Columns in
files of their own, cut into the same row groups, become one file by copying their bytes and writing one footer.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pyarrow as pa

from crossdock.delivery.files import ParquetSink
from crossdock.delivery.thrift import BINARY, I32, I64, LIST, STRUCT, Struct, read_struct, write_struct
from crossdock.errors import Permanent

_MAGIC = b"PAR1"
_PIECES = 8  # of a file, each a column of a row group, that wait to be digested
# Field numbers of parquet's footer (FileMetaData, SchemaElement, RowGroup, ColumnChunk, ColumnMetaData).
_SCHEMA, _GROUPS, _KEYS, _ORDERS, _CHILDREN = 2, 4, 5, 7, 5
_CHUNKS, _BYTES, _OFFSET, _COMPRESSED = 1, 2, 5, 6
_CHUNK_OFFSET, _ABOUT = 2, 3
_SIZE, _DATA, _INDEX, _DICTIONARY = 7, 9, 10, 11


class ColumnSinks:
    """Writes columns into a parquet file each, on all cores; see `ParquetSink`."""

    def __init__(self, folder: Path, fields: Iterable[pa.Field], random: AbstractSet[str] = frozenset()) -> None:
        folder.mkdir(exist_ok=True)
        self._sinks = [
            (field.name, ParquetSink(folder / f"{place}.parquet", pa.schema([field]), random=random & {field.name}))
            for place, field in enumerate(fields)
        ]
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="crossdock")
        self._under_way: list[Future[None]] = []

    @property
    def paths(self) -> dict[str, Path]:
        """The file of each column."""
        return {name: sink.path for name, sink in self._sinks}

    def add(self, rows: pa.RecordBatch) -> None:
        """Takes rows, which have the columns by name; they are written while the caller makes the next ones."""
        self._wait()
        self._under_way = [self._pool.submit(sink.add, rows.select([name])) for name, sink in self._sinks]

    def _wait(self) -> None:
        for each in self._under_way:
            each.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._pool:
            try:
                if kind is None:
                    self._wait()
            finally:
                wait(self._under_way)
                ended = [self._pool.submit(sink.__exit__, kind, error, trace) for _, sink in self._sinks]
            for each in ended:
                each.result()


def join(columns: Sequence[Path], schema: pa.Schema, path: Path) -> str:
    """Writes one parquet file of files that hold its columns, in the schema's order, and returns its SHA-256 as hex.

    Raises:
        Permanent: they are not cut into the same row groups, or one is no parquet file.
    """
    footers = [_footer(column) for column in columns]
    whole = dict(footers[0])
    groups = [footer[_GROUPS][1][1] for footer in footers]
    if len({tuple(group[3][1] for group in groups_of_one) for groups_of_one in groups}) != 1:
        raise Permanent("Columns of one file have other rows.", fix="Nothing has left. Report this fault.")
    with _Digested(path) as out:
        out.write(_MAGIC)
        files = [column.open("rb") for column in columns]
        try:
            whole[_GROUPS] = (LIST, (STRUCT, [_group(out, files, together) for together in zip(*groups, strict=True)]))
        finally:
            for file in files:
                file.close()
        roots = [footer[_SCHEMA][1][1] for footer in footers]
        root = roots[0][0] | {_CHILDREN: (I32, len(columns))}
        whole[_SCHEMA] = (LIST, (STRUCT, [root, *(element for elements in roots for element in elements[1:])]))
        whole[_KEYS] = (LIST, (STRUCT, [_arrow_schema(schema)]))
        if _ORDERS in whole:
            whole[_ORDERS] = (LIST, (STRUCT, [order for footer in footers for order in footer[_ORDERS][1][1]]))
        footer = write_struct(whole)
        out.write(footer + struct.pack("<I", len(footer)) + _MAGIC)
    return out.sha256


class _Digested:
    """A file that is written here and digested beside; holds few pieces at a time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="crossdock")
        self._waiting: deque[Future[None]] = deque()

    @property
    def sha256(self) -> str:
        """Of what was written, as hex; known once it is closed."""
        return self._digest.hexdigest()

    def write(self, piece: bytes) -> None:
        self._waiting.append(self._beside.submit(self._digest.update, piece))
        self._file.write(piece)
        if len(self._waiting) > _PIECES:
            self._waiting.popleft().result()

    def tell(self) -> int:
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.shutdown()
        self._file.close()


def _footer(path: Path) -> Struct:
    try:
        with path.open("rb") as file:
            file.seek(-8, 2)
            size, magic = struct.unpack("<I4s", file.read())
            file.seek(-8 - size, 2)
            footer = file.read(size) if magic == _MAGIC else b""
    except OSError:  # there are not so many bytes
        footer = b""
    if not footer:
        raise Permanent("This is no parquet file.", where=path.name, fix="Make it anew.")
    return read_struct(footer)


def _group(out: _Digested, files: Sequence[IO[bytes]], together: Sequence[Struct]) -> Struct:
    """Copies the columns of one row group, and returns what the footer says of it."""
    begin = out.tell()
    chunks = [
        _copied(out, file, chunk) for file, group in zip(files, together, strict=True) for chunk in group[_CHUNKS][1][1]
    ]
    group = dict(together[0])
    group[_CHUNKS] = (LIST, (STRUCT, chunks))
    for number in (_BYTES, _COMPRESSED):
        group[number] = (I64, sum(each[number][1] for each in together))
    group[_OFFSET] = (I64, begin)
    return group


def _copied(out: _Digested, file: IO[bytes], chunk: Struct) -> Struct:
    """Copies a column's bytes of one row group, and returns what the footer says of them: the same, elsewhere."""
    about: dict[int, tuple[int, Any]] = dict(chunk[_ABOUT][1])
    offsets = [number for number in (_DATA, _INDEX, _DICTIONARY) if number in about]
    start = min(about[number][1] for number in offsets)
    moved = out.tell() - start
    file.seek(start)
    out.write(file.read(about[_SIZE][1]))
    for number in offsets:
        about[number] = (I64, about[number][1] + moved)
    chunk = chunk | {_ABOUT: (STRUCT, about)}
    if chunk[_CHUNK_OFFSET][1]:
        chunk[_CHUNK_OFFSET] = (I64, chunk[_CHUNK_OFFSET][1] + moved)
    return chunk


def _arrow_schema(schema: pa.Schema) -> Struct:
    """Returns the entry by which Arrow finds its own types again."""
    spelled = base64.b64encode(schema.serialize().to_pybytes())
    return {1: (BINARY, b"ARROW:schema"), 2: (BINARY, spelled)}
