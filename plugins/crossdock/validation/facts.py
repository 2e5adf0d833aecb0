"""All that was found out about an extract, for Great Expectations to judge by. Importing it is cheap; GX is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossdock.contracts.sandbox import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an expectation may ask for."""

    rows: int
    snapshot_rows: int  # of the snapshot, when an incremental extract is merged into it; else the extract's
    broken: Mapping[str, int]  # by rule id
    considered: Mapping[str, int]  # by rule id: rows with no value missing
    nulls: Mapping[str, int]  # by column
    ages: Mapping[str, float | None]  # by column of a freshness rule: seconds since its newest value
    results: Mapping[str, Result]  # by rule id: what its query returned
    drifts: Mapping[str, float | None]  # by rule id: how far from earlier extracts, in percent
