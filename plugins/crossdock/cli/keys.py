"""`crossdock keys`."""

from __future__ import annotations

import typer

from crossdock.cli.command import FINE, Json, command, print_json
from crossdock.display import terminal
from crossdock.identity import instant

app = typer.Typer(help="The key from which every consumer's pseudonyms are made.", no_args_is_help=True)


@command(app, "list")
def listed(as_json: Json = False) -> int:
    """List its versions; keys themselves are never shown."""
    from crossdock.exchange import keys_folder, open_exchange
    from crossdock.keys import protection_versions

    exchange = open_exchange()
    found = protection_versions(keys_folder(exchange.home))
    used = exchange.keys.protection_version
    if as_json:
        print_json(
            {
                "pseudonym_keys": [
                    {"version": v.version, "made_at": instant(v.made_at), "in_use": v.version == used} for v in found
                ]
            }
        )
        return FINE
    shown = terminal.table("Pseudonym key", ">version", "made (UTC)", "in use")
    for each in found:
        shown.add_row(str(each.version), terminal.moment(instant(each.made_at)), "yes" if each.version == used else "")
    terminal.out.print(shown)
    return FINE


@command(app, "rotate")
def rotated(as_json: Json = False) -> int:
    """Make a new version: the next delivery under every agreement with pseudonyms brings new ones for all of its rows."""
    from crossdock.exchange import keys_folder, open_exchange
    from crossdock.keys import rotate_protection

    made = rotate_protection(keys_folder(open_exchange().home))
    if as_json:
        print_json({"version": made.version, "made_at": instant(made.made_at), "in_use": True})
    else:
        terminal.out.print(f"[green]Version {made.version} is in use from now on.[/] Older ones are kept.")
    return FINE
