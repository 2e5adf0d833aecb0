"""Lines of access logs: nginx's combined format, S3's server access log, and SeaweedFS's audit log (JSON, from fluentd).

Logs are written by whoever asks for something: a line that can't be read is nothing but counted, and never repeated.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import unquote

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMBINED = re.compile(
    rf"(?P<ip>\S{{1,64}}) \S+ (?P<user>\S{{1,256}}) \[(?P<at>[^\]]{{20,40}})\] {_QUOTED.replace('(', '(?P<request>', 1)} "
    rf"(?P<status>\d{{3}}) \S+ {_QUOTED} {_QUOTED.replace('(', '(?P<agent>', 1)}"
)
_S3 = re.compile(
    rf"\S+ \S+ \[(?P<at>[^\]]{{20,40}})\] (?P<ip>\S{{1,64}}) (?P<user>\S{{1,256}}) \S+ (?:REST|WEBSITE)\.\S+ \S+ "
    rf"(?:-|{_QUOTED.replace('(', '(?P<request>', 1)}) (?P<status>\d{{3}}) \S+ \S+ \S+ \S+ \S+ (?:-|{_QUOTED}) "
    rf"(?:-|{_QUOTED.replace('(', '(?P<agent>', 1)})"
)
_CLOCK = "%d/%b/%Y:%H:%M:%S %z"
_NOBODY = frozenset({"", "-", "anonymous"})  # SeaweedFS calls whoever did not log in so
_LONGEST = 64 * 1024  # characters of a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a log. `asker` tells one user from another, and is never kept as it is."""

    at: datetime  # UTC
    asker: str
    user: str  # who they said they are; "" for nobody
    agent: str
    method: str
    path: str  # decoded, without what follows a question mark of an address
    status: int


def read_line(line: str) -> Request | None:
    """Returns the request that a line tells of, in whichever of the formats it is; None when it is in none of them."""
    if len(line) > _LONGEST:
        return None
    try:
        return _of_json(json.loads(line)) if line.startswith("{") else _of_text(line)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _of_text(line: str) -> Request | None:
    found = _COMBINED.match(line) or _S3.match(line)
    if found is None:
        return None
    method, path, *_ = (found["request"] or "").split(" ")
    user, agent = _named(found["user"]), found["agent"] or ""
    return Request(
        at=datetime.strptime(found["at"], _CLOCK).astimezone(UTC),
        asker=_asker(found["ip"], agent, user),
        user=user,
        agent=agent,
        method=method,
        path=unquote(path.partition("?")[0]),
        status=int(found["status"]),
    )


def _of_json(said: dict[str, Any]) -> Request:
    agent, user = str(said.get("user_agent", "")), _named(str(said.get("requester", "")))
    return Request(
        at=datetime.fromtimestamp(int(said["time"]), UTC),
        asker=_asker(_without_port(str(said["remote_ip"])), agent, user),
        user=user,
        agent=agent,
        method=str(said["operation"]).split(".")[1],
        path=str(said["key"]),  # the object's name, not an address
        status=int(said["status"]),
    )


def _named(user: str) -> str:
    return "" if user in _NOBODY else user


def _asker(ip: str, agent: str, user: str) -> str:
    """Returns whom we take for one user: who said who they are, else one address with one program.

    Raises:
        ValueError: it is no address, as where a line begins in its middle; all addresses have one spelling.
    """
    address = ip_address(ip)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return f"user {user}" if user else f"{mapped or address}\n{agent}"


def _without_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    return host.strip("[]") if port.isdecimal() and (host.startswith("[") or host.count(":") == 0) and host else address
