"""Commands about contracts and files, which need no exchange: lint, validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossdock import display, forms
from crossdock.cli.command import FINDINGS, FINE, WRONG, Docs, Json, check_output, command, print_json, write_docs

app = typer.Typer()


@command(app, "lint")
def lint(
    path: Annotated[
        Path | None, typer.Argument(help="A contracts folder, or one file; default: this exchange's.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Check contracts and agreements, naming file, line and fix."""
    from crossdock.exchange import find_home
    from crossdock.lint import lint as check

    folder = path or find_home() / "contracts"
    beside = folder.parent / "transforms" if folder.is_dir() else find_home() / "transforms"
    report = check(folder, transforms=beside if beside.is_dir() else find_home() / "transforms")
    if as_json:
        print_json(report.to_dict())
    else:
        display.lint(report)
    return WRONG if report.problems else FINE


@command(app, "validate")
def validate(
    contract: Annotated[Path, typer.Argument(help="A contract file (ODCS YAML).")],
    data: Annotated[Path, typer.Argument(help="A CSV, TSV, JSON lines, XLSX or parquet file.")],
    quarantine: Annotated[Path | None, typer.Option(help="Keep failing rows in this .parquet or .csv file.")] = None,
    docs: Docs = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="Data of a dataset it refers to: DEPARTMENT/DATASET=FILE.")
    ] = None,
    schema: Annotated[str | None, typer.Option(help="Which table, when the contract describes several.")] = None,
    as_json: Json = False,
) -> int:
    """Check one file against one contract; no set-up needed."""
    from crossdock.contracts.odcs import read_contract
    from crossdock.trial import find_surroundings, validate_file

    check_output(quarantine, ".parquet", ".csv")
    check_output(docs, ".html")
    promise = read_contract(contract, schema=schema)
    judgement = validate_file(promise, data, find_surroundings(promise, reference or []), quarantine=quarantine)
    write_docs(judgement.result, docs)
    if as_json:
        print_json(forms.judgement(judgement))
    else:
        display.judgement(promise, judgement)
    return FINE if judgement.outcome == "accepted" else FINDINGS
