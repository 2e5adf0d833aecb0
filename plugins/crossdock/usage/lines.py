"""Lines of access logs: nginx's combined format, S3's server access log, and SeaweedFS's audit log (JSON, from fluentd).

Logs are written by whoever asks for something: a line that can't be read is nothing but counted, and never repeated.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMBINED = re.compile(
    rf"(?P<ip>\S{{1,64}}) \S+ (?P<user>\S{{1,256}}) \[(?P<at>[^\]]{{20,40}})\] {_QUOTED.replace('(', '(?P<request>', 1)} "
    rf"(?P<status>\d{{3}}) \S+ {_QUOTED} {_QUOTED.replace('(', '(?P<agent>', 1)}"
)
_S3 = re.compile(
    rf"\S+ \S+ \[(?P<at>[^\]]{{20,40}})\] (?P<ip>\S{{1,64}}) (?P<user>\S{{1,256}}) \S+ REST\.\S+ \S+ "
    rf"(?:-|{_QUOTED.replace('(', '(?P<request>', 1)}) (?P<status>\d{{3}}) \S+ \S+ \S+ \S+ \S+ (?:-|{_QUOTED}) "
    rf"(?:-|{_QUOTED.replace('(', '(?P<agent>', 1)})"
)
_CLOCK = "%d/%b/%Y:%H:%M:%S %z"
_LONGEST = 64 * 1024  # characters of a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a log. `asker` tells one user from another, and is never kept as it is."""

    at: datetime  # UTC
    asker: str
    agent: str
    method: str
    path: str  # decoded, without what follows a question mark
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
    return Request(
        at=datetime.strptime(found["at"], _CLOCK).astimezone(UTC),
        asker=_asker(found["ip"], found["agent"] or "", found["user"]),
        agent=found["agent"] or "",
        method=method,
        path=_decoded(path),
        status=int(found["status"]),
    )


def _of_json(said: dict[str, Any]) -> Request:
    ip, agent = str(said["remote_ip"]), str(said.get("user_agent", ""))
    return Request(
        at=datetime.fromtimestamp(int(said["time"]), UTC),
        asker=_asker(_without_port(ip), agent, str(said.get("requester", "-"))),
        agent=agent,
        method=str(said["operation"]).split(".")[1],
        path=_decoded(str(said["key"])),
        status=int(said["status"]),
    )


def _asker(ip: str, agent: str, user: str) -> str:
    """Returns whom we take for one user: who said who they are, else one address with one program."""
    return f"user {user}" if user not in ("-", "") else f"{ip}\n{agent}"


def _without_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    return host.strip("[]") if port.isdecimal() and (host.startswith("[") or host.count(":") == 0) and host else address


def _decoded(path: str) -> str:
    return unquote(path.partition("?")[0])
