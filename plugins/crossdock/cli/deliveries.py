"""`crossdock deliveries`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from crossdock import forms
from crossdock.cli.command import FINE, Json, command, print_json
from crossdock.display import sharing
from crossdock.errors import WrongUse

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
    from crossdock.storage.records import deliveries, refusals

    state = open_exchange().state
    made = [d for d in deliveries(state) if consumer in ("", d.consumer)]
    refused = [r for r in refusals(state) if consumer in ("", r.consumer)]
    if as_json:
        print_json(forms.deliveries(made, refused))
    else:
        sharing.deliveries(made, refused)
    return FINE


@command(app, "show")
def shown(
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
        print_json({"delivery": asdict(found), "manifest": manifest})
    else:
        sharing.delivery(found, manifest)
    return FINE
