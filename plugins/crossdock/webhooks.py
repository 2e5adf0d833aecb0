"""A department's own web service: messages to it, signed, each taken once however often it is sent.

The connection's host is the address (https, or http on this machine), its extra's `path` the place there; its password
is sent as a bearer token. What is sent is signed with the exchange's Ed25519 key: `Crossdock-Signature: <hex>`.

An address is the exchange's own word, never an agreement's. It has no login, password, query or fragment, which would be
told where addresses are. It is no link-local one, where clouds keep their secrets; whoever is asked by https needs a
certificate for the name, and nobody is followed elsewhere.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote

import httpx

from crossdock.connections import Connection
from crossdock.errors import ConsumerRefused, ConsumerUnavailable, WrongUse
from crossdock.identity import canonical
from crossdock.keys import Keys
from crossdock.patience import Busy, demand_idle, patiently

SIGNATURE = "Crossdock-Signature"
ONCE = "Idempotency-Key"
_LONGEST_ANSWER = 64 * 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request, but for where to."""

    method: str = "POST"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service said; its body is somebody else's, and is not to be repeated."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A department's web service, with its lines kept open."""

    client: httpx.Client
    address: httpx.URL
    where: str

    @classmethod
    @contextmanager
    def open(cls, connection: Connection) -> Iterator[Self]:
        """Gives a connection's service.

        Raises:
            WrongUse: the connection has no address that may be used.
            ConsumerRefused: it has a token that can't be sent.
        """
        address, where = _address(connection), f"connection {connection.id}"
        token = {"Authorization": f"Bearer {connection.password}"} if connection.password else {}
        try:
            client = httpx.Client(
                headers=token,
                verify=ssl.create_default_context(),  # the machine's authorities: departments have their own
                trust_env=False,  # neither a ~/.netrc nor a proxy of the machine decides where rows go
                timeout=httpx.Timeout(60, connect=10),
                follow_redirects=False,
            )
        except ValueError as error:
            raise _unsendable(error, where) from None
        with client:
            yield cls(client=client, address=address, where=where)

    def send(self, message: Message, *parts: str, told: tuple[int, ...] = ()) -> Answer:
        """Sends a message as often as it takes, and returns the answer.

        Args:
            message: what.
            parts: the place below the connection's address.
            told: answers that mean something to the caller, beside that it was taken (200 to 299).

        Raises:
            ConsumerUnavailable: it does not answer, or is busy; try again later.
            ConsumerRefused: it does not take the message. Neither its answer nor the message is told.
        """
        url = self.address
        if parts:
            below = "/".join(quote(part, safe="") for part in parts)
            url = url.copy_with(raw_path=url.raw_path.rstrip(b"/") + b"/" + below.encode())
        try:
            answer = patiently(self._ask, url, message)
        except Busy as busy:
            raise ConsumerUnavailable(
                f"The web service is not available ({busy}).", where=self.where, fix="Try again later."
            ) from None
        if not 200 <= answer.status < 300 and answer.status not in told:
            raise untaken(answer.status, self.where)
        return answer

    def _ask(self, url: httpx.URL, message: Message) -> Answer:
        request = self.client.build_request(message.method, url, content=message.body, headers=dict(message.headers))
        try:
            response = self.client.send(request, stream=True)
            try:
                demand_idle(response)
                return Answer(status=response.status_code, body=_head_of(response))
            finally:
                response.close()
        except (httpx.LocalProtocolError, ValueError) as error:  # a token with a line break, say
            raise _unsendable(error, self.where) from None
        except (httpx.TransportError, httpx.DecodingError, ssl.SSLError) as error:
            raise Busy(type(error).__name__) from None


def untaken(status: int, where: str) -> ConsumerRefused:
    """Returns the error of a message that a service does not take."""
    return ConsumerRefused(
        f"The web service does not take the message: it answers {status}.",
        where=where,
        fix="Check the connection's address and token with the department.",
    )


def post(connection: Connection, document: Mapping[str, object], keys: Keys, *, once: str) -> None:
    """Sends a document, and returns when the server has said that it took it.

    Args:
        connection: says where.
        document: sent as canonical JSON, and signed.
        keys: the signing key.
        once: names the message; the server takes one of that name for the one it has.

    Raises:
        WrongUse, ConsumerUnavailable, ConsumerRefused: as `Service` does.
    """
    body = canonical(document)
    headers = {"Content-Type": "application/json", ONCE: once, SIGNATURE: keys.sign(body)}
    with Service.open(connection) as service:
        service.send(Message(body=body, headers=headers))


def address_of(connection: Connection) -> str:
    """Returns where a connection's service is; no secret is in it.

    Raises:
        WrongUse: the connection has no address that may be used.
    """
    return str(_address(connection))


def _address(connection: Connection) -> httpx.URL:
    scheme, _, host = connection.host.rpartition("://")
    try:
        url = httpx.URL(f"{scheme or connection.schema or 'https'}://{host.rstrip('/')}")
        url = url.copy_with(port=connection.port) if connection.port else url
        url = url.join("/" + str(connection.extra.get("path") or "").lstrip("/"))
        if _may_be_sent_to(url):
            return url
    except (httpx.InvalidURL, ValueError):  # told below; of names, those that IDNA does not know
        pass
    raise WrongUse(
        "The connection has no address to which rows may be sent.",
        where=f"connection {connection.id}",
        fix="Set its host, https://HOST, without login and query; a token is its password.",
    )


def _may_be_sent_to(url: httpx.URL) -> bool:
    if not url.host or url.userinfo or url.query or url.fragment or not 0 < (url.port or 1) < 65_536:
        return False
    return _is_far(url) if url.scheme == "https" else url.scheme == "http" and _is_here(url)


def _is_here(url: httpx.URL) -> bool:
    address = _numeric(url.host)
    return url.host == "localhost" or (address is not None and address.is_loopback)


def _is_far(url: httpx.URL) -> bool:
    address = _numeric(url.host)
    return address is None or not (address.is_link_local or address.is_unspecified or address.is_multicast)


def _numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _unsendable(error: Exception, where: str) -> ConsumerRefused:
    return ConsumerRefused(
        f"The message can't be sent ({type(error).__name__}).", where=where, fix="Mend the connection."
    )


def _head_of(response: httpx.Response) -> bytes:
    """Returns the answer's body, as much of it as an answer of ours to be has."""
    found = b""
    for piece in response.iter_raw():
        found += piece
        if len(found) > _LONGEST_ANSWER:
            break
    return found[:_LONGEST_ANSWER]
