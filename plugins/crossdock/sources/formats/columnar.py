"""Parquet: values keep the types they have."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.contracts.model import Contract
from crossdock.sources.formats.file import DataFile
from crossdock.sources.source import BATCH_ROWS, Match, Pulled, match_columns


def read(file: DataFile, contract: Contract) -> Pulled:
    """Opens a parquet file; only the contract's columns are read.

    Raises:
        SourceInvalid: it is no parquet file (while reading: it is damaged, or a text is not UTF-8).
    """
    with file.guarded():
        try:
            parquet = pq.ParquetFile(file.filesystem.open_input_file(file.path))
            given = parquet.schema_arrow
        except pa.ArrowException:
            raise file.invalid(
                "It is no parquet file, or is cut off.", "Ask the department to send it again."
            ) from None
    match = match_columns(contract, given.names, where=file.name)
    fields = [
        given.field(position).with_name(name) for position, name in zip(match.positions, match.names, strict=True)
    ]
    schema = pa.schema([_plain(field).with_nullable(True).remove_metadata() for field in fields])
    return Pulled(
        batches=_batches(file, parquet, match, schema), schema=schema, missing=match.missing, extra=match.extra
    )


def _plain(field: pa.Field) -> pa.Field:
    """Numbers of more than 38 digits travel as their text: DuckDB, which hashes rows, has no type for them."""
    return field.with_type(pa.string()) if pa.types.is_decimal256(field.type) else field


def _batches(file: DataFile, parquet: pq.ParquetFile, match: Match, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    names = [parquet.schema_arrow.names[position] for position in match.positions]
    # A dot in a name would be taken for a path into a nested column.
    columns = None if any("." in name for name in names) else names
    with file.guarded():
        try:
            for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
                batch.validate(full=True)
                chosen = [batch.column(batch.schema.get_field_index(name)) for name in names]
                columns = [c.cast(f.type) if c.type != f.type else c for c, f in zip(chosen, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
        except pa.ArrowException:
            raise file.invalid(
                "The parquet file is damaged, or a text in it is not UTF-8.", "Write it again."
            ) from None
