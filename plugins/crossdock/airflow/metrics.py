"""Numbers for Airflow's own metrics, sent wherever its `[metrics]` settings say: StatsD, or OpenTelemetry.

| metric                          | kind    | tags                                             |
|---------------------------------|---------|--------------------------------------------------|
| `crossdock.rows.pulled`         | counter | department, dataset                              |
| `crossdock.rows.accepted`       | counter | department, dataset                              |
| `crossdock.rows.quarantined`    | counter | department, dataset                              |
| `crossdock.verdicts`            | counter | department, dataset, outcome                     |
| `crossdock.shares`              | counter | department, dataset, consumer                    |
| `crossdock.handovers`           | counter | department, dataset, consumer, status            |
| `crossdock.pull.duration`, and of `validate`, `push`, `publish` | timer (ms) | department, dataset (and consumer) |
| `crossdock.owed.agreements`, `crossdock.owed.records`   | gauge | state                              |
| `crossdock.owed.oldest_seconds` | gauge   |                                                  |
| `crossdock.ledger.sound`        | gauge   |                                                  |

They tell of ids and counts, never of a row. What counts for good is the ledger: a metric may be lost, or sent twice.
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
    stats.incr("crossdock.verdicts", tags=tags | {"outcome": verdict.outcome})


def handed_over(outcome: Outcome) -> None:
    """Tells what became of an agreement."""
    tags, counts = _tags(outcome.agreement), outcome.counts or {}
    stats.incr("crossdock.handovers", tags=tags | {"status": outcome.status})
    if outcome.status == "delivered":
        stats.incr("crossdock.shares", counts.get("inserted", 0) + counts.get("updated", 0), tags=tags)


def owed(found: Sequence[Owed]) -> None:
    """Tells what consumers are owed; states in which nothing is, too, so that a gauge falls back."""
    states = Counter(each.state for each in found)
    for state in ("failing", "waiting", "due", "rejected"):
        stats.gauge("crossdock.owed.agreements", states[state], tags={"state": state})
    stats.gauge("crossdock.owed.records", sum(each.rejected for each in found), tags={"state": "rejected"})
    stats.gauge("crossdock.owed.oldest_seconds", max((each.age_seconds for each in found), default=0.0))


def audited(*, sound: bool) -> None:
    """Tells whether the ledger is sound."""
    stats.gauge("crossdock.ledger.sound", int(sound))


def _tags(subject: str) -> dict[str, str]:
    names = ("department", "dataset", "consumer")
    return dict(zip(names, subject.split("/"), strict=False))
