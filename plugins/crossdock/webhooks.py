"""Signed JSON to a web service of a department's own: each message once, or as often as it takes, with one key.

The connection's host is the address (https, or http on this machine), its extra's `path` the place there; its password
is sent as a bearer token. The body is signed with the exchange's Ed25519 key: `Crossdock-Signature: <hex>`.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping

import httpx
import tenacity

from crossdock.connections import Connection
from crossdock.errors import ConsumerRefused, ConsumerUnavailable, WrongUse
from crossdock.identity import canonical
from crossdock.keys import Keys

SIGNATURE = "Crossdock-Signature"
_ATTEMPTS = 4
_LONGEST_WAIT = 30.0  # seconds; a server that asks for more is tried again by the next run
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Busy(Exception):
    """The server may take it later; `wait` is how many seconds it asked for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def post(connection: Connection, document: Mapping[str, object], keys: Keys, *, once: str) -> None:
    """Sends a document, and returns when the server has said that it took it.

    Args:
        connection: says where.
        document: sent as canonical JSON, and signed.
        keys: the signing key.
        once: names the message; the server takes one of that name for the one it has.

    Raises:
        WrongUse: the connection has no address that may be used.
        ConsumerUnavailable: it does not answer, or is busy; try again later.
        ConsumerRefused: it does not take the message. Neither its answer nor the message is told.
    """
    url = _address(connection)
    body = canonical(document)
    headers = {"Content-Type": "application/json", "Idempotency-Key": once, SIGNATURE: keys.sign(body)}
    if connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    patiently = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=_wait,
        retry=tenacity.retry_if_exception(lambda e: isinstance(e, _Busy) and (e.wait or 0) <= _LONGEST_WAIT),
        reraise=True,
    )
    try:
        patiently(_send, url, body, headers, f"connection {connection.id}")
    except _Busy as busy:
        raise ConsumerUnavailable(
            f"The web service is not available ({busy}).", where=f"connection {connection.id}", fix="Try again later."
        ) from None


def _address(connection: Connection) -> httpx.URL:
    scheme, _, host = connection.host.rpartition("://")
    try:
        url = httpx.URL(f"{scheme or connection.schema or 'https'}://{host.rstrip('/')}")
        url = url.copy_with(port=connection.port) if connection.port else url
        url = url.join("/" + str(connection.extra.get("path") or "").lstrip("/"))
    except httpx.InvalidURL:
        url = httpx.URL()
    if not url.host or not (url.scheme == "https" or (url.scheme == "http" and _is_here(url.host))):
        raise WrongUse(
            "The connection has no address to which rows may be sent.",
            where=f"connection {connection.id}",
            fix="Set its host: https://HOST.",
        )
    return url


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _Busy) else None
    return tenacity.wait_random_exponential(0.5, _LONGEST_WAIT)(state) if asked is None else asked


def _send(url: httpx.URL, body: bytes, headers: Mapping[str, str], where: str) -> None:
    try:
        with httpx.Client(
            verify=ssl.create_default_context(),  # the machine's authorities: departments have their own
            trust_env=False,  # neither a ~/.netrc nor a proxy of the machine decides where rows go
            timeout=httpx.Timeout(60, connect=10),
            follow_redirects=False,
        ) as client:
            status, wait = _ask(client, url, body, headers)
    except (httpx.LocalProtocolError, ValueError) as error:  # a token with a line break, say
        raise ConsumerRefused(
            f"The message can't be sent ({type(error).__name__}).", where=where, fix="Mend the connection."
        ) from None
    except (httpx.TransportError, ssl.SSLError) as error:
        raise _Busy(type(error).__name__) from None
    if status in _BUSY:
        raise _Busy(f"it answers {status}", wait)
    if not 200 <= status < 300:
        raise ConsumerRefused(
            f"The web service does not take the message: it answers {status}.",
            where=where,
            fix="Check the connection's address and token with the department.",
        )


def _ask(client: httpx.Client, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> tuple[int, float | None]:
    with client.stream("POST", url, content=body, headers=dict(headers)) as response:  # its answer's body is not read
        asked = response.headers.get("Retry-After", "").strip()
        return response.status_code, float(asked[:9]) if asked.isascii() and asked.isdigit() else None
