"""Contracts in the terminal: problems, changes, drafts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.markup import escape

from crossdock.display.terminal import err, out, problem, table

if TYPE_CHECKING:
    from crossdock.comparison import Comparison
    from crossdock.drafting.draft import Draft
    from crossdock.lint import Report


def lint(report: Report) -> None:
    """Prints every problem, then what was checked; before them the comparison, when one was asked for."""
    if report.compared:
        comparison(report.compared)
    for each in report.problems:
        problem(each)
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
        problem(finding)
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
