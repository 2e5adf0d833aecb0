"""Connections: how a connection id in a contract becomes a host and a secret, with and without Airflow.

Airflow's own forms are read (a JSON file as `LocalFilesystemBackend` reads it, or an `AIRFLOW_CONN_<ID>` variable),
so an engineer states a connection once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from crossdock.errors import WrongUse, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One system's address and credentials; field for field an Airflow connection. `repr` hides the secrets."""

    id: str
    type: str  # sqlite, postgres, http, s3, sftp, fs, ...
    host: str = ""
    port: int | None = None
    login: str = ""
    password: str = field(default="", repr=False)
    schema: str = ""
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, connection_id: str, text: str) -> Self:
        """Reads a connection from JSON or from a URI, the two spellings Airflow accepts."""
        if text.lstrip().startswith("{"):
            return cls.from_fields(connection_id, json.loads(text))
        url = urlsplit(text)
        query = dict(parse_qsl(url.query))
        extra = json.loads(query["__extra__"]) if "__extra__" in query else query
        return cls(
            id=connection_id,
            type=url.scheme.replace("-", "_"),
            host=unquote(url.hostname or ""),
            port=url.port,
            login=unquote(url.username or ""),
            password=unquote(url.password or ""),
            schema=unquote(url.path.removeprefix("/")),
            extra=extra,
        )

    @classmethod
    def from_fields(cls, connection_id: str, fields: Mapping[str, object]) -> Self:
        """Reads a connection from Airflow's JSON fields (conn_type, host, port, login, password, schema, extra)."""
        extra = fields.get("extra") or {}
        port = fields.get("port")
        return cls(
            id=connection_id,
            type=str(fields.get("conn_type") or ""),
            host=str(fields.get("host") or ""),
            port=int(str(port)) if port else None,
            login=str(fields.get("login") or ""),
            password=str(fields.get("password") or ""),
            schema=str(fields.get("schema") or ""),
            extra=json.loads(extra) if isinstance(extra, str) else dict(extra) if isinstance(extra, Mapping) else {},
        )


Lookup = Callable[[str], Connection]  # raises WrongUse for an id that is not set


def local_lookup(path: Path) -> Lookup:
    """Returns a lookup over the environment (`AIRFLOW_CONN_<ID>`) first, then over a JSON file of connections."""

    def find(connection_id: str) -> Connection:
        variable = f"AIRFLOW_CONN_{connection_id.upper()}"
        if os.environ.get(variable):
            return _read(connection_id, os.environ[variable], variable)
        known = _known(path)
        if connection_id not in known:
            raise WrongUse(
                f"There is no connection '{connection_id}'.",
                where=str(path),
                fix=f"Set it there or as {variable}. {did_you_mean(connection_id, known)}",
            )
        return _read(connection_id, known[connection_id], str(path))

    return find


def _known(path: Path) -> Mapping[str, object]:
    try:
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    except ValueError as error:
        raise WrongUse(
            f"The connections can't be read: {type(error).__name__}.", where=str(path), fix="Write one JSON object."
        ) from None  # the cause would quote what is secret
    if not isinstance(known, dict):
        raise WrongUse("The connections can't be read.", where=str(path), fix="Write one JSON object, by id.")
    return known


def _read(connection_id: str, value: object, where: str) -> Connection:
    try:
        if isinstance(value, str):
            return Connection.parse(connection_id, value)
        if isinstance(value, Mapping):
            return Connection.from_fields(connection_id, value)
    except (ValueError, TypeError, AttributeError):
        pass  # told below, without the cause, which would quote what is secret
    raise WrongUse(
        f"Connection '{connection_id}' can't be read.",
        where=where,
        fix="State it as Airflow does: a URI, or conn_type, host, port, login, password, schema and extra.",
    )
