"""How the demo's departments and consumers are reached: connections, in the file that Airflow and crossdock read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PORT = 18_018  # of the meteorological department's web service, unless it is taken
WEATHER = "dept_meteorology"

# Under var/demo/consumers; a name with a file is a database, the others are folders.
CONSUMER_FOLDERS = ("tax", "human_resources", "transport", "meteorology", "health", "statistics", "high_court")
_DATABASES = ("tax", "human_resources", "transport", "meteorology")
_DROPS = {
    "consumer_health": "health",
    "consumer_statistics": "statistics",
    "consumer_high_court": "high_court",
    "consumer_human_resources_drop": "human_resources",
}

Fields = dict[str, Any]


def demo_connections(folder: Path, file: Path) -> Mapping[str, Fields]:
    """Returns every connection that the demo's contracts and agreements name.

    Args:
        folder: var/demo.
        file: the connections known so far; the web service keeps the port and the token it has there.
    """
    departments, consumers = folder.absolute() / "departments", folder.absolute() / "consumers"
    service = read_connections(file).get(WEATHER) or weather_connection(PORT, secrets.token_urlsafe(24))
    return {
        "dept_civil_affairs": _files(departments / "civil_affairs"),
        "dept_market_regulation": _files(departments / "market_regulation"),
        "dept_transport": _files(departments / "transport"),
        "dept_public_security": _database(departments / "public_security" / "registers.db"),
        WEATHER: service,
        **{f"consumer_{name}": _database(consumers / name / f"{name}.db") for name in _DATABASES},
        **{connection: _files(consumers / name) for connection, name in _DROPS.items()},
    }


def weather_connection(port: int, token: str) -> Fields:
    """Returns the connection of the meteorological department's web service."""
    return {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http", "extra": {"token": token}}


def read_connections(file: Path) -> dict[str, Fields]:
    """Returns the connections of a file by id; none when there is no file."""
    found: dict[str, Fields] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


def connect(file: Path, connections: Mapping[str, Fields]) -> None:
    """Adds connections to a file that only its owner may read, keeping all others; writes nothing when it has them."""
    known = read_connections(file)
    merged = {**known, **connections}
    if merged == known:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as target:
        json.dump(merged, target, ensure_ascii=False, indent=2)
    fresh.replace(file)


def _files(folder: Path) -> Fields:
    return {"conn_type": "fs", "extra": {"path": str(folder)}}


def _database(path: Path) -> Fields:
    return {"conn_type": "sqlite", "host": str(path)}
