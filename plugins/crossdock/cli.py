"""The `crossdock` command. With --json, one JSON document goes to stdout and nothing else; people get tables.

Exit codes: 0 fine; 1 findings (bad rows, refused, broken chain); 2 wrong use or invalid contract.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from crossdock import display, forms
from crossdock.errors import ContractInvalid, CrossdockError, SourceInvalid, WrongUse

FINE, FINDINGS, WRONG = 0, 1, 2

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Pull, validate, push, publish, count.",
)
ledger_app = typer.Typer(no_args_is_help=True, help="The ledger of every record shared.")
quarantine_app = typer.Typer(no_args_is_help=True, help="Rows that failed validation.")
deliveries_app = typer.Typer(no_args_is_help=True, help="What was delivered to whom, and what was refused.")
app.add_typer(ledger_app, name="ledger")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(deliveries_app, name="deliveries")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
Docs = Annotated[Path | None, typer.Option(help="Write Great Expectations' page of the result to this .html file.")]
Args = ParamSpec("Args")


def command(group: typer.Typer, name: str) -> Callable[[Callable[Args, int]], Callable[Args, None]]:
    """Registers a function that returns an exit code; crossdock's errors go to stderr as what, where and fix."""

    def register(work: Callable[Args, int]) -> Callable[Args, None]:
        @group.command(name)
        @wraps(work)
        def run(*args: Args.args, **kwargs: Args.kwargs) -> None:
            try:
                code = work(*args, **kwargs)
            except (ContractInvalid, WrongUse, SourceInvalid) as error:
                display.error(error)
                code = WRONG
            except CrossdockError as error:
                display.error(error)
                code = FINDINGS
            raise typer.Exit(code)

        return run

    return register


def _check_output(path: Path | None, *suffixes: str) -> None:
    """Refuses a file to write that has no folder or is of a form we don't write, before the work and not after it."""
    if path and path.suffix not in suffixes:
        raise WrongUse("This form can't be written.", where=str(path), fix=f"End the name in {' or '.join(suffixes)}.")
    if path and not path.absolute().parent.is_dir():
        raise WrongUse("Its folder does not exist.", where=str(path), fix="Make the folder, or name another.")


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")


