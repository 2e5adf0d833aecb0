"""The JSON forms of what the command line shows, as `--json` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossdock.errors import Problem
    from crossdock.pipeline import Audit
    from crossdock.stewardship import Replay
    from crossdock.storage.quarantine import QuarantineEntry, Waiver
    from crossdock.storage.records import Delivery, Finding, Refusal, Verdict
    from crossdock.sweep import Pass
    from crossdock.validation.judge import Judgement


def finding(found: Finding) -> dict[str, object]:
    """Returns a finding's JSON form; one that only warns says so."""
    form: dict[str, object] = {"rule": found.rule, "column": found.column, "reason": found.reason, "rows": found.rows}
    return form if found.severity == "error" else form | {"severity": found.severity}


def judgement(found: Judgement) -> dict[str, object]:
    """Returns the JSON form of `validate`."""
    return {
        "outcome": found.outcome,
        "rows": found.rows,
        "accepted": found.accepted,
        "quarantined": found.quarantined,
        "findings": [finding(f) for f in found.findings],
    }


def verdict(found: Verdict) -> dict[str, object]:
    """Returns a verdict's JSON form."""
    return {
        "verdict": found.id,
        "dataset": found.dataset,
        "extract": found.extract,
        "contract_version": found.contract_version,
        "outcome": found.outcome,
        "rows": found.rows,
        "accepted": found.accepted,
        "quarantined": found.quarantined,
        "validated_at": found.validated_at,
        "findings": [finding(f) for f in found.findings],
    }


def held(found: Verdict, entry: QuarantineEntry) -> dict[str, object]:
    """Returns the JSON form of a verdict and of what became of the rows that it set aside."""
    return verdict(found) | {"status": entry.status, "closed_at": entry.closed_at, "closed_by": entry.closed_by}


def replays(done: Sequence[Replay], served: Pass, waiver: Waiver | None) -> dict[str, object]:
    """Returns the JSON form of `quarantine replay` and `quarantine release`."""
    judged = [
        {"dataset": r.dataset, "rows": r.rows, "mended": r.mended, "verdict": verdict(r.verdict) if r.verdict else None}
        for r in done
    ]
    form: dict[str, object] = {"replays": judged, "agreements": [asdict(o) for o in served.outcomes]}
    form |= {"failures": _failures(served)}
    return form | ({"waiver": asdict(waiver)} if waiver else {})


def deliveries(made: Sequence[Delivery], refused: Sequence[Refusal]) -> dict[str, object]:
    """Returns the JSON form of `deliveries list`."""
    return {"deliveries": [asdict(d) for d in made], "refusals": [asdict(r) for r in refused]}


def audit(found: Audit) -> dict[str, object]:
    """Returns the JSON form of `ledger verify`."""
    return {
        "sound": found.sound,
        "shares": found.counted,
        "recounted": found.recounted,
        "breaks": [asdict(b) for b in found.breaks],
    }


def sweep(done: Pass, problems: Sequence[Problem]) -> dict[str, object]:
    """Returns the JSON form of `run`."""
    return {
        "datasets": [verdict(v) for v in done.verdicts],
        "agreements": [asdict(o) for o in done.outcomes],
        "failures": _failures(done),
        "problems": [str(p) for p in problems],
    }


def _failures(done: Pass) -> list[dict[str, str]]:
    return [{"verb": s.verb, "subject": s.subject, "error": str(s.error)} for s in done.failures]
