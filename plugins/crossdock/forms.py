"""The JSON forms of what the command line shows, as `--json` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossdock.comparison import Compared, Comparison
    from crossdock.drafting.draft import Draft
    from crossdock.errors import Problem
    from crossdock.history import History
    from crossdock.lint import Report
    from crossdock.pipeline import Audit
    from crossdock.stewardship import Replay
    from crossdock.storage.quarantine import QuarantineEntry, Waiver
    from crossdock.storage.recalls import Recall
    from crossdock.storage.records import Delivery, Finding, Refusal, Verdict
    from crossdock.sweep import Pass
    from crossdock.validation.judge import Opinion


def problem(found: Problem) -> dict[str, object]:
    """Returns a problem's JSON form."""
    return {"file": str(found.file), "line": found.line, "path": found.path, "what": found.what, "fix": found.fix}


def lint(report: Report) -> dict[str, object]:
    """Returns the JSON form of `lint`; with a comparison, when one was asked for."""
    form: dict[str, object] = {
        "departments": report.departments,
        "contracts": report.contracts,
        "agreements": report.agreements,
        "problems": [problem(p) for p in report.problems],
    }
    return form | (comparison(report.compared) if report.compared else {})


def comparison(found: Comparison) -> dict[str, object]:
    """Returns the JSON form of `diff`."""
    return {
        "datasets": [_compared(each) for each in found.datasets],
        "findings": [problem(p) for p in found.findings],
    }


def _compared(found: Compared) -> dict[str, object]:
    form: dict[str, object] = {"dataset": found.dataset, "fate": found.fate}
    if found.evolution:
        changes = [
            {"level": c.level, "what": c.what, "columns": list(c.columns), "path": c.path, "breaks": c.breaking, "burdens": c.burdens}
            for c in found.evolution.changes
        ]  # fmt: skip
        form |= {
            "old_version": found.evolution.old,
            "new_version": found.evolution.new,
            "required_version": found.evolution.required,
            "changes": changes,
        }
    broken = [{"agreement": b.agreement, "consumer": b.consumer, "reasons": list(b.reasons)} for b in found.broken]
    return form | {"breaks": broken}


def draft(made: Draft) -> dict[str, object]:
    """Returns the JSON form of `draft`."""
    columns = [
        {
            "name": each.column.name,
            "source_name": each.column.source_name,
            "type": each.type,
            "missing": each.facts.missing,
            "key": each.column.key_position,
            "classification": each.sensitivity.classification,
            "reason": each.sensitivity.reason,
            "confirm": each.question,
        }
        for each in made.columns
    ]
    return {
        "rows": made.rows,
        "columns": columns,
        "confirm": list(made.questions),
        "contract": dict(made.document),
    }


def finding(found: Finding) -> dict[str, object]:
    """Returns a finding's JSON form; one that only warns says so."""
    form: dict[str, object] = {"rule": found.rule, "column": found.column, "reason": found.reason, "rows": found.rows}
    return form if found.severity == "error" else form | {"severity": found.severity}


def judgement(found: Opinion) -> dict[str, object]:
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


def history(found: History) -> dict[str, object]:
    """Returns the JSON form of one dataset's history."""
    snapshot = found.snapshot
    return {
        "dataset": found.dataset,
        "in_force": {
            "snapshot": snapshot.id,
            "rows": snapshot.rows,
            "accepted_at": snapshot.accepted_at,
            "age_seconds": found.age_seconds,
        }
        if snapshot
        else None,
        "verdicts": [verdict(v) | {"pass_rate": v.pass_rate, "profile": v.profile} for v in found.verdicts],
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


def deliveries(made: Sequence[Delivery], refused: Sequence[Refusal], recalls: Sequence[Recall]) -> dict[str, object]:
    """Returns the JSON form of `deliveries list`."""
    return {
        "deliveries": [asdict(d) for d in made],
        "refusals": [asdict(r) for r in refused],
        "recalls": [asdict(r) for r in recalls],
    }


def audit(found: Audit) -> dict[str, object]:
    """Returns the JSON form of `ledger verify`."""
    return {
        "sound": found.sound,
        "shares": found.counted,
        "recounted": found.recounted,
        "mismatch": found.mismatch,
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
