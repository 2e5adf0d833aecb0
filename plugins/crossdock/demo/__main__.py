"""`python -m crossdock.demo`: what `make demo` runs."""

from __future__ import annotations

from typing import Annotated

import typer

from crossdock.demo.run import run
from crossdock.exchange import find_home


def main(
    people: Annotated[int, typer.Option(help="Rows of the population register.")] = 200_000,
    enterprises: Annotated[int, typer.Option(help="Rows of the enterprise register.")] = 50_000,
) -> None:
    """Run the demo province through the DAGs."""
    raise typer.Exit(run(find_home(), people=people, enterprises=enterprises))


typer.run(main)
