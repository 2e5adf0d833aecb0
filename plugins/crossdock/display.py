"""What people see in the terminal: tables on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from crossdock.errors import ContractInvalid, CrossdockError, Problem

if TYPE_CHECKING:
    from crossdock.comparison import Comparison
    from crossdock.contracts.model import Contract
    from crossdock.drafting.draft import Draft
    from crossdock.ledger.checking import Proven
    from crossdock.ledger.counts import Counts
    from crossdock.ledger.subjects import Received
    from crossdock.lint import Report
    from crossdock.pipeline import Audit
    from crossdock.stewardship import Replay
    from crossdock.storage.quarantine import QuarantineEntry, Waiver
    from crossdock.storage.records import Delivery, Finding, Refusal, Verdict
    from crossdock.sweep import Pass
    from crossdock.validation.judge import Judgement
    from crossdock.validation.samples import Sample

_WIDTH = None if sys.stdout.isatty() else 150  # files and pipes have no width of their own
out = Console(highlight=False, width=_WIDTH)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDTH)
COLOURS = {
    "accepted": "green",
    "partial": "yellow",
    "rejected": "red",
    "delivered": "green",
    "unchanged": "dim",
    "refused": "yellow",
    "waiting": "yellow",
}


Advance = Callable[[str], None]


def coloured(word: str) -> str:
    """Returns an outcome or status with its colour."""
    return f"[{COLOURS.get(word, 'default')}]{word}[/]"


def moment(instant: str | None) -> str:
    """Returns an instant as people read it: to the second, in UTC."""
    return (instant or "")[:19].replace("T", " ")


def table(title: str, *columns: str) -> Table:
    """Returns an empty table; columns whose name starts with ">" are numbers, set to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    return made


@contextmanager
def progress(total: int) -> Iterator[Advance]:
    """Shows a progress bar on stderr (lines, where there is no terminal) and gives a function that says what was done."""
    if not err.is_terminal:
        yield lambda done: err.print(escape(done), style="dim")
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda done: bar.update(task, advance=1, description=escape(done))


def error(problem: CrossdockError) -> None:
    """Prints what went wrong, where, and what to do, on stderr."""
    if isinstance(problem, ContractInvalid):
        for each in problem.problems:
            _problem(each)
        return
    place = f"[bold]{escape(problem.where)}[/]: " if problem.where else ""
    err.print(f"[red]error[/] {place}{escape(problem.what)}")
    if problem.fix:
        err.print(f"      {escape(problem.fix)}")


def _problem(problem: Problem) -> None:
    place = str(problem.file) + (f":{problem.line}" if problem.line else "")
    err.print(f"[red]error[/] [bold]{escape(place)}[/] {escape(problem.path)}")
    err.print(f"      {escape(problem.what)} {escape(problem.fix)}".rstrip())


def lint(report: Report) -> None:
    """Prints every problem, then what was checked; before them the comparison, when one was asked for."""
    if report.compared:
        comparison(report.compared)
    for problem in report.problems:
        _problem(problem)
    number = len(report.problems)
    word = f"[red]{number} problem{'' if number == 1 else 's'}[/]" if number else "[green]no problems[/]"
    out.print(
        f"{report.departments} departments, {report.contracts} contracts, {report.agreements} agreements: {word}."
    )


def comparison(found: Comparison) -> None:
    """Prints what changed, dataset by dataset, then what has to be mended."""
    for each in found.datasets:
        evolution = each.evolution
        if evolution is None:
            out.print(f"[bold]{escape(each.dataset)}[/] {each.fate}")
            continue
        needs = f", needs {evolution.required}" if evolution.objection and evolution.required else ""
        title = f"{each.dataset}: {evolution.old} to {evolution.new}{needs}"
        shown = table(escape(title), "level", "for consumers", "for the source", "change")
        for change in evolution.changes:
            breaks = "[red]breaks[/]" if change.breaking else ""
            shown.add_row(change.level, breaks, "has to give more" if change.burdens else "", escape(change.what))
        out.print(shown)
    for finding in found.findings:
        _problem(finding)
    number = len(found.findings)
    word = f"[red]{number} finding{'' if number == 1 else 's'}[/]" if number else "[green]no findings[/]"
    out.print(f"{len(found.datasets)} dataset{'' if len(found.datasets) == 1 else 's'} changed: {word}.")


def draft(made: Draft, *, shown: bool) -> None:
    """Prints what was guessed of each column; with the contract on stdout (`shown`), the rest goes to stderr."""
    where = err if shown else out
    if shown:
        sys.stdout.write(made.text)
    guesses = table(f"{made.rows:,} rows", "column", "read from", "type", ">missing", "key", "class", "because")
    for each in made.columns:
        column = each.column
        guesses.add_row(
            escape(column.name), escape(column.source_name), each.type, f"{each.facts.missing:,}",
            "yes" if column.key_position else "", each.sensitivity.classification, escape(each.sensitivity.reason),
        )  # fmt: skip
    where.print(guesses)
    where.print("A person has to confirm each guess: the contract can't be used before every `confirm` is removed.")


