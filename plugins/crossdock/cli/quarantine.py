"""`crossdock quarantine`."""

from __future__ import annotations

from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossdock import forms
from crossdock.cli.command import FINDINGS, FINE, Docs, Json, check_output, command, print_json, write_docs
from crossdock.display import quality, terminal
from crossdock.errors import WrongUse

if TYPE_CHECKING:
    from crossdock.exchange import Exchange
    from crossdock.stewardship import Replay
    from crossdock.storage.quarantine import Waiver

app = typer.Typer(no_args_is_help=True, help="Rows that failed validation.")
Name = Annotated[str, typer.Argument(metavar="VERDICT", help="A verdict id from `quarantine list`.")]
_SAMPLES = 6


@command(app, "list")
def listed(
    dataset: Annotated[str, typer.Argument(help="DEPARTMENT/DATASET; default: all.")] = "",
    closed: Annotated[bool, typer.Option("--all", help="Also those whose rows were judged again since.")] = False,
    as_json: Json = False,
) -> int:
    """List the verdicts whose rows are in quarantine, newest first, with their reasons."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.quarantine import entries
    from crossdock.storage.records import verdicts

    state = open_exchange().state
    known = {entry.id: entry for entry in entries(state, dataset=dataset or None)}
    found = [(v, known[v.id]) for v in verdicts(state, dataset=dataset or None) if v.id in known]
    held = [(verdict, entry) for verdict, entry in found if closed or entry.status == "open"]
    if as_json:
        print_json({"quarantine": [forms.held(verdict, entry) for verdict, entry in held]})
    else:
        quality.quarantine(held)
    return FINE


@command(app, "show")
def shown(
    verdict: Name,
    output: Annotated[
        Path | None, typer.Option(help="Write the failing rows, as they arrived, to this parquet file.")
    ] = None,
    findings: Annotated[
        Path | None, typer.Option(help="Write arrival number, key and reasons of each failing row to this .csv file.")
    ] = None,
    docs: Docs = None,
    as_json: Json = False,
) -> int:
    """Show one verdict's reasons and masked samples; copy rows out on request (they hold personal data: keep them safe)."""
    from crossdock import stewardship
    from crossdock.exchange import open_exchange
    from crossdock.intake import copy_out
    from crossdock.storage.records import verdict_by_id

    check_output(output, ".parquet")
    check_output(findings, ".csv")
    check_output(docs, ".html")
    exchange = open_exchange()
    found = verdict_by_id(exchange.state, verdict)
    if found is None:
        raise WrongUse(f"There is no verdict '{verdict}'.", fix="`crossdock quarantine list` shows the ids.")
    if output and found.quarantine_key:
        copy_out(exchange, found.quarantine_key, output)
    if findings:
        stewardship.write_findings(exchange, found, findings)
    write_docs(exchange.store.read(found.result_key), docs)
    shapes = stewardship.sample(exchange, found, most=_SAMPLES)
    if as_json:
        print_json(forms.verdict(found) | {"samples": [each.to_dict() for each in shapes]})
    else:
        quality.verdict(found)
        quality.samples(shapes)
    return FINE


@command(app, "release")
def released(
    verdict: Name,
    reason: Annotated[str, typer.Option(help="Why these rows are to be accepted; kept for ever.")],
    rule: Annotated[list[str] | None, typer.Option(help="Waive this rule only; may be repeated.")] = None,
    by: Annotated[str | None, typer.Option(help="Who says so; default: this system's user name.")] = None,
    as_json: Json = False,
) -> int:
    """Accept rows although they break rules, and serve who receives changes."""
    from crossdock import stewardship
    from crossdock.exchange import open_exchange

    exchange = open_exchange()
    waiver = stewardship.release(exchange, verdict, rules=rule or (), reason=reason, by=by or getuser())
    return _judge_again(exchange, [waiver.dataset], as_json, waiver)


@command(app, "replay")
def replayed(
    target: Annotated[str, typer.Argument(help="A department, DEPARTMENT/DATASET or verdict; default: all.")] = "",
    as_json: Json = False,
) -> int:
    """Judge quarantined rows again after a contract, transform or reference was mended, and serve who receives changes."""
    from crossdock import stewardship
    from crossdock.exchange import open_exchange

    exchange = open_exchange()
    return _judge_again(exchange, stewardship.datasets_held(exchange, target), as_json, None)


def _judge_again(exchange: Exchange, datasets: list[str], as_json: bool, waiver: Waiver | None) -> int:
    from crossdock import stewardship, sweep

    replays: list[Replay] = []
    served = sweep.Pass()
    with terminal.progress(len(datasets)) as advance:
        for dataset in datasets:
            replay = stewardship.replay(exchange, dataset)
            replays.append(replay)
            if replay.verdict:
                served.steps += sweep.serve(exchange, dataset).steps
            advance(f"replay {dataset}")
    if as_json:
        print_json(forms.replays(replays, served, waiver))
    else:
        quality.replays(replays, served, waiver)
    return FINDINGS if served.failures else FINE
