"""Commands about contracts and files, which need no exchange: lint, diff, validate, draft."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossdock import forms
from crossdock.cli.command import FINDINGS, FINE, WRONG, Docs, Json, check_output, command, print_json, write_docs
from crossdock.display import contracts, quality
from crossdock.errors import WrongUse

if TYPE_CHECKING:
    from crossdock.drafting.draft import Draft, Names

app = typer.Typer()


@command(app, "lint")
def lint(
    path: Annotated[
        Path | None, typer.Argument(help="A contracts folder, or one file; default: this exchange's.")
    ] = None,
    against: Annotated[
        str, typer.Option(metavar="REF", help="Also compare with this git revision, and say whom the changes break.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Check contracts and agreements, naming file, line and fix."""
    from crossdock.exchange import find_home
    from crossdock.lint import lint as check

    folder = path or find_home() / "contracts"
    beside = folder.parent / "transforms" if folder.is_dir() else find_home() / "transforms"
    report = check(folder, transforms=beside if beside.is_dir() else find_home() / "transforms", against=against)
    if as_json:
        print_json(forms.lint(report))
    else:
        contracts.lint(report)
    if report.problems:
        return WRONG
    return FINDINGS if report.compared and report.compared.findings else FINE


@command(app, "diff")
def diff(
    old: Annotated[Path, typer.Argument(help="A contract file, or a contracts folder, as it was.")],
    new: Annotated[Path, typer.Argument(help="The same as it is to be, with its agreements beside it.")],
    as_json: Json = False,
) -> int:
    """Say what changed between two versions of a contract, whom it breaks, and which version it takes."""
    from crossdock.comparison import compare

    found = compare(old, new)
    if as_json:
        print_json(forms.comparison(found))
    else:
        contracts.comparison(found)
    return FINDINGS if found.findings else FINE


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
        quality.judgement(promise, judgement)
    return FINE if judgement.outcome == "accepted" else FINDINGS


@command(app, "draft")
def draft(
    source: Annotated[
        Path | None, typer.Argument(help="A CSV, TSV, JSON, XLSX or parquet file; none with --connection.")
    ] = None,
    connection: Annotated[str, typer.Option(help="Draft from a database: its connection id.")] = "",
    table: Annotated[str, typer.Option(help="The table or view there: NAME or SCHEMA.NAME.")] = "",
    department: Annotated[str, typer.Option(help="The providing department.")] = "",
    dataset: Annotated[str, typer.Option(help="What the dataset is called; default: like the file or table.")] = "",
    output: Annotated[Path | None, typer.Option(help="Write the contract to this .yaml file, not to stdout.")] = None,
    as_json: Json = False,
) -> int:
    """Draft a contract from data; a person has to confirm each guess before it can be used."""
    from crossdock.drafting.draft import Names

    check_output(output, ".yaml", ".yml")
    if output and output.exists():
        raise WrongUse("There is such a file.", where=str(output), fix="Name another, or remove it.")
    made = _drafted(source, connection, table, Names(department=department, dataset=dataset))
    if output:
        output.write_text(made.text, "utf-8")
    if as_json:
        print_json(forms.draft(made))
    else:
        contracts.draft(made, shown=output is None)
    return FINE


def _drafted(source: Path | None, connection: str, table: str, names: Names) -> Draft:
    from crossdock.connections import local_lookup
    from crossdock.drafting.draft import draft_file, draft_table
    from crossdock.exchange import find_home

    with tempfile.TemporaryDirectory(prefix="crossdock-draft-") as scratch:
        if source and not (connection or table):
            return draft_file(source, names, scratch=Path(scratch))
        if source or not (connection and table):
            raise WrongUse("Name a file, or both a connection and a table.", where="crossdock draft")
        found = local_lookup(find_home() / "var" / "connections.json")(connection)
        return draft_table(found, table, names, scratch=Path(scratch))
