"""The pages without Airflow: on this machine only, for whoever holds the token that starting them printed.

The token is good for one visit, which leaves a session in a cookie. So no other user of the machine gets in, and no
web page open in the same browser: the cookie is not sent from other sites, and other host names are refused.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Callable
from getpass import getuser
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.web.routes import HEADERS, make_app
from crossdock.web.sight import Sight

HOST = "127.0.0.1"


class Door:
    """Lets one visitor in with the token, and from then on knows them by their session."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._cookie = f"crossdock_{secrets.token_hex(4)}"  # browsers tell hosts apart, but not ports

    def enter(self, token: str = "") -> Response:
        """Takes the token, once, for a session."""
        if not self.token or not _same(token, self.token):
            raise HTTPException(401, "This token is not, or no longer, good. Start `crossdock dashboard` again.")
        self.token = ""
        inside = RedirectResponse("/", 303, HEADERS)
        inside.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
        return inside

    def guard(self, request: Request) -> None:
        """Refuses whoever has no session; who has one sees everything, for the state is theirs to read."""
        if not _same(request.cookies.get(self._cookie, ""), self._session):
            raise HTTPException(401, "Open the address that `crossdock dashboard` printed.")
        request.state.sight = Sight(user=getuser(), looks_up=True)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def app_alone(door: Door, opened: Callable[[], Exchange]) -> FastAPI:
    """Returns the pages behind a door."""
    app = FastAPI(title="crossdock", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.add_api_route("/enter", door.enter, response_model=None)
    app.mount("/", make_app(door.guard, opened))
    return app


def serve(opened: Callable[[], Exchange], *, port: int, told: Callable[[str], Any]) -> None:
    """Serves the pages on this machine until Ctrl-C.

    Args:
        opened: opens the exchange, at each request.
        port: where to listen; 0 takes a free one.
        told: is given the address with the token.

    Raises:
        WrongUse: the port is taken.
    """
    import uvicorn

    door = Door()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise WrongUse(
                "This port can't be had.", where=f"{HOST}:{port}", fix="Name another with --port."
            ) from error
        listener.listen()  # whoever is told may come at once
        told(f"http://{HOST}:{listener.getsockname()[1]}/enter?token={door.token}")
        # No access log: the token would be in it.
        settings = uvicorn.Config(app_alone(door, opened), access_log=False, log_level="warning")
        uvicorn.Server(settings).run(sockets=[listener])
