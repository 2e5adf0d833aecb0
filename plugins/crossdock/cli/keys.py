"""`crossdock keys`."""

from __future__ import annotations

from typing import Annotated

import typer

from crossdock.cli.command import FINE, Json, command, print_json
from crossdock.display import terminal
from crossdock.identity import instant

app = typer.Typer(
    help="The keys that have versions: of every consumer's pseudonyms, and of the ledger's hashes.",
    no_args_is_help=True,
)


@command(app, "list")
def listed(as_json: Json = False) -> int:
    """List their versions; keys themselves are never shown."""
    from crossdock.exchange import keys_folder, open_exchange
    from crossdock.keys import LEDGER, PROTECTION, key_versions

    folder = keys_folder(open_exchange().home)
    found = {"pseudonym": key_versions(folder, PROTECTION), "ledger": key_versions(folder, LEDGER)}
    if as_json:
        print_json(
            {
                f"{name}_keys": [
                    {"version": v.version, "made_at": instant(v.made_at), "in_use": v is versions[-1]} for v in versions
                ]
                for name, versions in found.items()
            }
        )
        return FINE
    shown = terminal.table("Keys", "key", ">version", "made (UTC)", "in use")
    for name, versions in found.items():
        for each in versions:
            used = "yes" if each is versions[-1] else ""
            shown.add_row(name, str(each.version), terminal.moment(instant(each.made_at)), used)
    terminal.out.print(shown)
    return FINE


@command(app, "rotate")
def rotated(
    ledger: Annotated[
        bool,
        typer.Option(
            "--ledger", help="The ledger's key instead: hashes of what is delivered from now on are under it."
        ),
    ] = False,
    as_json: Json = False,
) -> int:
    """Make a new version: the next delivery under every agreement with pseudonyms brings new ones for all of its rows."""
    from crossdock.exchange import keys_folder, open_exchange
    from crossdock.keys import LEDGER, PROTECTION, rotate

    made = rotate(keys_folder(open_exchange().home), LEDGER if ledger else PROTECTION)
    if as_json:
        print_json({"version": made.version, "made_at": instant(made.made_at), "in_use": True})
    else:
        kept = "Older ones are kept: without them nobody finds older events." if ledger else "Older ones are kept."
        terminal.out.print(f"[green]Version {made.version} is in use from now on.[/] {kept}")
    return FINE
