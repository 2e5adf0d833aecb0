"""The exchange's own ledger as a source of share statistics: its options. Its rows are made by `crossdock.statistics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdock.sources.source import OPTIONAL

OPTIONS = {"smallest": OPTIONAL}  # the smallest count that is told; smaller ones, but for none, are suppressed


def misplaced(options: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Returns what is wrong with the option `smallest`."""
    smallest = options.get("smallest", 1)
    if isinstance(smallest, int) and not isinstance(smallest, bool) and 1 <= smallest <= 1_000_000:
        return None
    return "smallest", "The smallest count that is told is no number from 1 to 1,000,000.", "Write smallest: 10"
