"""`crossdock usage`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossdock.cli.command import FINE, Json, command, print_json
from crossdock.display import terminal

app = typer.Typer(help="How the public uses open datasets.", no_args_is_help=True)


@command(app, "ingest")
def ingested(
    logs: Annotated[list[Path], typer.Argument(help="Access logs, or folders of them; compressed by gzip too.")],
    ours: Annotated[
        list[str] | None, typer.Option(help="A user of the store that is this exchange, whose reading is no use of it.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Read access logs of what serves the open area (nginx, S3, SeaweedFS); what was read before counts once."""
    from crossdock.exchange import open_exchange
    from crossdock.usage.ingest import ingest

    exchange = open_exchange()
    known = exchange.catalogue.contracts
    found = ingest(exchange.state, logs, key=exchange.keys.ledger, datasets=known, ours=ours or ())
    if as_json:
        print_json(found.to_dict())
        return FINE
    shown = terminal.table("Access logs", "lines that are", ">lines")
    for name, lines in found.to_dict().items():
        shown.add_row({"lines": "all", "new": "counted now", "known": "counted before"}.get(name, name), f"{lines:,}")
    terminal.out.print(shown)
    return FINE


@command(app, "counts")
def counted(
    by: Annotated[
        str, typer.Option(help="Comma-separated: dataset, department, theme, sharing, day, month, year.")
    ] = "dataset",
    since: Annotated[str, typer.Option(help="First day, YYYY-MM-DD (UTC).")] = "",
    until: Annotated[str, typer.Option(help="Last day, YYYY-MM-DD (UTC).")] = "9999",
    as_json: Json = False,
) -> int:
    """Count downloads, visits and the users who made them."""
    from crossdock.exchange import open_exchange
    from crossdock.storage.usage import OF_CONTRACT, Uses, usage

    groups = tuple(word.strip() for word in by.split(",") if word.strip())
    exchange, uses = open_exchange(), Uses(since=since, until=until)
    contracts = exchange.catalogue.contracts if set(groups) & set(OF_CONTRACT) else {}
    found = usage(exchange.state, uses, by=groups, contracts=contracts)
    (total,) = usage(exchange.state, uses)
    if as_json:
        rows = [
            {
                **dict(zip(groups, each.key, strict=True)),
                "downloads": each.downloads,
                "visits": each.visits,
                "users": each.users,
                "downloaders": each.downloaders,
            }
            for each in found
        ]
        print_json(
            {
                "downloads": total.downloads,
                "visits": total.visits,
                "users": total.users,
                "downloaders": total.downloaders,
                "groups": rows if groups else [],
            }
        )
        return FINE
    shown = terminal.table("Open data", *groups, ">downloads", ">by users", ">visits", ">users")
    for each in found:
        numbers = (each.downloads, each.downloaders, each.visits, each.users)
        shown.add_row(*each.key, *(f"{number:,}" for number in numbers))
    if groups:
        terminal.out.print(shown)
    terminal.out.print(
        f"[bold]{total.downloads:,}[/] downloads by {total.downloaders:,} users; "
        f"with {total.visits:,} visits, {total.users:,} users"
    )
    return FINE
