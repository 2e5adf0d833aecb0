"""Style, script and chart library of the pages, served from installed packages: nothing comes from elsewhere."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files

LIBRARY = f"plotly-{version('plotly')}.min.js"
_OURS = {"style.css": "text/css; charset=utf-8", "charts.js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is sent: compressed once, not at each request."""

    content: bytes
    compressed: bytes
    type: str
    lasting: bool  # its name changes when it does


@cache
def asset(name: str) -> Asset | None:
    """Returns a file by the name in its address; None when there is none."""
    if name == LIBRARY:
        content, kind = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes(), _OURS["charts.js"]
    elif name in _OURS:
        content, kind = files("crossdock.web").joinpath("static", name).read_bytes(), _OURS[name]
    else:
        return None
    return Asset(content=content, compressed=gzip.compress(content, 6), type=kind, lasting=name == LIBRARY)
