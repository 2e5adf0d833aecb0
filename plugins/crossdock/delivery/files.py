"""Files that leave: parquet in row groups as the rows come, and the text formats some consumers read.

Text formats are UTF-8. CSV has a header, quotes every text, writes a null as nothing and an empty text as `""`; a text
that a spreadsheet would run as a formula (it begins with = + - @, their full-width forms, a tab or a line break), or
that begins with an apostrophe, gets one apostrophe in front, so taking one leading apostrophe away restores it.
JSON lines hold exact decimals, dates and times as text. Objects, arrays and maps are themselves in parquet and JSON
lines, and JSON text in CSV.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.columnar import few_values, worth_bounds
from crossdock.identity import file_sha256

ROW_GROUP = 131_072  # rows that are read at a time
_LEAST = ROW_GROUP // 2  # rows of a row group, but for the last
_PLACES = pa.dictionary(pa.int32(), pa.string())
_FORMULA = "^([=+\\-@＝＋－＠'\t\r\n])"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredFile:
    """One file as the manifest lists it; `name` is what the consumer sees."""

    name: str
    path: Path
    rows: int
    sha256: str
    bytes: int


class ParquetSink:
    """Writes batches as one parquet file: the same batches, the same bytes.

    A row group is one batch, or several small ones: rows are not copied to make row groups of one size.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        compressed: Sequence[str] | None = None,
        random: Collection[str] = (),
    ) -> None:
        """Opens nothing yet.

        Args:
            path: of the file.
            schema: of the rows.
            compressed: columns (of objects, their fields: "column.field") that compression makes smaller; None means all.
            random: columns of random texts, as pseudonyms are: written with their lengths apart, half the work to compress.
        """
        self.path, self.rows = path, 0
        self._schema = schema
        self._encoding = dict.fromkeys(random, "DELTA_LENGTH_BYTE_ARRAY")
        self._compression = "zstd" if compressed is None else dict.fromkeys(compressed, "zstd")
        self._writer: pq.ParquetWriter | None = None
        self._file: pa.OSFile | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and (self._waiting or self._writer is None):
                self._flush()
            if self._writer is not None:
                self._writer.close()
        finally:
            if self._file is not None:  # a writer that fails to close would keep it, and its room on a full disk
                self._file.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows; they go to the file as soon as there are enough for a row group."""
        if batch.num_rows:
            self._waiting.append(batch)
            self._waiting_rows += batch.num_rows
            self.rows += batch.num_rows
            if self._waiting_rows >= _LEAST:
                self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        if len(self._waiting) > 1:  # a row group has one dictionary
            table = table.unify_dictionaries()
        writer = self._open(table)
        if table.num_rows:
            writer.write_table(table, row_group_size=ROW_GROUP + _LEAST)
        self._waiting, self._waiting_rows = [], 0

    def _open(self, rows: pa.Table) -> pq.ParquetWriter:
        """Returns the writer; how columns are encoded is settled by the first rows."""
        if self._writer is None:
            few = [name for name in few_values(rows) if name not in self._encoding]
            self._file = pa.OSFile(str(self.path), "wb")
            self._writer = pq.ParquetWriter(
                self._file,
                self._schema,
                compression=self._compression,
                use_dictionary=few,
                column_encoding=self._encoding or None,
                write_statistics=worth_bounds(self._schema, few),
            )
        return self._writer


def encode(parquet: Path, format_name: str) -> Path:
    """Returns the rows of a parquet file in a delivery format, as a file beside it (itself for "parquet")."""
    if format_name == "parquet":
        return parquet
    path = parquet.with_suffix(f".{format_name}")
    with pq.ParquetFile(parquet) as source:
        _TEXT[format_name](source, path)
    return path


def delivered_file(parquet: Path, format_name: str, sha256: str | None = None) -> DeliveredFile:
    """Encodes a parquet file, whose SHA-256 may be known, for delivery and measures what came out."""
    path = encode(parquet, format_name)
    known = sha256 if path == parquet else None
    rows = pq.read_metadata(parquet).num_rows
    return DeliveredFile(
        name=path.name, path=path, rows=rows, sha256=known or file_sha256(path), bytes=path.stat().st_size
    )


def batches(parquet: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yields a parquet file's batches in order, a row group at most at a time."""
    with pq.ParquetFile(parquet) as source:
        yield from source.iter_batches(batch_size=ROW_GROUP, columns=columns)


def in_pieces(
    rows: pads.Dataset, columns: list[str] | dict[str, pc.Expression] | None = None
) -> Iterator[pa.RecordBatch]:
    """Streams a row group at a time: one scan over all reads ahead up to a gigabyte while we are busy."""
    for group in row_groups(rows):
        yield from group.scanner(schema=rows.schema, columns=columns, batch_size=ROW_GROUP).to_batches()


