"""How datasets fared: their verdicts over time, and how old the snapshot is that is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from crossdock.errors import WrongUse, did_you_mean
from crossdock.exchange import Exchange
from crossdock.storage.records import Snapshot, Verdict, latest_snapshot, verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One dataset's verdicts, the newest first, and the snapshot in force (None: nothing was ever accepted)."""

    dataset: str
    verdicts: Sequence[Verdict]
    snapshot: Snapshot | None
    age_seconds: float | None  # since the snapshot in force was accepted


def histories(exchange: Exchange, target: str = "", *, most: int = 100) -> list[History]:
    """Returns the histories of a department's datasets, of one DEPARTMENT/DATASET, or of all, by name.

    Args:
        exchange: holds the verdicts.
        target: "" for all.
        most: verdicts per dataset.

    Raises:
        WrongUse: there is no such department or dataset.
    """
    names = sorted(exchange.catalogue.contracts)
    chosen = [name for name in names if target in ("", name, name.partition("/")[0])]
    if not chosen:
        known = [*names, *sorted({name.partition("/")[0] for name in names})]
        raise WrongUse(f"There is no dataset or department '{target}'.", fix=did_you_mean(target, known))
    return [_history(exchange, name, most) for name in chosen]


def _history(exchange: Exchange, dataset: str, most: int) -> History:
    snapshot = latest_snapshot(exchange.state, dataset)
    age = exchange.clock() - datetime.fromisoformat(snapshot.accepted_at) if snapshot else None
    return History(
        dataset=dataset,
        verdicts=verdicts(exchange.state, dataset=dataset, most=most),
        snapshot=snapshot,
        age_seconds=age.total_seconds() if age else None,
    )
