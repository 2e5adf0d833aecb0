"""Parquet: values keep the types they have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.contracts.model import Contract
from crossdock.sources.formats.file import DataFile
from crossdock.sources.source import BATCH_ROWS, Match, Pulled, match_columns

_PLAIN = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}  # Arrow can't pick rows of views


def read(file: DataFile, contract: Contract) -> Pulled:
    """Opens a parquet file; only the contract's columns are read.

    Raises:
        SourceInvalid: it is no parquet file (while reading: it is damaged, or a text is not UTF-8).
    """
    with (
        file.guarded(),
        _parsing(file, "It is no parquet file, or is cut off.", "Ask the department to send it again."),
    ):
        parquet = pq.ParquetFile(file.filesystem.open_input_file(file.path))
        given = parquet.schema_arrow
        columns = given.names
    match = match_columns(contract, columns, where=file.name)
    fields = [
        given.field(position).with_name(name) for position, name in zip(match.positions, match.names, strict=True)
    ]
    schema = pa.schema([pa.field(field.name, _plain(field.type)) for field in fields])
    return Pulled(
        batches=_batches(file, parquet, match, schema), schema=schema, missing=match.missing, extra=match.extra
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    """Returns the type in which values travel: numbers of more than 38 digits do so as their text."""
    return pa.string() if pa.types.is_decimal256(kind) else _PLAIN.get(kind, kind)


def _batches(file: DataFile, parquet: pq.ParquetFile, match: Match, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    names = [parquet.schema_arrow.names[position] for position in match.positions]
    # A dot in a name would be taken for a path into a nested column.
    columns = None if any("." in name for name in names) else names
    damaged = "The parquet file is damaged, or a text in it is not UTF-8."
    with file.guarded(), _parsing(file, damaged, "Write it again."):
        for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
            batch.validate(full=True)
            chosen = [batch.column(batch.schema.get_field_index(name)) for name in names]
            plain = [
                values if values.type == kind else values.cast(kind)
                for values, kind in zip(chosen, schema.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(plain, schema=schema)


@contextmanager
def _parsing(file: DataFile, what: str, fix: str) -> Iterator[None]:
    """Turns what Arrow says of damaged bytes into our error; it is an OSError then, too, though the disk is well."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, UnicodeDecodeError):
        raise file.invalid(what, fix) from None
    except OSError:
        file.read_through()
        raise file.invalid(what, fix) from None
