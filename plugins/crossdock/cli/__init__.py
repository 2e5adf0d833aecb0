"""The `crossdock` command. With --json, one JSON document goes to stdout and nothing else; people get tables.

Exit codes: 0 fine; 1 findings (bad rows, refused, broken chain); 2 wrong use or invalid contract.
"""

from __future__ import annotations

import typer

from crossdock.cli import agreements, contracts, deliveries, exchange, keys, ledger, quarantine, usage

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Pull, validate, push, publish, count.",
)
for words in (contracts, exchange):
    app.add_typer(words.app)
for group in (agreements, ledger, quarantine, deliveries, keys, usage):
    app.add_typer(group.app, name=group.__name__.rpartition(".")[2])


def main() -> None:
    """Runs the command line."""
    app()
