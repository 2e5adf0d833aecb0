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
    logs: Annotated[list[Path], typer.Argument(help="Access logs, or folders of them; .gz too.")], as_json: Json = False
) -> int:
    """Read access logs of what serves the open area (nginx, S3, SeaweedFS); what was read before counts once."""
    from crossdock.exchange import open_exchange
    from crossdock.usage.ingest import ingest

    exchange = open_exchange()
    found = ingest(exchange.state, logs, key=exchange.keys.ledger, datasets=exchange.catalogue.contracts)
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
            }
            for each in found
        ]
        print_json(
            {
                "downloads": total.downloads,
                "visits": total.visits,
                "users": total.users,
                "groups": rows if groups else [],
            }
        )
        return FINE
    shown = terminal.table("Open data", *groups, ">downloads", ">visits", ">users")
    for each in found:
        shown.add_row(*each.key, f"{each.downloads:,}", f"{each.visits:,}", f"{each.users:,}")
    if groups:
        terminal.out.print(shown)
    terminal.out.print(f"[bold]{total.downloads:,}[/] downloads and {total.visits:,} visits by {total.users:,} users")
    return FINE
