"""Opens the store that an exchange's setting names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from crossdock.connections import Lookup
from crossdock.errors import WrongUse
from crossdock.storage.keys import checked
from crossdock.storage.local import open_local
from crossdock.storage.s3 import open_s3
from crossdock.storage.store import Store


def open_store(url: str, lookup: Lookup) -> Store:
    """Opens a folder ("/srv/exchange") or a bucket ("s3://bucket/prefix?connection=<Airflow connection id>").

    Without `connection` the connection is named "store". A folder or bucket that does not exist is made.
    """
    parts = urlsplit(url)
    if parts.scheme == "":
        return open_local(Path(url))
    options = parse_qs(parts.query, keep_blank_values=True)
    if parts.scheme != "s3" or not parts.netloc or parts.fragment or not set(options) <= {"connection"}:
        raise WrongUse(
            "This names no store.",
            where=f"{parts.scheme}://{parts.hostname or ''}{parts.path}",
            fix="Write a folder, or s3://bucket/prefix?connection=<id>.",
        )
    prefix = parts.path.strip("/")
    connection = options.get("connection", ["store"])[0]
    return open_s3(parts.netloc, checked(prefix) if prefix else "", lookup(connection))