def with_dictionaries(rows: pads.Dataset, *, but: Collection[str]) -> pads.Dataset:
    """Returns the same rows, whose texts come as few different ones and their places where the files have them so.

    Args:
        rows: parquet files.
        but: columns that stay as they are.
    """
    fragments = list(rows.get_fragments())
    if not fragments or not all(isinstance(each, pads.ParquetFileFragment) for each in fragments):
        return rows
    few = [field.name for field in rows.schema if pa.types.is_string(field.type) and field.name not in but]
    for fragment in fragments:
        few = [name for name in few if name in _dictionaries(fragment.metadata)]
    read = pads.ParquetFileFormat(read_options=pads.ParquetReadOptions(dictionary_columns=few))
    fields = [field.with_type(_PLACES) if field.name in few else field for field in rows.schema]
    made = [read.make_fragment(each.path, each.filesystem) for each in fragments]
    return pads.FileSystemDataset(made, pa.schema(fields), read, fragments[0].filesystem)


def _dictionaries(metadata: pq.FileMetaData) -> set[str]:
    """Names the columns that begin with a dictionary."""
    groups = metadata.num_row_groups and [metadata.row_group(0).column(n) for n in range(metadata.num_columns)]
    return {column.path_in_schema for column in groups or () if column.has_dictionary_page}


def row_groups(rows: pads.Dataset) -> Iterator[pads.Fragment]:
    """Yields the parts of files that are read at a time."""
    for fragment in rows.get_fragments():
        yield from fragment.split_by_row_group() if isinstance(fragment, pads.ParquetFileFragment) else [fragment]


def rows_in(part: pads.Fragment) -> int:
    """Counts the rows of such a part; Arrow would count those of the whole file."""
    if isinstance(part, pads.ParquetFileFragment):
        return sum(group.num_rows for group in part.row_groups)
    return int(part.count_rows())


def _write_csv(source: pq.ParquetFile, path: Path) -> None:
    schema = with_json_texts(source.schema_arrow)
    with pacsv.CSVWriter(path, schema) as writer:
        for batch in source.iter_batches(batch_size=ROW_GROUP):
            texts = [json_texts(column) for column in batch.columns]
            guarded = [
                pc.replace_substring_regex(column, _FORMULA, r"'\1") if pa.types.is_string(column.type) else column
                for column in texts
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(guarded, schema=schema))


def with_json_texts(schema: pa.Schema) -> pa.Schema:
    """Returns the schema of rows whose nested values are JSON text."""
    nested = [index for index, field in enumerate(schema) if pa.types.is_nested(field.type)]
    for index in nested:
        schema = schema.set(index, schema.field(index).with_type(pa.string()))
    return schema


def json_texts(values: pa.Array) -> pa.Array:
    """Returns objects, arrays and maps as JSON text, for those who have no such values; others stay as they are."""
    if not pa.types.is_nested(values.type):
        return values
    return pa.array(
        [None if value is None else _json_text(value, values.type) for value in _plain(values)], pa.string()
    )


def _plain(values: pa.Array) -> list[object]:
    found: list[object] = values.to_pylist()
    return found


def _json_text(value: object, kind: pa.DataType) -> str:
    return json.dumps(_json(value, kind), ensure_ascii=False, allow_nan=False)


def _write_jsonl(source: pq.ParquetFile, path: Path) -> None:
    kinds = {field.name: field.type for field in source.schema_arrow}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in source.iter_batches(batch_size=ROW_GROUP):
            file.writelines(
                json.dumps({k: _json(v, kinds[k]) for k, v in row.items()}, ensure_ascii=False, allow_nan=False) + "\n"
                for row in batch.to_pylist()
            )


def _json(value: object, kind: pa.DataType) -> object:
    match value:
        case dict() | list():
            return _nested_json(value, kind)
        case Decimal():
            return f"{value:f}"
        case datetime() | date() | time():
            return value.isoformat()
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def _nested_json(value: dict[str, object] | list[Any], kind: pa.DataType) -> object:
    if isinstance(value, dict):
        return {name: _json(part, kind.field(name).type) for name, part in value.items()}
    if pa.types.is_map(kind):
        return {str(_json(key, kind.key_type)): _json(part, kind.item_type) for key, part in value}
    return [_json(part, kind.value_type) for part in value]


_TEXT: Mapping[str, Callable[[pq.ParquetFile, Path], None]] = {"csv": _write_csv, "jsonl": _write_jsonl}
FORMATS = ("parquet", *_TEXT)
