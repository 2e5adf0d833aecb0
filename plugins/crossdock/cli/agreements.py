"""`crossdock agreements`."""

from __future__ import annotations

from getpass import getuser
from typing import Annotated

import typer

from crossdock.cli.command import FINDINGS, FINE, Json, Spoken, command, print_json
from crossdock.display import sharing
from crossdock.language.speech import speech_of

app = typer.Typer(help="Requests for data and the providers' answers.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(help="DEPARTMENT/DATASET/CONSUMER")]
_By = Annotated[str, typer.Option(help="Who says so; default: the user of this session.")]


@command(app, "requests")
def requested(language: Spoken = None, as_json: Json = False) -> int:
    """List what was requested, until when it has to be answered, and the answers; what is due first stands first."""
    from crossdock.exchange import open_exchange
    from crossdock.reviews import requests

    found = requests(open_exchange())
    if as_json:
        print_json({"requests": [each.to_dict() for each in found]})
    else:
        sharing.requests(found, speech_of(language))
    return FINDINGS if any(each.overdue for each in found) else FINE


@command(app, "approve")
def approved(agreement: _Id, reason: Annotated[str, typer.Option(help="Why, if anything is to be said.")] = "",
             by: _By = "", as_json: Json = False) -> int:  # fmt: skip
    """Say yes to a request, as it is worded now: from then on its data may leave."""
    return _answered(agreement, approved=True, reason=reason, by=by, as_json=as_json)


@command(app, "reject")
def rejected(agreement: _Id, reason: Annotated[str, typer.Option(help="Why; the consumer is told.")],
             by: _By = "", as_json: Json = False) -> int:  # fmt: skip
    """Say no to a request, as it is worded now."""
    return _answered(agreement, approved=False, reason=reason, by=by, as_json=as_json)


def _answered(agreement: str, *, approved: bool, reason: str, by: str, as_json: bool) -> int:
    from crossdock.exchange import open_exchange
    from crossdock.reviews import answer

    found = answer(open_exchange(), agreement, approved=approved, reason=reason, by=by or getuser())
    if as_json:
        print_json(found.to_dict())
    else:
        sharing.requests([found], speech_of(None))
    return FINE
