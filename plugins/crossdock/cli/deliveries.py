"""`crossdock deliveries`."""

from __future__ import annotations

import json
from dataclasses import asdict
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from crossdock import forms
from crossdock.cli.command import FINDINGS, FINE, Json, command, print_json
from crossdock.display import sharing, terminal
from crossdock.errors import CrossdockError, WrongUse

app = typer.Typer(help="What was delivered to whom, and what was refused; by itself: list.")


@app.callback(invoke_without_command=True)
def alone(context: typer.Context, as_json: Json = False) -> None:
    """Lists, when no other word follows."""
    if context.invoked_subcommand is None:
        listed(as_json=as_json)


@command(app, "list")
def listed(
    consumer: Annotated[str, typer.Option(help="Only this consumer's.")] = "",
    as_json: Json = False,
) -> int:
    """List deliveries and refusals, newest first."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.recalls import recalls
    from crossdock.storage.records import deliveries, refusals

    state = open_exchange().state
    made = [d for d in deliveries(state) if consumer in ("", d.consumer)]
    refused = [r for r in refusals(state) if consumer in ("", r.consumer)]
    ids = {d.id for d in made}
    back = [r for r in recalls(state) if r.recalled in ids]
    if as_json:
        print_json(forms.deliveries(made, refused, back))
    else:
        sharing.deliveries(made, refused, back)
    return FINE


@command(app, "backlog")
def owed(as_json: Json = False) -> int:
    """List what consumers are owed: agreements in force that are behind, since when, and what fails; the oldest first."""
    from crossdock.backlog import backlog
    from crossdock.exchange import open_exchange

    found = backlog(open_exchange())
    if as_json:
        print_json({"backlog": [each.to_dict() for each in found]})
    else:
        sharing.backlog(found)
    return FINDINGS if any(each.state in ("failing", "astray") for each in found) else FINE


@command(app, "errors")
def errors(agreement: Annotated[str, typer.Argument(help="Only this agreement's.")] = "", as_json: Json = False) -> int:
    """List the records that consumers reject, by agreement and reason; a record is named by its keyed hash."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.rejections import rejections

    found = rejections(open_exchange().state, agreement)
    if as_json:
        print_json({"rejected": [each.to_dict() for each in found]})
    else:
        sharing.rejected(found)
    return FINDINGS if found else FINE


@command(app, "retry")
def retried(
    agreement: Annotated[str, typer.Argument(help="DEPARTMENT/DATASET/CONSUMER")], as_json: Json = False
) -> int:
    """Try the records that an agreement's consumer rejected once more, now."""
    from crossdock import pipeline
    from crossdock.exchange import open_exchange
    from crossdock.identity import instant
    from crossdock.storage.rejections import rejections, retry_rejections

    exchange = open_exchange()
    asked = retry_rejections(exchange.state, exchange.agreement(agreement).id, instant(exchange.clock()))
    outcome = pipeline.push(exchange, agreement) if asked else None
    left = rejections(exchange.state, agreement)
    if as_json:
        print_json({"tried": asked, "rejected": len(left), "delivery": outcome.delivery if outcome else None})
    else:
        sharing.rejected(left)
    return FINDINGS if left else FINE


@command(app, "recall")
def recalled(
    delivery: Annotated[str, typer.Argument(help="A delivery id; or a snapshot id, for all that it went into.")],
    reason: Annotated[str, typer.Option(help="Why; the consumer reads it.")],
    by: Annotated[str, typer.Option(help="Who says so; default: the user of this session.")] = "",
    as_json: Json = False,
) -> int:
    """Take a delivery back: its consumer is told to delete what it brought, and that is booked."""
    from crossdock import recalls
    from crossdock.exchange import open_exchange
    from crossdock.handover import Outcome

    exchange, outcomes, failed = open_exchange(), list[Outcome](), list[CrossdockError]()
    for each in recalls.named(exchange, delivery):
        try:
            outcomes.append(recalls.recall(exchange, each, reason=reason, by=by or getuser()))
        except CrossdockError as error:  # one consumer that does not answer keeps no other from being told
            failed.append(error)
    if as_json:
        print_json({"recalls": [asdict(o) for o in outcomes], "errors": [str(each) for each in failed]})
    else:
        sharing.outcomes(outcomes)
        for told in failed:
            terminal.error(told)
    return FINDINGS if failed else FINE


@command(app, "give-up")
def given_up(
    delivery: Annotated[str, typer.Argument(help="A delivery id that `deliveries backlog` calls astray.")],
    reason: Annotated[str, typer.Option(help="Why nobody has to look for it any more.")],
    by: Annotated[str, typer.Option(help="Who says so; default: the user of this session.")] = "",
    as_json: Json = False,
) -> int:
    """Take a delivery that may have arrived, at an address that is gone for good, out of the backlog, on record."""
    from crossdock.backlog import give_up
    from crossdock.exchange import open_exchange

    told = give_up(open_exchange(), delivery, reason=reason, by=by or getuser())
    if as_json:
        print_json({"given_up": asdict(told)})
    else:
        sharing.given_up(told)
    return FINE


@command(app, "expire")
def expired(as_json: Json = False) -> int:
    """Forget which records consumers hold, where that is of no more use or its agreed life has passed (nightly audit)."""
    from crossdock import retention
    from crossdock.exchange import open_exchange

    forgotten = retention.expire(open_exchange())
    if as_json:
        print_json({"forgotten": forgotten})
    else:
        terminal.out.print(f"{forgotten:,} deliveries forgotten")
    return FINE


@command(app, "verify")
def verified(
    folder: Annotated[Path, typer.Argument(help="A delivery as it arrived: its files, with manifest.json.")],
    public_key: Annotated[Path, typer.Option(help="The exchange's public key.")],
    as_json: Json = False,
) -> int:
    """Check a delivery offline: that the exchange signed it, and that its files are those it signed."""
    from crossdock.delivery.arrival import examine

    found = examine(folder, public_key)
    if as_json:
        print_json(found.to_dict())
    else:
        sharing.arrival(found)
    return FINDINGS if found.faults else FINE


@command(app, "show")
def shown(
    delivery: Annotated[str, typer.Argument(help="A delivery id from `deliveries list`.")],
    as_json: Json = False,
) -> int:
    """Show one delivery: its signed manifest and receipt, or who gave it up."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.given_up import given_up_by_id
    from crossdock.storage.records import delivery_by_id

    exchange = open_exchange()
    found = delivery_by_id(exchange.state, delivery)
    if found is None:
        raise WrongUse(f"There is no delivery '{delivery}'.", fix="`crossdock deliveries list` shows the ids.")
    manifest = json.loads(exchange.store.read(found.manifest_key)) if found.manifest_key else None
    told = given_up_by_id(exchange.state, found.id)
    if as_json:
        print_json({"delivery": asdict(found), "manifest": manifest, "given_up": asdict(told) if told else None})
    else:
        sharing.delivery(found, manifest)
        if told:
            sharing.given_up(told)
    return FINE
