"""Rules that one row can't be judged by alone: repeated keys, and keys that another dataset does not hold (DuckDB)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from crossdock.errors import WrongUse, did_you_mean
from crossdock.validation.plan import Check

ARRIVAL = "arrival"  # the row number's name in the scratch file, whose data columns are c0, c1, ...
_MEMORY = "768MB"  # beyond it DuckDB spills into the scratch folder
_FEW = 65_536  # values that are looked up without DuckDB


def spilling_database(scratch: Path) -> duckdb.DuckDBPyConnection:
    """Opens a DuckDB of its own that keeps little in memory and the rest in the scratch folder, and installs nothing."""
    return duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "temp_directory": str(scratch / "duckdb"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


class WholeExtract:
    """The typed rows of an extract, for questions over all of them at once; answers are ascending arrival numbers.

    Args:
        typed: an Arrow IPC file with the columns c0, c1, ... and `arrival`. (DuckDB takes names that differ only in
            case for one, so contract names must not reach it.)
        schema: the contract's schema, which names and types c0, c1, ...
        scratch: where DuckDB may spill.
    """

    def __init__(self, typed: Path, schema: pa.Schema, scratch: Path) -> None:
        self._typed = pads.dataset(typed, format="ipc")
        self._schema = schema
        self._scratch = scratch
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        return self._opened.enter_context(spilling_database(self._scratch))

    def repeated(self, columns: Sequence[str], suspects: np.ndarray) -> np.ndarray:
        """Returns every row whose key occurs more than once; keys with a missing value don't count.

        Args:
            columns: the key.
            suspects: ascending arrival numbers of the only rows that may be among them.
        """
        if len(suspects) == 0:
            return suspects
        keys = [self._key(name) for name in columns]
        listed = ", ".join(keys)
        self._database.register("suspects", self._rows(keys, suspects))
        return self._arrivals(
            f"""
            WITH keyed AS (SELECT {listed}, {ARRIVAL} FROM suspects WHERE {self._present(columns)}),
            often AS (SELECT {listed} FROM keyed GROUP BY {listed} HAVING count(*) > 1)
            SELECT {ARRIVAL} FROM keyed SEMI JOIN often USING ({listed}) ORDER BY {ARRIVAL}
            """  # noqa: S608 - our own names only
        )

    def dangling(
        self, columns: Sequence[str], referred: pads.Dataset | None, referred_columns: Sequence[str]
    ) -> np.ndarray:
        """Returns every row whose key the referred dataset (None: this extract) does not hold; missing keys pass."""
        self._database.register("typed", self._typed)
        if referred is None:
            source, types = "typed", [self._schema.field(name).type for name in referred_columns]
            targets = [self._key(name) for name in referred_columns]
        else:
            source, types = "referred", [referred.schema.field(name).type for name in referred_columns]
            targets = [f"r{index}" for index in range(len(referred_columns))]
            named = {target: pc.field(name) for target, name in zip(targets, referred_columns, strict=True)}
            self._database.register("referred", referred.scanner(columns=named).to_reader())
        same = " AND ".join(
            _equal(f"t.{self._key(name)}", self._schema.field(name).type, f"r.{target}", type_)
            for name, target, type_ in zip(columns, targets, types, strict=True)
        )
        return self._arrivals(
            f"""
            WITH keyed AS (SELECT * FROM typed WHERE {self._present(columns)}),
            held AS (SELECT DISTINCT {", ".join(targets)} FROM {source})
            SELECT {ARRIVAL} FROM keyed t ANTI JOIN held r ON {same} ORDER BY {ARRIVAL}
            """  # noqa: S608 - our own names only
        )

    def _rows(self, columns: Sequence[str], arrivals: np.ndarray) -> pa.Table:
        """Returns some rows, by ascending arrival number, with the named columns of the scratch file."""
        named = [*columns, ARRIVAL]
        schema = self._typed.schema
        chosen = [schema.get_field_index(name) for name in named]
        found, start = [], 0
        with pa.ipc.open_file(self._typed.files[0], options=pa.ipc.IpcReadOptions(included_fields=chosen)) as file:
            for number in range(file.num_record_batches):
                batch = file.get_batch(number)
                first, last = np.searchsorted(arrivals, (start, start + batch.num_rows))
                if first < last:
                    found.append(batch.select(named).take(pa.array(arrivals[first:last] - start)))
                start += batch.num_rows
        return pa.Table.from_batches(found)

    def _arrivals(self, query: str) -> np.ndarray:
        found = self._database.sql(query).to_arrow_table()
        numbers: np.ndarray = found[ARRIVAL].combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
        return numbers

    def _key(self, name: str) -> str:
        return f"c{self._schema.get_field_index(name)}"

    def _present(self, columns: Sequence[str]) -> str:
        tests = [f"{self._key(name)} IS NOT NULL" for name in columns]
        floats = [name for name in columns if pa.types.is_floating(self._schema.field(name).type)]
        return " AND ".join(tests + [f"NOT isnan({self._key(name)})" for name in floats])


def few_values(dataset: pads.Dataset, column: str) -> pa.Array | None:
    """Returns a column's different values without null; None when they are many, or floats (zero has two spellings)."""
    found = pa.array([], dataset.schema.field(column).type)
    if pa.types.is_floating(found.type):
        return None
    for batch in dataset.to_batches(columns=[column]):
        found = pc.unique(pa.concat_arrays([found, batch.column(0)]))
        if len(found) > _FEW:
            return None
    return found.drop_null()


def find_referred(
    check: Check, references: Mapping[str, pads.Dataset], own: Sequence[str], where: str
) -> tuple[pads.Dataset | None, tuple[str, ...]]:
    """Returns the dataset a reference rule looks into (None: the extract itself) and the columns there.

    Raises:
        WrongUse: the dataset was not given, or has no such column.
    """
    dataset, named = check.args.get("dataset"), check.args.get("columns")
    columns = tuple(str(name) for name in named) if isinstance(named, Sequence) and not isinstance(named, str) else ()
    if len(columns) != len(check.columns):
        raise WrongUse("A reference names as many columns as the rule has.", where=where)
    if dataset is None:
        known: Sequence[str] = own
    elif str(dataset) not in references:
        raise WrongUse(
            f"The data of '{dataset}' is not at hand.", where=where, fix=did_you_mean(str(dataset), references)
        )
    else:
        known = references[str(dataset)].schema.names
    for name in columns:
        if name not in known:
            raise WrongUse(
                f"'{dataset or 'this dataset'}' has no column '{name}'.", where=where, fix=did_you_mean(name, known)
            )
    return (None if dataset is None else references[str(dataset)]), columns


def _equal(left: str, left_type: pa.DataType, right: str, right_type: pa.DataType) -> str:
    """Compares keys whose types differ (a number here, text there) as text, never by guessing a number."""
    if left_type == right_type or (_numeric(left_type) and _numeric(right_type)):
        return f"{left} = {right}"
    return f"{left}::VARCHAR = {right}::VARCHAR"


def _numeric(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_) or pa.types.is_floating(type_))
