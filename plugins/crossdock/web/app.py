"""crossdock's pages inside Airflow: what was shared, why rows failed, what a delivery proves; no row's value is shown.

Airflow mounts `app` at /crossdock. Its users are Airflow's: whoever may look at plugins may look here, nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView  # noqa: TID253 - the users are Airflow's
from airflow.api_fastapi.core_api.security import requires_access_view  # noqa: TID253 - the users are Airflow's
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crossdock.errors import CrossdockError

if TYPE_CHECKING:
    from crossdock.exchange import Exchange

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["number"] = "{:,}".format

# A mounted app is public unless it says otherwise, and its documentation too: hence the guard on all routes at once.
app = FastAPI(
    title="crossdock",
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
)


@app.get("/", response_class=HTMLResponse)
def overview() -> HTMLResponse:
    """Shows share counts by consumer and by dataset, and how old each dataset's snapshot is."""
    from crossdock.web import pages

    return _page("overview.html", pages.overview(_exchange()))


@app.get("/verdicts/{verdict_id}", response_class=HTMLResponse)
def verdict(verdict_id: str) -> HTMLResponse:
    """Shows one verdict: outcome, counts, and each finding."""
    from crossdock.web import pages

    return _page("verdict.html", _found(pages.verdict(_exchange(), verdict_id)))


@app.get("/deliveries/{delivery_id}", response_class=HTMLResponse)
def delivery(delivery_id: str) -> HTMLResponse:
    """Shows one delivery: what its manifest says, and its receipt."""
    from crossdock.web import pages

    return _page("delivery.html", _found(pages.delivery(_exchange(), delivery_id)))


@app.exception_handler(CrossdockError)
def problem(_: Request, error: CrossdockError) -> HTMLResponse:
    """Shows what is wrong with the exchange itself, such as a store that does not answer."""
    return _page("problem.html", {"error": error, "up": ""}, status=500)


def _exchange() -> Exchange:
    from crossdock.airflow.work import airflow_lookup
    from crossdock.exchange import open_exchange

    return open_exchange(lookup=airflow_lookup)


def _found(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if values is None:
        raise HTTPException(404, "There is nothing of that id.")
    return values


def _page(template: str, values: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(template).render(values), status, _HEADERS)