def findings(items: Sequence[Finding]) -> None:
    """Prints findings, most rows first."""
    if not items:
        return
    shown = table("", ">rows", "rule", "column", "reason", "severity")
    for item in sorted(items, key=lambda f: -f.rows):
        shown.add_row(f"{item.rows:,}", escape(item.rule), escape(item.column), escape(item.reason), item.severity)
    out.print(shown)


def judgement(contract: Contract, judged: Judgement) -> None:
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
        reason = escape(top.reason) if top else ""
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


def deliveries(made: Sequence[Delivery], refused: Sequence[Refusal]) -> None:
    """Prints deliveries, then refusals."""
    shown = table("Deliveries", "delivery", "agreement", "channel", ">sent", ">unchanged", ">deleted", "status", "at")
    for each in made:
        sent, counted = _sent(each.counts), each.counts or {}
        shown.add_row(
            each.id, each.agreement, each.channel, f"{sent:,}", f"{counted.get('unchanged', 0):,}",
            f"{counted.get('deleted', 0):,}", coloured(each.status), moment(each.delivered_at or each.intended_at),
        )  # fmt: skip
    out.print(shown)
    if refused:
        no = table("Refused", "agreement", "reason", "at")
        for refusal in refused:
            no.add_row(refusal.agreement, escape(refusal.reason), moment(refusal.refused_at))
        out.print(no)


def _sent(counts: Mapping[str, int] | None) -> int:
    return (counts or {}).get("inserted", 0) + (counts or {}).get("updated", 0)


def delivery(made: Delivery, manifest: Mapping[str, object] | None) -> None:
    """Prints one delivery with what its manifest proves."""
    out.print(f"[bold]{made.id}[/] {escape(made.agreement)} {coloured(made.status)} {made.delivered_at or ''}")
    out.print_json(data={"receipt": made.receipt, "manifest": manifest})


def counts(counted: Counts, groups: Sequence[str]) -> None:
    """Prints share counts by group, then the totals."""
    shown = table("Shares", *groups, ">shares", ">deliveries")
    for group in counted.groups:
        shown.add_row(*(escape(str(group[g])) for g in groups), f"{group['shares']:,}", f"{group['deliveries']:,}")
    if groups:
        out.print(shown)
    out.print(f"[bold]{counted.shares:,}[/] shares in {counted.deliveries:,} deliveries")


def received(items: Sequence[Received]) -> None:
    """Prints who received a subject's records."""
    shown = table("Received by", "when", "consumer", "dataset", "operation", "purpose", "legal basis", "columns")
    for item in items:
        shown.add_row(
            moment(item.delivered_at), item.consumer, item.dataset, item.operation, escape(item.purpose),
            escape(item.legal_basis), ", ".join(item.columns),
        )  # fmt: skip
    out.print(shown if items else "Nobody received a record of this subject.")


def audit(found: Audit) -> None:
    """Prints whether the ledger is sound, and each broken place."""
    for broken in found.breaks:
        out.print(
            f"[red]broken[/] entry {broken.seq}, delivery {broken.delivery}: {escape(broken.what)} [dim]{escape(broken.where)}[/]"
        )
    if found.counted != found.recounted:
        out.print(f"[red]broken[/] {found.counted:,} shares by the entries, {found.recounted:,} by the event files")
    if found.sound:
        out.print(f"[green]sound[/]: {found.counted:,} shares, recounted from the event files")


def proven(found: Proven) -> None:
    """Prints what a proof proves."""
    shown = table("Proven", "", "")
    for name, value in found.to_dict().items():
        shown.add_row(name.replace("_", " "), escape(", ".join(value) if isinstance(value, tuple) else str(value)))
    out.print(shown)


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
    for problem in problems:
        _problem(problem)
    _handed_over(done)


def _handed_over(done: Pass) -> None:
    agreements = table("Agreements", "agreement", "status", ">sent", ">filtered", "why")
    for outcome in done.outcomes:
        sent = f"{_sent(outcome.counts):,}" if outcome.counts else ""
        filtered = f"{outcome.counts.get('filtered', 0):,}" if outcome.counts else ""
        agreements.add_row(outcome.agreement, coloured(outcome.status), sent, filtered, escape(outcome.reason))
    if done.outcomes:
        out.print(agreements)
    for step in done.failures:
        if step.error:
            err.print(f"[red]failed[/] {step.verb} {step.subject}")
            error(step.error)
