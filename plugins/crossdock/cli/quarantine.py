"""`crossdock quarantine`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossdock import display, forms
from crossdock.cli.command import FINE, Docs, Json, check_output, command, print_json, write_docs
from crossdock.errors import WrongUse

app = typer.Typer(no_args_is_help=True, help="Rows that failed validation.")


@command(app, "list")
def listed(
    dataset: Annotated[str, typer.Argument(help="DEPARTMENT/DATASET; default: all.")] = "",
    as_json: Json = False,
) -> int:
    """List the verdicts that set rows aside, newest first, with their reasons."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.records import verdicts

    held = [v for v in verdicts(open_exchange().state, dataset=dataset or None) if v.quarantined]
    if as_json:
        print_json({"quarantine": [forms.verdict(v) for v in held]})
    else:
        display.quarantine(held)
    return FINE


@command(app, "show")
def shown(
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

    check_output(output, ".parquet")
    exchange = open_exchange()
    found = verdict_by_id(exchange.state, verdict)
    if found is None:
        raise WrongUse(f"There is no verdict '{verdict}'.", fix="`crossdock quarantine list` shows the ids.")
    if output and found.quarantine_key:
        copy_out(exchange, found.quarantine_key, output)
    write_docs(exchange.store.read(found.result_key), docs)
    if as_json:
        print_json(forms.verdict(found))
    else:
        display.verdict(found)
    return FINE
