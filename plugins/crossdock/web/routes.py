"""crossdock's pages: what was shared, why rows failed, what a delivery proves; no row's value is shown.

`make_app` takes the guard that lets users in, so that the same pages stand in Airflow and alone. A guard says what its
user may see by setting `request.state.sight`; a route that finds none there fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException as HTTPStatus

from crossdock.display.terminal import moment
from crossdock.errors import CrossdockError, Permanent
from crossdock.exchange import Exchange
from crossdock.web.assets import LIBRARY, asset
from crossdock.web.language import Words, preferred
from crossdock.web.sight import Sight

if TYPE_CHECKING:
    from crossdock.lookups import Answer

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}
_SAID = {  # what Starlette and Airflow say, in our words
    "Not Found": "There is no such page.",
    "Method Not Allowed": "This page is only looked at.",
    "Not authenticated": "Log in first.",
    "Invalid JWT token": "Log in first.",
    "Token Expired": "Your session has ended: log in again.",
    "Forbidden": "You may not look here.",
}
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["number"] = "{:,}".format
router = APIRouter(default_response_class=HTMLResponse)


def make_app(guard: Callable[..., Any], opened: Callable[[], Exchange]) -> FastAPI:
    """Returns the pages behind a guard.

    Args:
        guard: a FastAPI dependency of every route; it refuses, or sets `request.state.sight`.
        opened: opens the exchange, at each request.
    """
    # A mounted app is public unless it says otherwise, and its documentation too: hence the guard on all routes at once.
    app = FastAPI(title="crossdock", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(guard)])
    app.state.opened = opened
    app.include_router(router)
    app.add_exception_handler(CrossdockError, _problem)
    app.add_exception_handler(HTTPStatus, _refused)
    app.add_exception_handler(RequestValidationError, _misfit)
    return app


@router.get("/")
def dashboard(
    request: Request,
    department: Annotated[str, Query(max_length=255)] = "",
    first: Annotated[str, Query(alias="from", max_length=7)] = "",
    last: Annotated[str, Query(alias="until", max_length=7)] = "",
) -> Response:
    """Shows what was shared and how good it is, of everybody or of one department, over a span of months."""
    from crossdock.ledger.rollup import Period
    from crossdock.web.dashboard import View, dashboard, this_year

    for month in filter(None, (first, last)):
        if not _MONTH.fullmatch(month):
            raise HTTPException(400, "A month is written as YYYY-MM.")
    exchange, sight = _exchange(request), _sight(request)
    year = this_year(exchange.clock())
    period = Period(first=first or year.first, last=last or max(year.last, first))
    view = View(exchange=exchange, party=sight.party(department), period=period)
    if view.party is not None and view.party not in {each.id for each in view.index.departments}:
        raise HTTPException(404, "There is no such department.")
    return _page(request, "dashboard.html", {**dashboard(view), "sight": sight, "year": year})


@router.get("/datasets/{department}/{dataset}")
def dataset(request: Request, department: str, dataset: str) -> Response:
    """Shows one dataset: how it stands, its verdicts, who receives it."""
    from crossdock.web import pages

    found = pages.dataset(_exchange(request), _sight(request), f"{department}/{dataset}")
    return _page(request, "dataset.html", _found(found))


@router.get("/agreements/{department}/{dataset}/{consumer}")
def agreement(request: Request, department: str, dataset: str, consumer: str) -> Response:
    """Shows one agreement: what may leave, whether it may now, and what has."""
    from crossdock.web import pages

    found = pages.agreement(_exchange(request), _sight(request), f"{department}/{dataset}/{consumer}")
    return _page(request, "agreement.html", _found(found))


@router.get("/verdicts/{verdict_id}")
def verdict(request: Request, verdict_id: str) -> Response:
    """Shows one verdict: outcome, counts, and each finding."""
    from crossdock.web import pages

    return _page(request, "verdict.html", _found(pages.verdict(_exchange(request), _sight(request), verdict_id)))


@router.get("/deliveries/{delivery_id}")
def delivery(request: Request, delivery_id: str) -> Response:
    """Shows one delivery: what its manifest says, its receipt, and its place in the ledger."""
    from crossdock.web import pages

    return _page(request, "delivery.html", _found(pages.delivery(_exchange(request), _sight(request), delivery_id)))


@router.get("/deliveries/{delivery_id}/proof.json")
def proof(request: Request, delivery_id: str) -> Response:
    """Gives the proof that a delivery is in the signed ledger, which `crossdock ledger check-proof` checks offline."""
    from crossdock.ledger.proofs import prove_delivery
    from crossdock.storage.records import delivery_by_id

    exchange, sight = _exchange(request), _sight(request)
    found = delivery_by_id(exchange.state, delivery_id)
    if found is None or not sight.of(found.department, found.consumer):
        raise HTTPException(404, "There is nothing of that id.")
    named = {"Content-Disposition": f'attachment; filename="proof-{delivery_id}.json"'}
    return JSONResponse(prove_delivery(exchange.state, exchange.store, delivery_id), headers=HEADERS | named)


@router.get("/who")
def ask(request: Request) -> Response:
    """Shows the form in which those who may look people up do so."""
    _look_up_sight(request)
    return _who(request, None)


@router.post("/who")
def who(
    request: Request,
    subject: Annotated[str, Form(max_length=64)],
    reason: Annotated[str, Form(max_length=255, min_length=1)],
) -> Response:
    """Shows who received somebody's records; the identifier is in no address, and the question is put on record."""
    from crossdock.lookups import look_up

    sight = _look_up_sight(request)
    if not _from_our_page(request):
        raise HTTPException(403, "Ask from the page itself.")
    found = look_up(_exchange(request), subject, by=sight.user, reason=reason)
    seen = [each for each in found.received if sight.of(each.department, each.consumer)]
    before = () if sight.department else found.lookups
    return _who(request, replace(found, received=seen, lookups=before))


