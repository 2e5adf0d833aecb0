"""What all values of a column have in common, gathered batch by batch; no value is kept but the least and the greatest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.model import Column
from crossdock.drafting.identifiers import IDENTIFIERS
from crossdock.validation.kernels import Kernel, kernel_of, present

_ORDERED = ("integer", "number", "date", "timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a column holds.

    `low` and `high` are its extremes (numbers, dates, timestamps), `shortest` and `longest` the characters of its texts.
    `alike` counts the values that are an identifier of each kind. `distinct` is close to how many different ones there are.
    `values` are all of them, with how often each occurs, when they are few.
    """

    rows: int
    missing: int
    low: Any = None
    high: Any = None
    shortest: int = 0
    longest: int = 0
    alike: Mapping[str, int] = field(default_factory=dict)
    distinct: int = 0
    values: tuple[tuple[str, int], ...] = ()

    @property
    def present(self) -> int:
        """How many values are there."""
        return self.rows - self.missing

    def share(self, kind: str) -> float:
        """Returns which part of the values are identifiers of a kind, from 0 to 1."""
        return self.alike.get(kind, 0) / self.present if self.present else 0.0


class Gathering:
    """The facts of one column, being gathered."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._rows = self._missing = 0
        self._low: Any = None
        self._high: Any = None
        self._sizes: list[int] = []
        self._kernels: Mapping[str, list[Kernel]] = {
            kind: [kernel_of(rule, [column], args, column.name) for rule, args in identifier.checks]
            for kind, identifier in IDENTIFIERS.items()
            if column.type == "string"
        }
        self._alike = dict.fromkeys(self._kernels, 0)

    def add(self, values: pa.Array) -> None:
        """Looks at more values, typed as the column says."""
        there = values.filter(present(values))
        self._rows += len(values)
        self._missing += len(values) - len(there)
        if not len(there):
            return
        if self._column.type in _ORDERED:
            found = pc.min_max(there).as_py()
            self._low = found["min"] if self._low is None else min(self._low, found["min"])
            self._high = found["max"] if self._high is None else max(self._high, found["max"])
        elif self._column.type == "string":
            sizes = pc.min_max(pc.utf8_length(there)).as_py()
            self._sizes = [min([sizes["min"], *self._sizes]), max([sizes["max"], *self._sizes])]
            for kind, kernels in self._kernels.items():
                self._alike[kind] += _kept(there, kernels)

    def facts(self, distinct: int, values: tuple[tuple[str, int], ...]) -> Facts:
        """Returns what was gathered, with what only all rows together can tell."""
        return Facts(
            rows=self._rows,
            missing=self._missing,
            low=self._low,
            high=self._high,
            shortest=self._sizes[0] if self._sizes else 0,
            longest=self._sizes[1] if self._sizes else 0,
            alike=self._alike,
            distinct=distinct,
            values=values,
        )


def _kept(values: pa.Array, kernels: list[Kernel]) -> int:
    """Counts the values that keep every check; the later ones see only what the earlier ones left."""
    for kernel in kernels:
        values = values.filter(pc.invert(kernel(values)))
    return len(values)
