"""The rows that several verdicts set aside, put together again as they arrived, for another judgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from crossdock.validation.quarantine import raw_columns


def open_rows(files: Sequence[pads.Dataset], key: Sequence[str]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Returns the rows of quarantine files, oldest first, and their schema; of a key that came again, the later ones.

    Args:
        files: quarantine files, in the order in which their extracts were pulled.
        key: the primary key, by whose values as they arrived rows are told apart; a key with nulls is no key.

    Returns:
        A schema that holds all columns (as text, where their types differ), and the rows in batches.
    """
    schemas = [raw_columns(file.schema.empty_table()).schema for file in files]
    schema = pa.schema([_widest(name, schemas) for name in dict.fromkeys(n for s in schemas for n in s.names)])
    return schema, _batches(files, _latest([_key(file, key) for file in files]), schema)


def _widest(name: str, schemas: Sequence[pa.Schema]) -> pa.Field:
    types = {schema.field(name).type for schema in schemas if name in schema.names}
    return pa.field(name, types.pop() if len(types) == 1 else pa.string())


def _key(file: pads.Dataset, key: Sequence[str]) -> pa.Table:
    """Returns a file's keys as texts k0, k1, ...; nulls where it lacks a column."""
    found = file.to_table(columns=[name for name in key if name in file.schema.names])
    return pa.table(
        {
            f"k{index}": found[name].cast(pa.string())
            if name in found.column_names
            else pa.nulls(found.num_rows, pa.string())
            for index, name in enumerate(key)
        }
    )


def _latest(keys: Sequence[pa.Table]) -> list[np.ndarray]:
    """Returns per file a mask of the rows whose key no later file holds."""
    masks = [np.ones(table.num_rows, np.bool_) for table in keys]
    places = [
        table.append_column("f", pa.array(np.full(table.num_rows, number))).append_column(
            "n", pa.array(np.arange(table.num_rows))
        )
        for number, table in enumerate(keys)
    ]
    names = keys[0].column_names
    with duckdb.connect() as database:
        database.register("rows", pa.concat_tables(places))
        query = f"""SELECT f, n FROM rows WHERE {" AND ".join(f"{name} IS NOT NULL" for name in names)}
                    QUALIFY f < max(f) OVER (PARTITION BY {", ".join(names)})"""  # noqa: S608 - our own names only
        older = database.sql(query).fetchnumpy()
    for number, mask in enumerate(masks):
        mask[older["n"][older["f"] == number]] = False
    return masks


def _batches(files: Sequence[pads.Dataset], masks: Sequence[np.ndarray], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for file, mask in zip(files, masks, strict=True):
        start = 0
        for batch in file.to_batches():
            kept = raw_columns(batch.filter(pa.array(mask[start : start + batch.num_rows])))
            start += batch.num_rows
            yield pa.RecordBatch.from_arrays([_column(kept, field) for field in schema], schema=schema)


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    place = batch.schema.get_field_index(field.name)
    return batch.column(place).cast(field.type) if place >= 0 else pa.nulls(batch.num_rows, field.type)
