"""Data Docs: Great Expectations' own page of a verdict, on request.

Results hold counts and no value of a row, so the page does too. It is one file that asks nothing of the network.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

from great_expectations.core.expectation_validation_result import (  # noqa: TID253 - imported when a page is asked for
    ExpectationSuiteValidationResult,
    expectationSuiteValidationResultSchema,
)
from great_expectations.render.renderer.page_renderer import (  # noqa: TID253 - as above
    ValidationResultsPageRenderer,
)
from great_expectations.render.view.view import DefaultJinjaPageView  # noqa: TID253 - as above

from crossdock.validation import promises  # noqa: F401 - registers our expectations with GX

# GX's template loads styles, scripts and its logo from other people's servers.
_OUTSIDE = re.compile(r"<script\b[^>]*>.*?</script>|<link\b[^>]*>|<img\b[^>]*>", re.DOTALL | re.IGNORECASE)
_STYLE = """<style>
body { font-family: system-ui, sans-serif; margin: 2rem; color: #1f2937; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { border: 1px solid #d1d5db; padding: .3rem .6rem; text-align: left; }
.badge { background: #f3f4f6; padding: 0 .3rem; border-radius: .2rem; } .navbar, .modal, .ge-cta-footer, footer { display: none; }
</style>"""


def render(result: bytes) -> str:
    """Returns a stored validation result (`Judgement.result`) as one HTML page."""
    document = json.loads(result, object_hook=_escaped)
    meta = document["meta"]
    meta["run_id"] = {"run_name": document["suite_name"], "run_time": meta["validation_time"]}
    loaded = expectationSuiteValidationResultSchema.load(document)
    whole = (
        loaded if isinstance(loaded, ExpectationSuiteValidationResult) else ExpectationSuiteValidationResult(**loaded)
    )
    content = ValidationResultsPageRenderer().render(whole)
    page = str(DefaultJinjaPageView().render(content))  # type: ignore[no-untyped-call] # GX leaves it untyped
    return _OUTSIDE.sub("", page).replace("</head>", f"{_STYLE}</head>", 1)


def _escaped(fields: dict[str, Any]) -> dict[str, Any]:
    """GX puts what a contract says (a pattern, a value set) into the page as it is."""
    return {name: _escaped_value(value) for name, value in fields.items()}


def _escaped_value(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value, quote=False)
    return [_escaped_value(item) for item in value] if isinstance(value, list) else value
