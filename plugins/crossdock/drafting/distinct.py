"""Questions about all rows at once: how many different values, which few, and does a key repeat (DuckDB, spilling)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow.dataset as pads

from crossdock.validation.whole import spilling_database


class Distinct:
    """The typed rows of a file whose columns are c0, c1, ...; close it before the scratch folder goes.

    Args:
        typed: an Arrow IPC file.
        width: how many columns it has.
        scratch: where DuckDB may spill.
    """

    def __init__(self, typed: Path, width: int, scratch: Path) -> None:
        self._width = width
        self._database = spilling_database(scratch)
        self._database.register("typed", pads.dataset(typed, format="ipc"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    def counts(self) -> list[int]:
        """Returns about how many different values each column has: a few percent more or less."""
        asked = ", ".join(f"approx_count_distinct(c{place})" for place in range(self._width))
        row = self._database.execute(f"SELECT {asked} FROM typed").fetchone()  # noqa: S608 - our own names only
        return [int(count) for count in row or ()]

    def repeats(self, places: Sequence[int]) -> bool:
        """Returns whether two rows have the same values in these columns."""
        key = ", ".join(f"c{place}" for place in places)
        query = f"SELECT 1 FROM typed GROUP BY {key} HAVING count(*) > 1 LIMIT 1"  # noqa: S608 - our own names only
        return self._database.execute(query).fetchone() is not None

    def values(self, place: int, most: int) -> tuple[tuple[str, int], ...]:
        """Returns a text column's values in order, with how often each occurs; none when there are more than `most`."""
        found = self._database.execute(
            f"SELECT c{place}, count(*) FROM typed WHERE c{place} IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT {most + 1}"  # noqa: S608 - numbers of ours
        ).fetchall()
        return tuple((str(value), int(times)) for value, times in found) if len(found) <= most else ()
