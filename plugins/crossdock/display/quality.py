"""Quality in the terminal: verdicts, quarantine, what came of a pass, and how datasets fared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from crossdock.display.terminal import (
    coloured,
    err,
    error,
    lasted,
    moment,
    out,
    problem,
    sent_rows,
    table,
    worded,
)

if TYPE_CHECKING:
    from crossdock.contracts.model import Contract
    from crossdock.errors import Problem
    from crossdock.history import History
    from crossdock.stewardship import Replay
    from crossdock.storage.quarantine import QuarantineEntry, Waiver
    from crossdock.storage.records import Finding, Verdict
    from crossdock.sweep import Pass
    from crossdock.validation.judge import Opinion
    from crossdock.validation.samples import Sample


def findings(items: Sequence[Finding]) -> None:
    """Prints findings, most rows first."""
    if not items:
        return
    shown = table("", ">rows", "rule", "column", "reason", "severity")
    for item in sorted(items, key=lambda f: -f.rows):
        shown.add_row(f"{item.rows:,}", escape(item.rule), escape(item.column), worded(item.reason), item.severity)
    out.print(shown)


def judgement(contract: Contract, judged: Opinion) -> None:
    """Prints one file's outcome and why."""
    out.print(
        f"{escape(contract.id)} {escape(contract.version)}: {coloured(judged.outcome)}, {judged.rows:,} rows, "
        f"{judged.accepted:,} accepted, {judged.quarantined:,} quarantined"
    )
    findings(judged.findings)


def verdict(found: Verdict) -> None:
    """Prints one verdict and its findings."""
    out.print(
        f"{found.dataset} ({found.validated_at}): {coloured(found.outcome)}, {found.accepted:,} of {found.rows:,} rows "
        f"accepted under contract {escape(found.contract_version)}"
    )
    findings(found.findings)


def quarantine(held: Sequence[tuple[Verdict, QuarantineEntry]]) -> None:
    """Prints verdicts that set rows aside, and what became of those."""
    shown = table("Quarantine", "verdict", "dataset", ">rows", "status", "top reason", "validated at")
    for each, entry in held:
        top = max((f for f in each.findings if f.severity == "error"), key=lambda f: f.rows, default=None)
        reason = worded(top.reason) if top else ""
        shown.add_row(each.id, each.dataset, f"{each.quarantined:,}", entry.status, reason, moment(each.validated_at))
    out.print(shown)


def samples(items: Sequence[Sample]) -> None:
    """Prints masked samples of quarantined rows."""
    if not items:
        return
    shown = table("By shape (9 a digit, A, a or 文 a letter)", ">arrival", "column", "shape", "rules")
    for item in items:
        for column, shape in item.shapes.items():
            text = "[dim]missing[/]" if shape is None else escape(shape)
            shown.add_row(f"{item.arrival:,}", escape(column), text, escape(", ".join(item.rules)))
    out.print(shown)


def replays(done: Sequence[Replay], served: Pass, waiver: Waiver | None) -> None:
    """Prints what was released and judged again, and who was served."""
    if waiver:
        out.print(f"{waiver.rows:,} rows released by {escape(waiver.released_by)}: {escape(waiver.reason)}")
    for each in done:
        if each.verdict is None:
            out.print(f"{each.dataset}: nothing that its {each.rows:,} rows are judged by has changed.")
        else:
            out.print(f"{each.dataset}: {each.mended:,} of {each.rows:,} rows left the quarantine.")
    if not done:
        out.print("Nothing is in quarantine.")
    _handed_over(served)


def finished(done: Pass, problems: Sequence[Problem]) -> None:
    """Prints what came of a whole pass: datasets, agreements, failures."""
    verdicts = table("Datasets", "dataset", "outcome", ">pulled", ">accepted", ">quarantined", "top reasons")
    for each in done.verdicts:
        tops = Counter({f.rule: f.rows for f in each.findings if f.severity == "error"}).most_common(3)
        reasons = ", ".join(f"{rule} {rows:,}" for rule, rows in tops)
        verdicts.add_row(
            each.dataset,
            coloured(each.outcome),
            f"{each.rows:,}",
            f"{each.accepted:,}",
            f"{each.quarantined:,}",
            escape(reasons),
        )
    out.print(verdicts)
    for one in problems:
        problem(one)
    _handed_over(done)


def _handed_over(done: Pass) -> None:
    agreements = table("Agreements", "agreement", "status", ">sent", ">filtered", "why")
    for outcome in done.outcomes:
        sent = f"{sent_rows(outcome.counts):,}" if outcome.counts else ""
        filtered = f"{outcome.counts.get('filtered', 0):,}" if outcome.counts else ""
        agreements.add_row(outcome.agreement, coloured(outcome.status), sent, filtered, worded(outcome.reason))
    if done.outcomes:
        out.print(agreements)
    for step in done.failures:
        if step.error:
            err.print(f"[red]failed[/] {step.verb} {step.subject}")
            error(step.error)


def history(histories: Sequence[History]) -> None:
    """Prints how datasets fared: one line each, or every verdict where there is one dataset."""
    if len(histories) == 1:
        _verdicts(histories[0])
    shown = table("In force", "dataset", "pass rate of the last verdicts", ">verdicts", ">rows", ">age", "last outcome")
    for each in histories:
        last = each.verdicts[0] if each.verdicts else None
        shown.add_row(
            each.dataset, _spark(each.verdicts), f"{len(each.verdicts):,}",
            f"{each.snapshot.rows:,}" if each.snapshot else "none", lasted(each.age_seconds),
            coloured(last.outcome) if last else "",
        )  # fmt: skip
    out.print(shown)


def _verdicts(history: History) -> None:
    shown = table(history.dataset, "validated at", "outcome", ">rows", ">accepted", ">pass rate", "", "top reasons")
    for each in history.verdicts:
        tops = Counter({f.rule: f.rows for f in each.findings}).most_common(3)
        reasons = ", ".join(f"{rule} {rows:,}" for rule, rows in tops)
        shown.add_row(
            moment(each.validated_at), coloured(each.outcome), f"{each.rows:,}", f"{each.accepted:,}",
            f"{100 * each.pass_rate:.2f} %", "█" * round(10 * each.pass_rate), escape(reasons),
        )  # fmt: skip
    out.print(shown)


def _spark(verdicts: Sequence[Verdict]) -> str:
    """Returns a bar per verdict, the oldest of the last twenty first."""
    return "".join(_BARS[round((len(_BARS) - 1) * each.pass_rate)] for each in reversed(verdicts[:20]))


_BARS = "▁▂▃▄▅▆▇█"