@command(app, "lint")
def lint(
    path: Annotated[
        Path | None, typer.Argument(help="A contracts folder, or one file; default: this exchange's.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Check contracts and agreements, naming file, line and fix."""
    from crossdock.exchange import find_home
    from crossdock.lint import lint as check

    folder = path or find_home() / "contracts"
    beside = folder.parent / "transforms" if folder.is_dir() else find_home() / "transforms"
    report = check(folder, transforms=beside if beside.is_dir() else find_home() / "transforms")
    if as_json:
        _print_json(report.to_dict())
    else:
        display.lint(report)
    return WRONG if report.problems else FINE


@command(app, "validate")
def validate(
    contract: Annotated[Path, typer.Argument(help="A contract file (ODCS YAML).")],
    data: Annotated[Path, typer.Argument(help="A CSV, TSV, JSON lines, XLSX or parquet file.")],
    quarantine: Annotated[Path | None, typer.Option(help="Keep failing rows in this .parquet or .csv file.")] = None,
    docs: Docs = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="Data of a dataset it refers to: DEPARTMENT/DATASET=FILE.")
    ] = None,
    schema: Annotated[str | None, typer.Option(help="Which table, when the contract describes several.")] = None,
    as_json: Json = False,
) -> int:
    """Check one file against one contract; no set-up needed."""
    from crossdock.contracts.odcs import read_contract
    from crossdock.trial import find_surroundings, validate_file

    _check_output(quarantine, ".parquet", ".csv")
    promise = read_contract(contract, schema=schema)
    judgement = validate_file(promise, data, find_surroundings(promise, reference or []), quarantine=quarantine)
    _write_docs(judgement.result, docs)
    if as_json:
        _print_json(forms.judgement(judgement))
    else:
        display.judgement(promise, judgement)
    return FINE if judgement.outcome == "accepted" else FINDINGS


def _write_docs(result: bytes, target: Path | None) -> None:
    if target:
        from crossdock.validation.docs import render

        target.write_text(render(result), "utf-8")


@command(app, "run")
def run(
    target: Annotated[str, typer.Argument(help="A department, or DEPARTMENT/DATASET; default: everything.")] = "",
    as_json: Json = False,
) -> int:
    """Pull, validate, push and publish in this process."""
    from crossdock import sweep
    from crossdock.exchange import open_exchange

    exchange = open_exchange()
    with display.progress(sweep.steps_ahead(exchange, target)) as advance:
        done = sweep.run(exchange, target, on_step=lambda step: advance(f"{step.verb} {step.subject}"))
    problems = exchange.catalogue.problems
    if as_json:
        _print_json(forms.sweep(done, problems))
    else:
        display.finished(done, problems)
    if problems:
        return WRONG
    clean = not done.failures and all(v.outcome == "accepted" for v in done.verdicts)
    return FINE if clean and all(o.status != "refused" for o in done.outcomes) else FINDINGS


@command(app, "counts")
def counts(
    by: Annotated[
        str, typer.Option(help="Comma-separated: department, dataset, consumer, day, purpose, channel.")
    ] = "consumer",
    since: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD (UTC).")] = None,
    recount: Annotated[
        bool, typer.Option("--recount", help="Count the share events in their files, not the entries.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Count the records shared."""
    from crossdock.exchange import open_exchange
    from crossdock.ledger.counts import count

    groups = tuple(word.strip() for word in by.split(",") if word.strip())
    exchange = open_exchange()
    counted = count(exchange.state, exchange.store, by=groups, since=since, until=until, recount=recount)
    if as_json:
        _print_json(counted.to_dict())
    else:
        display.counts(counted, groups)
    return FINE


@command(app, "who")
def who(
    subject: Annotated[str, typer.Argument(help="A resident ID or unified social credit code; - reads it from stdin.")],
    as_json: Json = False,
) -> int:
    """Show which consumers received this person's or enterprise's records, when and why."""
    from crossdock.exchange import open_exchange
    from crossdock.ledger.subjects import who as find

    exchange = open_exchange()
    asked = sys.stdin.read().strip() if subject == "-" else subject
    received = find(exchange.state, exchange.store, exchange.keys, asked)
    if as_json:
        _print_json({"received": [r.to_dict() for r in received]})
    else:
        display.received(received)
    return FINE


@command(ledger_app, "verify")
def ledger_verify(as_json: Json = False) -> int:
    """Recompute the whole ledger from its files and name the first broken entry."""
    from crossdock.exchange import open_exchange
    from crossdock.pipeline import check

    found = check(open_exchange())
    if as_json:
        _print_json(forms.audit(found))
    else:
        display.audit(found)
    return FINE if found.sound else FINDINGS


@command(quarantine_app, "list")
def quarantine_list(
    dataset: Annotated[str, typer.Argument(help="DEPARTMENT/DATASET; default: all.")] = "",
    as_json: Json = False,
) -> int:
    """List the verdicts that set rows aside, newest first, with their reasons."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.records import verdicts

    held = [v for v in verdicts(open_exchange().state, dataset=dataset or None) if v.quarantined]
    if as_json:
        _print_json({"quarantine": [forms.verdict(v) for v in held]})
    else:
        display.quarantine(held)
    return FINE


@command(quarantine_app, "show")
def quarantine_show(
    verdict: Annotated[str, typer.Argument(help="A verdict id from `quarantine list`.")],
    output: Annotated[
        Path | None, typer.Option(help="Write the failing rows, as they arrived, to this parquet file.")
    ] = None,
    docs: Docs = None,
    as_json: Json = False,
) -> int:
    """Show one verdict's reasons, and copy its failing rows out on request (rows hold personal data: keep them safe)."""
    from crossdock.exchange import open_exchange
    from crossdock.intake import copy_out
    from crossdock.storage.records import verdict_by_id

    _check_output(output, ".parquet")
    exchange = open_exchange()
    found = verdict_by_id(exchange.state, verdict)
    if found is None:
        raise WrongUse(f"There is no verdict '{verdict}'.", fix="`crossdock quarantine list` shows the ids.")
    if output and found.quarantine_key:
        copy_out(exchange, found.quarantine_key, output)
    _write_docs(exchange.store.read(found.result_key), docs)
    if as_json:
        _print_json(forms.verdict(found))
    else:
        display.verdict(found)
    return FINE


@command(deliveries_app, "list")
def deliveries_list(
    consumer: Annotated[str, typer.Option(help="Only this consumer's.")] = "",
    as_json: Json = False,
) -> int:
    """List deliveries and refusals, newest first."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.records import deliveries, refusals

    state = open_exchange().state
    made = [d for d in deliveries(state) if consumer in ("", d.consumer)]
    refused = [r for r in refusals(state) if consumer in ("", r.consumer)]
    if as_json:
        _print_json(forms.deliveries(made, refused))
    else:
        display.deliveries(made, refused)
    return FINE


@command(deliveries_app, "show")
def deliveries_show(
    delivery: Annotated[str, typer.Argument(help="A delivery id from `deliveries list`.")],
    as_json: Json = False,
) -> int:
    """Show one delivery: its signed manifest and receipt."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.records import delivery_by_id

    exchange = open_exchange()
    found = delivery_by_id(exchange.state, delivery)
    if found is None:
        raise WrongUse(f"There is no delivery '{delivery}'.", fix="`crossdock deliveries list` shows the ids.")
    manifest = json.loads(exchange.store.read(found.manifest_key)) if found.manifest_key else None
    if as_json:
        _print_json({"delivery": asdict(found), "manifest": manifest})
    else:
        display.delivery(found, manifest)
    return FINE


def main() -> None:
    """Runs the command line."""
    app()
