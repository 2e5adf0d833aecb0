"""A contract's standardising transforms, applied to raw batches in order, each held to its promise.

A transform may read the whole batch and change the values of the columns its step names. It may not lose, add or
reorder rows, nor touch other columns. It gets Arrow or pandas (Arrow-backed), as its first annotation says.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Contract, TransformStep
from crossdock.errors import TransformInvalid, did_you_mean
from crossdock.validation.transform import Transform, load_transform


class TransformChain:
    """A contract's transforms in order, ready to be applied to one batch after another."""

    def __init__(
        self,
        steps: Sequence[TransformStep],
        folder: Path,
        references: Mapping[str, pads.Dataset],
        *,
        contract: Contract | None = None,
    ) -> None:
        """Loads every step's function and checks its options.

        Args:
            steps: what the contract lists under `transforms`.
            folder: the transforms folder.
            references: snapshots of other datasets by id; read when a step first needs one.
            contract: lets results be checked against its types, and names the dataset in errors.

        Raises:
            TransformInvalid: a function is missing or malformed, or a step's options do not fit it.
        """
        types = {field.name: field.type for field in arrow_schema(contract)} if contract else {}
        dataset = contract.id if contract else ""
        self._steps = [
            _Step(
                step=step,
                transform=load_transform(folder, step.use),
                references=references,
                types=types,
                dataset=dataset,
            )
            for step in steps
        ]
        for bound in self._steps:
            bound.check_keywords()

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Returns the batch with every step applied: same rows in same order, same columns.

        Raises:
            TransformInvalid: a transform failed or broke its promise; the message holds no value of the data.
        """
        for step in self._steps:
            batch = step.apply(batch)
        return batch


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One step bound to its function."""

    step: TransformStep
    transform: Transform
    references: Mapping[str, pads.Dataset]
    types: Mapping[str, pa.DataType]
    dataset: str

    def check_keywords(self) -> None:
        given = {*self.step.options, *(["reference"] if self.step.reference else [])}
        known = self.transform.keywords
        unknown = sorted(given - known.keys())
        if unknown and not self.transform.any_keyword:
            raise self._refusal(f"takes no option '{unknown[0]}'.", did_you_mean(unknown[0], known))
        missing = sorted(name for name, needed in known.items() if needed and name not in given)
        if missing:
            raise self._refusal(f"needs '{missing[0]}'.", f"Add `{missing[0]}:` to the step in the contract.")

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [name for name in self.step.columns if name in batch.schema.names]
        # A column the source lacks is a finding of its own; there is nothing to standardise.
        if not columns or not batch.num_rows:
            return batch
        options = dict(self.step.options)
        if self.step.reference:
            options["reference"] = self.reference
        given = _offered(batch, self.transform.takes)
        try:
            result = self.transform.function(given, columns=columns, **options)
            changed = _as_batch(result)
        except Exception as error:  # noqa: BLE001 - whatever an author's function raises, the dataset and the step are named
            raise self._failure(error) from None
        if changed is None:
            raise self._refusal(
                f"returned a {type(result).__name__}.", f"Return a {self.transform.takes.__name__}, as it was given."
            )
        self._hold_to_promise(batch, changed, result, columns)
        return pa.RecordBatch.from_arrays(
            [
                self._typed(changed.column(name), name, batch.schema.field(name).type)
                if name in columns
                else batch.column(name)
                for name in batch.schema.names
            ],
            names=batch.schema.names,
        )

    @cached_property
    def reference(self) -> pa.Table:
        """The rows of the dataset that the step looks things up in."""
        name = str(self.step.reference)
        if name not in self.references:
            raise self._refusal(
                f"looks things up in '{name}', which is not at hand.",
                f"Pull and validate '{name}' first, or name a file: --reference {name}=FILE.",
            )
        return self.references[name].to_table()

    def _hold_to_promise(
        self, before: pa.RecordBatch, after: pa.RecordBatch, result: object, columns: Sequence[str]
    ) -> None:
        if after.num_rows != before.num_rows:
            raise self._refusal(
                f"made {after.num_rows} rows of {before.num_rows}.",
                "A transform changes values, never the number of rows.",
            )
        if sorted(after.schema.names) != sorted(before.schema.names):
            lost = [name for name in before.schema.names if name not in after.schema.names]
            raise self._refusal(  # what it added is not named: a pivot makes names out of values
                f"lost the columns {', '.join(lost)}." if lost else "added columns.", "Return the columns it was given."
            )
        touched = [
            name
            for name in before.schema.names
            if name not in columns and not _same(before.column(name), after.column(name))
        ]
        if touched or not _in_order(result):
            raise self._refusal(
                f"changed {', '.join(touched) or 'the order of the rows'}, beside the columns it was given.",
                "Keep the rows in order, and name every column it changes in the step.",
            )

    def _typed(self, values: pa.Array, name: str, before: pa.DataType) -> pa.Array:
        """Returns text as plain text, anything else as it came or in the contract's type; another type is refused."""
        if _is_text(values.type):
            return values.cast(pa.string())
        if pa.types.is_null(values.type):
            return values.cast(pa.string())
        wanted = self.types.get(name, before if pa.types.is_nested(values.type) else values.type)
        if values.type in (wanted, before):
            return values
        both_instants = pa.types.is_timestamp(values.type) and pa.types.is_timestamp(wanted)
        if both_instants and (values.type.tz is None) == (wanted.tz is None):
            try:
                return values.cast(wanted)
            except pa.ArrowInvalid:
                pass  # finer than the contract holds: refused below
        raise self._refusal(f"made column '{name}' a {values.type}.", f"It must be text or {wanted}.")

    def _failure(self, error: Exception) -> TransformInvalid:
        """Names the exception and the line, and leaves out its message: that may hold a value."""
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(self.transform.path)]
        line = f" in line {frames[-1].lineno}" if frames else ""
        return TransformInvalid(
            f"Transform '{self.step.use}' failed with {type(error).__name__}{line}.",
            where=self._where,
            fix=f"Try it on the columns {', '.join(self.step.columns)} in a doctest of {self.transform.path.name}.",
        )

    def _refusal(self, what: str, fix: str) -> TransformInvalid:
        return TransformInvalid(f"Transform '{self.step.use}' {what}", where=self._where, fix=fix)

    @property
    def _where(self) -> str:
        return ", ".join(part for part in (self.dataset, self.step.path, self.transform.path.name) if part)


