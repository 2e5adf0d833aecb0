"""Commands about the whole exchange: run, counts, history, explain, who, dashboard."""

from __future__ import annotations

import sys
from getpass import getuser
from typing import Annotated

import typer

from crossdock import forms
from crossdock.cli.command import FINDINGS, FINE, WRONG, Json, Spoken, command, print_json
from crossdock.display import quality, sharing, terminal
from crossdock.language.speech import speech_of

app = typer.Typer()


@command(app, "run")
def run(
    target: Annotated[str, typer.Argument(help="A department, or DEPARTMENT/DATASET; default: everything.")] = "",
    as_json: Json = False,
) -> int:
    """Pull, validate, push and publish in this process."""
    from crossdock import sweep
    from crossdock.exchange import open_exchange

    exchange = open_exchange()
    with terminal.progress(sweep.steps_ahead(exchange, target)) as advance:
        done = sweep.run(exchange, target, on_step=lambda step: advance(f"{step.verb} {step.subject}"))
    problems = exchange.catalogue.problems
    if as_json:
        print_json(forms.sweep(done, problems))
    else:
        quality.finished(done, problems)
    if problems:
        return WRONG
    clean = not done.failures and all(v.outcome == "accepted" for v in done.verdicts)
    return FINE if clean and all(o.status != "refused" for o in done.outcomes) else FINDINGS


@command(app, "counts")
def counts(
    by: Annotated[
        str,
        typer.Option(
            help="Comma-separated: department, dataset, theme, sharing, consumer, channel, purpose, agreement, day, month, year."
        ),
    ] = "consumer",
    since: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD (UTC).")] = None,
    recount: Annotated[
        bool, typer.Option("--recount", help="Count the share events in their files, not the entries.")
    ] = False,
    subjects: Annotated[
        bool, typer.Option("--subjects", help="Count the different people and enterprises too, in the files.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Count the records shared."""
    from crossdock.exchange import open_exchange
    from crossdock.ledger.counts import count
    from crossdock.ledger.distinct import with_subjects

    groups = tuple(word.strip() for word in by.split(",") if word.strip())
    exchange = open_exchange()
    counted = count(exchange.state, exchange.store, by=groups, since=since, until=until, recount=recount)
    if subjects:
        counted = with_subjects(counted, exchange.state, exchange.store, exchange.keys, since=since, until=until)
    if as_json:
        print_json(counted.to_dict())
    else:
        sharing.counts(counted, groups)
    return FINE


@command(app, "history")
def history(
    target: Annotated[str, typer.Argument(help="A department, or DEPARTMENT/DATASET; default: all.")] = "",
    most: Annotated[int, typer.Option(min=1, help="At most so many verdicts per dataset, the newest.")] = 100,
    as_json: Json = False,
) -> int:
    """Show how datasets fared over time: outcomes, pass rates, and the age of what is in force."""
    from crossdock.exchange import open_exchange
    from crossdock.history import histories

    found = histories(open_exchange(), target, most=most)
    if as_json:
        print_json({"datasets": [forms.history(each) for each in found]})
    else:
        quality.history(found)
    return FINE


@command(app, "explain")
def explain(
    agreement: Annotated[str, typer.Argument(help="DEPARTMENT/DATASET/CONSUMER, or an agreement's file.")],
    language: Spoken = None,
    as_json: Json = False,
) -> int:
    """Say in words what an agreement's consumer gets, when and in what form, with a masked example."""
    from crossdock.exchange import open_exchange
    from crossdock.explanation import explain as put_in_words

    speech = speech_of(language or ("en" if as_json else None))  # JSON is the same wherever it is made
    found = put_in_words(open_exchange(), agreement, speech)
    if as_json:
        print_json(found.to_dict())
    else:
        sharing.explanation(found, speech)
    return FINE


@command(app, "who")
def who(
    subject: Annotated[
        str | None,
        typer.Argument(
            help="A resident ID or unified social credit code; without it you are asked, so that no shell keeps it."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why you ask; it is put on record.")] = "",
    withheld: Annotated[
        bool, typer.Option("--withheld", help="Also what the people concerned are not told yet; needs a reason.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Show which consumers received this person's or enterprise's records, when and why; that you ask is put on record."""
    from crossdock.exchange import open_exchange
    from crossdock.lookups import look_up

    given = subject if subject not in (None, "-") else _asked_for("Whose records")
    found = look_up(open_exchange(), given, by=getuser(), reason=reason, withheld=withheld)
    if as_json:
        print_json(found.to_dict())
    else:
        sharing.received(found)
    return FINE


def _asked_for(what: str) -> str:
    """Returns what is typed unseen, or what comes by a pipe."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, err=True))
    return sys.stdin.read()


@command(app, "dashboard")
def dashboard(
    port: Annotated[int, typer.Option(help="Where to listen on 127.0.0.1; 0 takes a free one.")] = 0,
) -> int:
    """Show the pages of the Airflow UI without Airflow, on this machine and to you only, until Ctrl-C."""
    from crossdock.exchange import open_exchange
    from crossdock.web.alone import serve

    open_exchange()  # what is wrong is told before anything listens
    serve(open_exchange, port=port, told=lambda address: terminal.out.print(f"Open once: {address}", soft_wrap=True))
    return FINE
