"""JSON over HTTP: pages of records, an address and a login from the connection, patience with a busy server.

The connection's host (with or without "https://"), port and login are the address and basic authentication; in its
extra, `token` makes a bearer token and `api_key_header` names the header that the password (or `api_key`) goes into.
Pages are counted (`page: {param: page, start: 1, size_param: size, size: 5000}`), until one is empty, or followed
(`page: {next: links.next}`), on the same server only. With `incremental_param` the watermark is sent along.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from crossdock.connections import Connection, Lookup
from crossdock.contracts.json_text import DECODER, RepeatedKey
from crossdock.contracts.model import Contract
from crossdock.errors import SourceInvalid, SourceUnavailable
from crossdock.patience import Busy, demand_idle, patiently
from crossdock.sources.formats.records import NAMED_TWICE, Record, pull_records
from crossdock.sources.source import OPTIONAL, REQUIRED, Pulled, option, spec_of

OPTIONS = {"path": REQUIRED, **dict.fromkeys(("records", "page", "incremental_param"), OPTIONAL)}
_MAX_BYTES = 256 << 20  # of one page, unpacked
_MAX_PAGES = 100_000


def pull(contract: Contract, lookup: Lookup, *, since: str | None) -> Pulled:
    """Opens the web service of a contract's source; see `sources.source.read`. Requests begin with the first batch."""
    connection = lookup(spec_of(contract).connection)
    path = "/" + option(contract, "path").lstrip("/")
    service = _Service(
        where=f"{connection.id}:{path}",
        url=_base(connection).join(path),
        connection=connection,
        records=option(contract, "records"),
    )
    parameter = option(contract, "incremental_param")
    query = {parameter: since} if parameter and since is not None else {}
    page = (contract.source.options.get("page") if contract.source else None) or {}
    if not isinstance(page, Mapping):
        raise service.invalid(
            "`page` must say how pages follow one another.", "Write page: {param: page} or {next: KEY}."
        )
    return pull_records(_records(service, page, query), contract, where=service.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """One web service: where it is, and where in its answers the records are."""

    where: str  # connection and path, without the query: it may hold keys
    url: httpx.URL
    connection: Connection
    records: str

    def invalid(self, what: str, fix: str) -> SourceInvalid:
        return SourceInvalid(what, where=self.where, fix=fix)

    def records_of(self, answer: Any) -> list[Record]:
        found = _at(answer, self.records)
        if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
            raise self.invalid(
                f"There is no list of objects at '{self.records}' in the answer."
                if self.records
                else "The answer is no list of objects.",
                "Say where the records are: records: KEY.KEY",
            )
        return found


def _base(connection: Connection) -> httpx.URL:
    scheme, _, host = connection.host.rpartition("://")
    text = f"{scheme or connection.schema or 'http'}://{host.rstrip('/')}"
    try:
        url = httpx.URL(text)
        url = url.copy_with(port=connection.port) if connection.port else url
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise SourceInvalid(
            "The connection has no web address.", where=f"connection {connection.id}", fix="Set its host: https://HOST."
        )
    return url


def _records(service: _Service, page: Mapping[str, Any], query: Mapping[str, str]) -> Iterator[Record]:
    with _client(service.connection) as client:
        pages = _followed if "next" in page else _counted if "param" in page else _single
        for answer in pages(client, service, page, query):
            yield from service.records_of(answer)


Page = Mapping[str, Any]
Answers = Iterator[Any]


def _single(client: httpx.Client, service: _Service, _: Page, query: Mapping[str, str]) -> Answers:
    yield _get(client, service, service.url.copy_merge_params(query))[0]


def _counted(client: httpx.Client, service: _Service, page: Page, query: Mapping[str, str]) -> Answers:
    """Asks for page after page until one is empty: a server may give fewer records than were asked for."""
    first = page.get("start", 1)
    if not isinstance(first, int):
        raise service.invalid("The first page's number must be a whole number.", "Write start: 1 or leave it out.")
    size = {str(page["size_param"]): str(page["size"])} if "size_param" in page and "size" in page else {}
    before = b""
    for number in range(first, first + _MAX_PAGES):
        url = service.url.copy_merge_params({**query, **size, str(page["param"]): str(number)})
        answer, digest = _get(client, service, url)
        records = service.records_of(answer)
        if not records:
            return
        if digest == before:
            raise service.invalid(
                f"Page {number} is the page before once more.",
                f"Check that '{page['param']}' is the server's parameter for pages.",
            )
        before = digest
        yield answer
    raise service.invalid(
        f"There are more than {_MAX_PAGES:,} pages.", "Ask for larger pages: page: {size_param: ..., size: ...}"
    )


def _followed(client: httpx.Client, service: _Service, page: Page, query: Mapping[str, str]) -> Answers:
    """Follows the link to the next page, as long as there is one, it is new, and it leads to the same server."""
    url = service.url.copy_merge_params(query)
    seen: set[str] = set()
    while len(seen) < _MAX_PAGES:
        seen.add(str(url))
        answer, _ = _get(client, service, url)
        yield answer
        link = _at(answer, str(page["next"]))
        if not link:
            return
        url = _next(service, url, link)
        if str(url) in seen:
            raise service.invalid("The link to the next page leads back.", "Ask the department to mend its pages.")
    raise service.invalid(f"There are more than {_MAX_PAGES:,} pages.", "Ask the department for larger pages.")


def _next(service: _Service, url: httpx.URL, link: Any) -> httpx.URL:
    try:
        following = url.join(str(link))
    except httpx.InvalidURL:
        following = httpx.URL()
    if (following.scheme, following.host, following.port) != (url.scheme, url.host, url.port):
        # Our credentials go to the server in the connection and to no other.
        raise service.invalid(
            "The link to the next page leads to another server.", "Ask the department to mend its links."
        )
    return following


def _at(answer: Any, path: str) -> Any:
    """Returns what is at a dotted path in the answer; None when nothing is."""
    for key in filter(None, path.split(".")):
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


@contextmanager
def _client(connection: Connection) -> Iterator[httpx.Client]:
    name, secret = _credential(connection)
    if not (name + secret).isascii() or not (name + secret).isprintable():
        raise SourceInvalid(
            "The connection's token or key has characters that no request can carry.",
            where=f"connection {connection.id}",
            fix="Copy it again, without line breaks.",
        )
    headers = {"Accept": "application/json", "User-Agent": "crossdock"} | ({name: secret} if name else {})
    with httpx.Client(
        headers=headers,
        auth=httpx.BasicAuth(connection.login, connection.password) if connection.login and not name else None,
        timeout=httpx.Timeout(60, connect=10),
        verify=ssl.create_default_context(),  # the machine's authorities: departments have their own
        trust_env=False,  # neither a ~/.netrc nor a proxy of the machine decides where credentials go
    ) as client:
        yield client


def _credential(connection: Connection) -> tuple[str, str]:
    """Returns the header that carries the connection's key or token, and its value; two empty texts for none."""
    name = str(connection.extra.get("api_key_header") or "")
    if name:
        return name, str(connection.extra.get("api_key") or connection.password)
    token = str(connection.extra.get("token") or "")
    return ("Authorization", f"Bearer {token}") if token else ("", "")


def _get(client: httpx.Client, service: _Service, url: httpx.URL) -> tuple[Any, bytes]:
    """Returns a page's JSON and a digest of its bytes, trying again while the server is busy.

    Raises:
        SourceUnavailable: it stays busy, or asks for a longer wait than a task should sleep.
        SourceInvalid: it refuses, or answers no JSON.
    """
    try:
        content = patiently(_once, client, service, url)
    except Busy as busy:
        raise SourceUnavailable(
            f"The web service is not available ({busy}).", where=service.where, fix="Try again later."
        ) from None
    try:
        return DECODER.decode(content.decode("utf-8-sig").strip()), hashlib.sha256(content).digest()
    except RepeatedKey:
        raise service.invalid(f"The answer holds {NAMED_TWICE}.", "Ask the department to name each key once.") from None
    except (ValueError, RecursionError):
        raise service.invalid(
            "The answer is no JSON in UTF-8.", "Check the path, and what the server gives there."
        ) from None


def _once(client: httpx.Client, service: _Service, url: httpx.URL) -> bytes:
    try:
        with client.stream("GET", url) as response:
            demand_idle(response)
            status = response.status_code
            if status != 200:
                raise service.invalid(
                    f"The web service answered with status {status}.", _ADVICE.get(status, _ADVICE[0])
                )
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > _MAX_BYTES:
                    raise service.invalid(f"One page is larger than {_MAX_BYTES:,} bytes.", "Ask for smaller pages.")
            return bytes(content)
    except httpx.DecodingError:
        raise service.invalid(
            "The answer is packed in a way that can't be undone.", "Ask the department to mend it."
        ) from None
    except httpx.HTTPError as error:
        raise Busy(type(error).__name__) from None


_ADVICE = {
    0: "Check the path and the parameters in the contract's source; redirects are not followed.",
    401: "Check the connection's login, token or key.",
    403: "Ask the department to allow our login this path.",
    404: "Check the path in the contract's source.",
}
