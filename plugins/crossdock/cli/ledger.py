"""`crossdock ledger`."""

from __future__ import annotations

import typer

from crossdock import display, forms
from crossdock.cli.command import FINDINGS, FINE, Json, command, print_json

app = typer.Typer(no_args_is_help=True, help="The ledger of every record shared.")


@command(app, "verify")
def verify(as_json: Json = False) -> int:
    """Recompute the whole ledger from its files and name the first broken entry."""
    from crossdock.exchange import open_exchange
    from crossdock.pipeline import check

    found = check(open_exchange())
    if as_json:
        print_json(forms.audit(found))
    else:
        display.audit(found)
    return FINE if found.sound else FINDINGS
