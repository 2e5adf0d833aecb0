"""What earlier verdicts on a dataset tell: how its extracts looked, and how they fared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from crossdock.storage.records import Extract
from crossdock.storage.state import State
from crossdock.storage.tables import extract as extracts
from crossdock.storage.tables import verdict as verdicts


def earlier_profiles(state: State, extract: Extract, most: int) -> list[Mapping[str, Any]]:
    """Returns the profiles of extracts like this one, pulled in full or by watermark as it was, the newest first.

    Rejected ones, and rows that were only judged again, are no measure for others; nor is a pull by watermark that found
    nothing new, which tells how often somebody asks: it is compared with none either. An extract that was judged several
    times counts once.

    Args:
        state: holds the verdicts.
        extract: the one that will be compared with them; its own verdicts are left out.
        most: how many are wanted.
    """
    query = (
        sa.select(verdicts.c.extract, verdicts.c.profile, extracts.c.replays)
        .join(extracts, extracts.c.id == verdicts.c.extract)
        .where(
            verdicts.c.dataset == extract.dataset,
            verdicts.c.extract != extract.id,
            verdicts.c.outcome != "rejected",
            extracts.c.incremental == extract.incremental,
            sa.or_(extracts.c.incremental.is_(False), extracts.c.rows > 0),
        )
        .order_by(verdicts.c.validated_at.desc(), verdicts.c.id)
    )
    if not most or (extract.incremental and not extract.rows):
        return []
    with state.connect() as connection:
        return list(_one_each(connection.execute(query).yield_per(most), most).values())


def _one_each(rows: Iterator[Any], most: int) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if len(found) == most:
            break
        if row.profile is not None and row.replays is None:
            found.setdefault(row.extract, row.profile)
    return found
