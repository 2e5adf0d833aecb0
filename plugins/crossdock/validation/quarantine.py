"""Which rows go to quarantine, and what is written beside each: the row as it arrived, every reason, the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa

from crossdock.validation.marks import Marks

# The leading underscore can't clash with a data column: contracts may not use it.
ARRIVAL, FAILURES, CONTRACT_VERSION = "_arrival", "_failures", "_contract_version"
Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)
_FAILURE = pa.struct([("rule", pa.string()), ("columns", pa.list_(pa.string())), ("reason", pa.string())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a row is in quarantine: an entry of its `_failures`. Never holds a value of the row."""

    rule: str
    columns: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """Which rows of an extract fail, and why.

    `reasons` holds every rule that keeps a row out, by id. `of_extract` is what is wrong with the extract as a whole:
    when there is any, every row goes to quarantine, and a row that broke nothing itself carries these reasons.
    """

    marks: Marks
    reasons: Mapping[str, Reason]
    of_extract: Sequence[Reason] = ()

    def rows(self, batch: int) -> np.ndarray:
        """Returns True for the rows of a batch that go to quarantine."""
        return np.ones(self.marks.size(batch), np.bool_) if self.of_extract else self.marks.broken(batch, self.reasons)

    def failures(self, batch: int, rows: np.ndarray) -> pa.ListArray:
        """Returns the `_failures` of some rows of a batch, given by their ascending places in it."""
        position = {rule: index for index, rule in enumerate(self.reasons)}
        found = [(np.nonzero(mask)[0], position[rule]) for rule, mask in self.marks.masks(batch, self.reasons).items()]
        blameless = rows[~self.marks.broken(batch, self.reasons)[rows]]
        found += [(blameless, len(position) + extra) for extra in range(len(self.of_extract))]
        nothing = np.zeros(0, np.int64)
        places = np.concatenate([nothing, *(at for at, _ in found)])
        entries = np.concatenate([nothing, *(np.full(len(at), entry) for at, entry in found)])
        counts = np.bincount(places, minlength=self.marks.size(batch))[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        ordered = entries[np.argsort(places, kind="stable")]
        return pa.ListArray.from_arrays(pa.array(offsets), self._entries().take(pa.array(ordered)))

    def _entries(self) -> pa.StructArray:
        every = [*self.reasons.values(), *self.of_extract]
        return pa.array([{"rule": r.rule, "columns": r.columns, "reason": r.reason} for r in every], _FAILURE)


def quarantine_schema(raw: pa.Schema) -> pa.Schema:
    """Returns the schema of a quarantine file for an extract of this schema."""
    return pa.schema(
        [
            pa.field(ARRIVAL, pa.int64()),
            *(field.remove_metadata() for field in raw),
            pa.field(FAILURES, pa.list_(_FAILURE)),
            pa.field(CONTRACT_VERSION, pa.string()),
        ]
    )


def raw_columns(rows: Rows) -> Rows:
    """Returns the rows of a quarantine file as they arrived, without what was written beside them."""
    ours = (ARRIVAL, FAILURES, CONTRACT_VERSION)
    return rows.select([name for name in rows.schema.names if name not in ours])


def quarantined_rows(raw: pa.RecordBatch, batch: int, failing: Failing, version: str) -> pa.RecordBatch:
    """Returns a batch's failing rows in the quarantine schema; `raw` is the whole batch as it arrived."""
    rows = np.nonzero(failing.rows(batch))[0]
    values = raw.take(pa.array(rows))
    arrivals = pa.array(rows + failing.marks.start(batch), pa.int64())
    versions = pa.array([version], pa.string()).take(pa.array(np.zeros(len(rows), np.int64)))
    columns = [arrivals, *values.columns, failing.failures(batch, rows), versions]
    return pa.RecordBatch.from_arrays(columns, schema=quarantine_schema(raw.schema))
