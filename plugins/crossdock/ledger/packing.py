"""How share events lie in parquet files, those of a delivery and those of segments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_BUFFER = 1 << 22  # bytes of a file that are written at a time: of most files, all


@contextmanager
def writing(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Opens a parquet file for events that come sorted by subject; its row groups tell where each one begins and ends."""
    segment = "entry_operation" in schema.names  # kept for long: a byte or more an event is worth the time it takes
    encodings = {
        "subject": "DELTA_BYTE_ARRAY" if segment else "PLAIN", "record": "PLAIN", "entry_operation": "DELTA_BINARY_PACKED",
    }  # fmt: skip
    with (
        pa.output_stream(str(path), buffer_size=_BUFFER) as file,
        pq.ParquetWriter(
            file,
            schema,
            # Hashes are random: compression makes them no smaller; many that are sorted share their beginnings. Operations
            # take two bits or less, and there are many small files: unpacking would take longer than reading.
            compression="none",
            use_dictionary=["operation"] if "operation" in schema.names else False,
            column_encoding={name: encodings[name] for name in schema.names if name in encodings},
            write_statistics=["subject"],
        ) as writer,
    ):
        yield writer