def _offered(batch: pa.RecordBatch, takes: type) -> object:
    if takes is pa.RecordBatch:
        return batch
    if takes is pa.Table:
        return pa.table(batch)
    import pandas as pd

    return batch.to_pandas(types_mapper=pd.ArrowDtype)


def _as_batch(result: object) -> pa.RecordBatch | None:
    """Returns what a transform gave back as one batch; None when it is no table at all."""
    import pandas as pd

    if isinstance(result, pa.RecordBatch):
        return result
    if isinstance(result, pd.DataFrame):
        return pa.RecordBatch.from_pandas(result, preserve_index=False)
    if not isinstance(result, pa.Table):
        return None
    arrays = [column.combine_chunks() for column in result.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=result.schema)


def _in_order(result: object) -> bool:
    """A data frame's index tells whether its rows moved; Arrow has none, there the untouched columns tell."""
    import pandas as pd

    return not isinstance(result, pd.DataFrame) or bool(result.index.equals(pd.RangeIndex(len(result))))


def _same(before: pa.Array, after: pa.Array) -> bool:
    if _is_text(before.type) and _is_text(after.type):
        return bool(before.cast(pa.string()).equals(after.cast(pa.string())))
    if pa.types.is_floating(before.type) and before.type == after.type:
        bits = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[before.type.bit_width]
        before, after = before.view(bits), after.view(bits)  # a NaN is equal to itself here
    return bool(before.equals(after))


def _is_text(given: pa.DataType) -> bool:
    value = given.value_type if pa.types.is_dictionary(given) else given
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))
