"""What every command shares: exit codes, --json, and how errors are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from crossdock.discretion import Discretion
from crossdock.display import terminal
from crossdock.errors import ContractInvalid, CrossdockError, Defect, SourceInvalid, WrongUse
from crossdock.language.speech import Language

FINE, FINDINGS, WRONG = 0, 1, 2

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
Docs = Annotated[Path | None, typer.Option(help="Write Great Expectations' page of the result to this .html file.")]
Spoken = Annotated[
    Language | None, typer.Option("--language", help="Say it in Chinese or English; default: as the locale asks for.")
]
Args = ParamSpec("Args")


def command(group: typer.Typer, name: str) -> Callable[[Callable[Args, int]], Callable[Args, None]]:
    """Registers a function that returns an exit code; crossdock's errors go to stderr as what, where and fix."""

    def register(work: Callable[Args, int]) -> Callable[Args, None]:
        @group.command(name)
        @wraps(work)
        def run(*args: Args.args, **kwargs: Args.kwargs) -> None:
            try:
                with Discretion(BrokenPipeError):  # that one is how a reader such as `head` says it has enough
                    code = work(*args, **kwargs)
            except (ContractInvalid, WrongUse, SourceInvalid, Defect) as error:
                terminal.error(error)
                code = WRONG
            except CrossdockError as error:
                terminal.error(error)
                code = FINDINGS
            raise typer.Exit(code)

        return run

    return register


def print_json(document: object) -> None:
    """Prints a document as the only thing on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")


def check_output(path: Path | None, *suffixes: str) -> None:
    """Refuses a file to write that has no folder or is of a form we don't write, before the work and not after it."""
    if path and path.suffix not in suffixes:
        raise WrongUse("This form can't be written.", where=str(path), fix=f"End the name in {' or '.join(suffixes)}.")
    if path and not path.absolute().parent.is_dir():
        raise WrongUse("Its folder does not exist.", where=str(path), fix="Make the folder, or name another.")
    if path and path.is_dir():
        raise WrongUse("This is a folder, not a file.", where=str(path), fix="Name a file to write.")


def write_docs(result: bytes, target: Path | None) -> None:
    """Writes Great Expectations' page of a stored result, where one is wanted."""
    if target:
        from crossdock.validation.docs import render

        target.write_text(render(result), "utf-8")
