"""The meteorological department's web service: pages of JSON, for whoever brings the token.

with serve(home):                        # in this process, for the demo and for tests
    ...
python -m crossdock.demo.server HOME     # as a process of its own, until it is ended

GET /v1/weather?page=1&size=5000  ->  {"data": [...], "page": 1, "pages": 6, "total": 26115, "next": "/v1/..."}
"""

from __future__ import annotations

import hmac
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from crossdock.demo.addresses import WEATHER, connect, read_connections, weather_connection
from crossdock.errors import WrongUse

LARGEST_PAGE = 10_000
_PATH = "/v1/weather"
_PATIENCE = 5.0  # seconds
_log = logging.getLogger(__name__)


class WeatherService(ThreadingHTTPServer):
    """Serves the records of a JSON-lines file on 127.0.0.1."""

    daemon_threads = True

    def __init__(self, records: Sequence[str], *, token: str, port: int) -> None:
        """Binds the port (0: any free one).

        Args:
            records: one JSON object each, handed out as they are, digit for digit.
            token: what callers must bring as `Authorization: Bearer <token>`.
            port: where to listen.
        """
        self.records = records
        self.token = token
        super().__init__(("127.0.0.1", port), _Handler)

    def page(self, number: int, size: int) -> bytes:
        """Returns one page; beyond the last it is empty."""
        start = (number - 1) * size
        pages = -(-len(self.records) // size)
        following = f"{_PATH}?page={number + 1}&size={size}" if number < pages else None
        rest = {"page": number, "pages": pages, "total": len(self.records), "next": following}
        data = ",\n".join(self.records[start : start + size])
        return f'{{"data": [{data}], {json.dumps(rest)[1:]}'.encode()


class _Handler(BaseHTTPRequestHandler):
    server: WeatherService
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
            self._answer(HTTPStatus.UNAUTHORIZED, _message("Bring the token: Authorization: Bearer <token>."))
        elif address.path != _PATH:
            self._answer(HTTPStatus.NOT_FOUND, _message(f"There is only {_PATH} here."))
        else:
            page, size = query.get("page", "1"), query.get("size", "1000")
            if _counts(page, 1_000_000) and _counts(size, LARGEST_PAGE):
                self._answer(HTTPStatus.OK, self.server.page(int(page), int(size)))
            else:
                self._answer(
                    HTTPStatus.BAD_REQUEST, _message(f"page and size count from 1; size up to {LARGEST_PAGE}.")
                )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server calls
        _log.debug(format, *args)

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve(home: Path) -> Iterator[None]:
    """Runs the service of a provisioned home until the block ends, unless it runs already (`make up` runs it).

    Another port than the connection's is taken, and written there, when something else uses that one.

    Raises:
        WrongUse: the demo is not provisioned there.
    """
    if _answers(home):
        yield
        return
    service = _open(home)
    thread = Thread(target=service.serve_forever, name="weather service", daemon=True)
    thread.start()
    try:
        yield
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


def _answers(home: Path) -> bool:
    """Asks whether the connection leads to a service that knows our token."""
    known = read_connections(home / "var" / "connections.json").get(WEATHER)
    if known is None:
        return False
    caller = HTTPConnection("127.0.0.1", int(known["port"]), timeout=_PATIENCE)
    try:
        caller.request("GET", f"{_PATH}?size=1", headers={"Authorization": f"Bearer {known['extra']['token']}"})
        return caller.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        caller.close()


def main() -> None:
    """Serves until the process is ended; the only argument is the home."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    service = _open(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    _log.info("The weather service listens on http://127.0.0.1:%d%s", service.server_port, _PATH)
    try:
        service.serve_forever()
    except KeyboardInterrupt:
        _log.info("The weather service ends.")
    finally:
        service.server_close()


def _open(home: Path) -> WeatherService:
    file = home / "var" / "demo" / "departments" / "meteorology" / "weather.jsonl"
    addresses = home / "var" / "connections.json"
    known = read_connections(addresses).get(WEATHER)
    if known is None or not file.exists():
        raise WrongUse("The demo is not laid out here.", where=str(home), fix="Provision it first: make demo.")
    records = file.read_text("utf-8").splitlines()
    token, port = str(known["extra"]["token"]), int(known["port"])
    try:
        return WeatherService(records, token=token, port=port)
    except OSError:  # the port is in use
        service = WeatherService(records, token=token, port=0)
        connect(addresses, {WEATHER: weather_connection(service.server_port, token)})
        return service


def _counts(text: str, most: int) -> bool:
    return text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most


def _message(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


if __name__ == "__main__":
    main()
