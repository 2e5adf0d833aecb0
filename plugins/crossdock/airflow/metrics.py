"""Numbers for Airflow's own metrics, sent wherever its `[metrics]` settings say: StatsD, or OpenTelemetry.

| metric                          | kind    | tags                                             |
|---------------------------------|---------|--------------------------------------------------|
| `crossdock.rows.pulled`         | counter | department, dataset                              |
| `crossdock.rows.accepted`       | counter | department, dataset                              |
| `crossdock.rows.quarantined`    | counter | department, dataset                              |
| `crossdock.verdicts.accepted`, and of `partial`, `rejected` | counter | department, dataset       |
| `crossdock.shares`              | counter | department, dataset, consumer                    |
| `crossdock.handovers.delivered`, and of `unchanged`, `refused`, `waiting` | counter | department, dataset, consumer |
| `crossdock.pull.duration`, and of `validate`, `push`, `publish` | timer (ms) | department, dataset (and consumer) |
| `crossdock.owed.agreements.failing`, and of `waiting`, `due`, `rejected`, `astray` | gauge |        |
| `crossdock.owed.records.rejected` | gauge |                                                  |
| `crossdock.owed.oldest_seconds` | gauge   |                                                  |
| `crossdock.ledger.sound`        | gauge   |                                                  |

StatsD as it is by itself has no tags: what must not be added up is told apart by its name. They tell of ids and counts,
never of a row. What counts for good is the ledger: a metric may be lost, or sent twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from crossdock.backlog import Owed
    from crossdock.handover import Outcome
    from crossdock.storage.records import Extract, Verdict


@contextmanager
def timed(verb: str, subject: str) -> Iterator[None]:
    """Tells how long a verb took, of a dataset or an agreement."""
    with stats.timer(f"crossdock.{verb}.duration", tags=_tags(subject)):
        yield


def pulled(extract: Extract) -> None:
    """Tells of an extract."""
    stats.incr("crossdock.rows.pulled", extract.rows, tags=_tags(extract.dataset))


def judged(verdict: Verdict) -> None:
    """Tells of a verdict."""
    tags = _tags(verdict.dataset)
    stats.incr("crossdock.rows.accepted", verdict.accepted, tags=tags)
    stats.incr("crossdock.rows.quarantined", verdict.quarantined, tags=tags)
    stats.incr(f"crossdock.verdicts.{verdict.outcome}", tags=tags)


def handed_over(outcome: Outcome) -> None:
    """Tells what became of an agreement."""
    tags, counts = _tags(outcome.agreement), outcome.counts or {}
    stats.incr(f"crossdock.handovers.{outcome.status}", tags=tags)
    if outcome.status == "delivered":
        stats.incr("crossdock.shares", counts.get("inserted", 0) + counts.get("updated", 0), tags=tags)


def owed(found: Sequence[Owed]) -> None:
    """Tells what consumers are owed; states in which nothing is, too, so that a gauge falls back."""
    states = Counter(each.state for each in found)
    for state in ("failing", "waiting", "due", "rejected", "astray"):
        stats.gauge(f"crossdock.owed.agreements.{state}", states[state])
    stats.gauge("crossdock.owed.records.rejected", sum(each.rejected for each in found))
    stats.gauge("crossdock.owed.oldest_seconds", max((each.age_seconds for each in found), default=0.0))


def audited(*, sound: bool) -> None:
    """Tells whether the ledger is sound."""
    stats.gauge("crossdock.ledger.sound", int(sound))


def _tags(subject: str) -> dict[str, str]:
    names = ("department", "dataset", "consumer")
    return dict(zip(names, subject.split("/"), strict=False))
