"""Seeded faults: which rows of a generated chunk are spoiled, how, and which rules that breaks, exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.demo.text import Numbers

FAULTS = pa.schema([pa.field("arrival", pa.int64(), nullable=False), pa.field("rules", pa.list_(pa.string()))])
SHARE = 0.005  # of all rows, over all kinds of fault
_FEWEST_ROWS = 200  # a chunk of fewer rows stays sound

Columns = dict[str, pa.Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoiling:
    """One kind of fault: in one column every spoiled row gets one of the values (None = null).

    `rules` are all the rules that such a row breaks, by the ids that the contract gives them.
    """

    rules: tuple[str, ...]
    column: str
    values: Sequence[object] = ()
    change: Callable[[str], str] | None = None  # makes the fault of the sound value, instead of `values`


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """One kind of fault: rows take the values that the row before them has in some columns; both rows break the rule."""

    rules: tuple[str, ...]
    columns: tuple[str, ...]


Fault = Spoiling | Copying


class FaultPlan:
    """Spoils rows of one chunk, every row in one way only, so that what each row breaks is known."""

    def __init__(self, random: np.random.Generator, *, rows: int, kinds: int) -> None:
        """Draws the rows to spoil; the chunk's last row and one in every pair of neighbours are never drawn."""
        self._random = random
        self._share = max(1, round(rows * SHARE / kinds)) if rows >= _FEWEST_ROWS else 0
        # Odd rows, so that the row before each is sound and can serve as the other half of a pair.
        self._free = list(random.permutation(np.arange(1, rows - 1, 2)))
        self._broken: dict[int, tuple[str, ...]] = {}

    def apply(self, faults: Sequence[Fault], columns: Columns) -> None:
        """Spoils the columns in place, each kind of fault in equally many rows."""
        for fault in faults:
            rows = np.sort(np.array([self._free.pop() for _ in range(self._share)], np.int64))
            if not len(rows):
                continue
            if isinstance(fault, Copying):
                for name in fault.columns:
                    put(columns, name, rows, columns[name].take(pa.array(rows - 1)))
                self._note(rows - 1, fault.rules)
            else:
                put(columns, fault.column, rows, self._spoiled(fault, columns, rows))
            self._note(rows, fault.rules)

    def sound(self, rows: int) -> np.ndarray:
        """Returns which rows are not spoiled."""
        mask = np.ones(rows, bool)
        mask[list(self._broken)] = False
        return mask

    def table(self, start: int) -> pa.RecordBatch:
        """Returns the spoiled rows and what each breaks, in arrival order.

        Args:
            start: arrival number of the chunk's first row.
        """
        rows = sorted(self._broken)
        return pa.record_batch(
            [[start + row for row in rows], [list(self._broken[row]) for row in rows]], schema=FAULTS
        )

    def _spoiled(self, fault: Spoiling, columns: Columns, rows: Numbers) -> pa.Array:
        given = columns[fault.column]
        if fault.change:
            return pa.array([fault.change(text) for text in given.take(pa.array(rows)).to_pylist()], given.type)
        drawn = self._random.integers(0, len(fault.values), len(rows))
        return pa.array([fault.values[i] for i in drawn], given.type)

    def _note(self, rows: Numbers, rules: tuple[str, ...]) -> None:
        self._broken.update((int(row), rules) for row in rows)


def put(columns: Columns, name: str, rows: Numbers | np.ndarray, values: pa.Array) -> None:
    """Replaces a column's values in some rows, given by ascending number or by a mask."""
    mask = rows if rows.dtype == bool else np.isin(np.arange(len(columns[name])), rows)
    columns[name] = pc.replace_with_mask(columns[name], pa.array(mask), values)
