"""`crossdock ledger`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from crossdock import forms
from crossdock.cli.command import FINDINGS, FINE, Json, check_output, command, print_json
from crossdock.display import sharing, terminal
from crossdock.errors import WrongUse

app = typer.Typer(no_args_is_help=True, help="The ledger of every record shared.")


@command(app, "verify")
def verify(as_json: Json = False) -> int:
    """Recompute the whole ledger from its files and name the first broken entry."""
    return _audited(sign=False, as_json=as_json)


@command(app, "sign")
def sign(
    keep: Annotated[
        str, typer.Option(help="Delete share events older than this, e.g. P10Y; entries and their proofs stay.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Verify the ledger and, when it is sound, sign its daily heads and compact its files, as the audit does at night."""
    return _audited(sign=True, keep=keep, as_json=as_json)


def _audited(*, sign: bool, as_json: bool, keep: str = "") -> int:
    from crossdock.exchange import open_exchange
    from crossdock.pipeline import audit, check

    exchange = open_exchange()
    found = audit(exchange, keep=keep) if sign else check(exchange)
    if as_json:
        print_json(forms.audit(found))
    else:
        sharing.audit(found)
    return FINE if found.sound else FINDINGS


@command(app, "lookups")
def looked_up(as_json: Json = False) -> int:
    """List who looked up whom in the ledger, newest first; people are keyed hashes."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.lookups import lookups

    found = lookups(open_exchange().state)
    if as_json:
        print_json({"lookups": [each.to_dict() for each in found]})
    else:
        sharing.asked(found)
    return FINE


@command(app, "prove")
def prove(
    delivery: Annotated[str, typer.Argument(help="A delivery id from `deliveries list`.")] = "",
    record: Annotated[
        list[str] | None,
        typer.Option(
            help="Prove this record of it too: a subject's identifier, or the values of its key, one option each; - reads them from stdin, one a line."
        ),
    ] = None,
    days: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Prove that the ledger of the second day continues that of the first."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The .json file to write; without it the proof is printed.")
    ] = None,
) -> int:
    """Write a proof that anybody can check offline: of a delivery, of a record in it, or between two days."""
    from crossdock.exchange import open_exchange
    from crossdock.ledger.archive import Archive
    from crossdock.ledger.proofs import prove_continuation, prove_delivery, prove_record

    check_output(output, ".json")
    if bool(delivery) == bool(days):
        raise WrongUse("A proof is of a delivery, or between two days.", fix="Give a delivery id, or --days FROM TO.")
    if record and not delivery:
        raise WrongUse("--record is of a delivery.", fix="Give the delivery's id.")
    exchange = open_exchange()
    if days:
        proof = prove_continuation(exchange.state, exchange.store, *days)
    else:
        proof = prove_delivery(exchange.state, exchange.store, delivery)
    if record:
        key = typer.get_text_stream("stdin").read().splitlines() if record == ["-"] else record
        proof = prove_record(proof, Archive.open(exchange.state, exchange.store), exchange.keys, key)
    if output is None:
        print_json(proof)
    else:
        output.write_text(json.dumps(proof, ensure_ascii=False, indent=2) + "\n", "utf-8")
        terminal.out.print(f"[green]written[/]: {output}")
    return FINE


@command(app, "check-proof")
def check_proof(
    proof: Annotated[Path, typer.Argument(help="A proof's file.")],
    public_key: Annotated[Path, typer.Option(help="The exchange's public_key.pem.")],
    as_json: Json = False,
) -> int:
    """Check a proof with the exchange's public key and nothing else of it."""
    from crossdock.keys import read_public_key
    from crossdock.ledger.checking import check_proof

    if not proof.is_file():
        raise WrongUse("There is no such file.", where=str(proof))
    proven = check_proof(proof.read_bytes(), read_public_key(public_key))
    if as_json:
        print_json(proven.to_dict())
    else:
        sharing.proven(proven)
    return FINE
