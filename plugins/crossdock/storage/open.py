"""Opens the store that an exchange's setting names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from crossdock.connections import Lookup
from crossdock.errors import WrongUse
from crossdock.storage.local import LocalStore
from crossdock.storage.s3 import open_s3
from crossdock.storage.store import Store


def open_store(url: str, lookup: Lookup) -> Store:
    """Opens a folder ("/srv/exchange") or a bucket ("s3://bucket/prefix?connection=<Airflow connection id>")."""
    parts = urlsplit(url)
    if parts.scheme == "":
        root = Path(url).absolute()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalStore(root)
    if parts.scheme != "s3" or not parts.netloc:
        raise WrongUse(
            "This names no store.",
            where=url.partition("?")[0],
            fix="Write a folder, or s3://bucket/prefix?connection=<id>.",
        )
    connection = parse_qs(parts.query).get("connection", ["store"])[0]
    return open_s3(parts.netloc, parts.path.strip("/"), lookup(connection))