def _who(request: Request, answer: Answer | None) -> Response:
    from crossdock.web.names import index_of, names_of

    names = names_of(index_of(_exchange(request)))
    return _page(request, "who.html", {"answer": answer, "names": names, "moment": moment})


def _look_up_sight(request: Request) -> Sight:
    sight = _sight(request)
    if not sight.looks_up:
        raise HTTPException(403, "You may not look people up: `lookup_users` does not name you.")
    return sight


def _from_our_page(request: Request) -> bool:
    """Another site can make a reader's browser send a form, but not say that it comes from here."""
    said = request.headers.get("Sec-Fetch-Site")
    origin = urlsplit(request.headers.get("Origin", "")).netloc
    return said == "same-origin" if said else origin == request.headers.get("Host")


@router.get("/static/{name}")
def static(request: Request, name: str) -> Response:
    """Gives style, script or chart library; the browser keeps the library until it has another version."""
    found = _found(asset(name))
    keep = "private, max-age=31536000, immutable" if found.lasting else "private, no-cache"
    headers = {**HEADERS, "Cache-Control": keep, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return Response(found.compressed, media_type=found.type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.type, headers=headers)


def _problem(request: Request, error: Exception) -> Response:
    """Shows what can't be done: what the exchange is not ready for (409), or that it does not answer (500)."""
    return _page(request, "problem.html", {"error": error}, status=409 if isinstance(error, Permanent) else 500)


def _refused(request: Request, error: Exception) -> Response:
    """Shows what is not there, or not for this reader, in their language."""
    status, said, headers = (
        (error.status_code, error.detail, error.headers) if isinstance(error, HTTPStatus) else (500, "", None)
    )
    page = _page(request, "problem.html", {"error": Permanent(_SAID.get(said, said))}, status=status)
    page.headers.update(headers or {})
    return page


def _misfit(request: Request, _: Exception) -> Response:
    """Says that a form or an address does not fit; what was given is not repeated, for it may name a person."""
    return _page(request, "problem.html", {"error": Permanent("What was given does not fit.")}, status=422)


def _exchange(request: Request) -> Exchange:
    opened: Exchange = request.app.state.opened()
    return opened


def _sight(request: Request) -> Sight:
    sight: Sight = request.state.sight
    return sight


def _found(value: Any) -> Any:
    if value is None:
        raise HTTPException(404, "There is nothing of that id.")
    return value


def _page(request: Request, template: str, values: Mapping[str, Any], *, status: int = 200) -> Response:
    root = request.scope.get("root_path", "").rstrip("/")
    words = Words(
        language=preferred(request.query_params.get("lang"), request.headers.get("Accept-Language")),
        root=root,
        path=request.url.path.removeprefix(root).lstrip("/"),
        query=dict(request.query_params),
    )
    given = {
        name: getattr(words, name) for name in ("say", "state", "sentence", "link", "here", "asset", "language", "root")
    }
    given["library"] = LIBRARY
    return HTMLResponse(_templates.get_template(template).render({**values, **given}), status, HEADERS)
