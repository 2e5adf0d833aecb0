"""Web services: a real server on loopback that pages, limits, stumbles and lies."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from crossdock import patience
from crossdock.connections import Connection
from crossdock.errors import SourceInvalid, SourceUnavailable
from crossdock.sources import http
from crossdock.sources.source import read
from sources.made import column, contract, rows

SECRET = "s3cret-t0ken"
Answer = tuple[int, dict[str, str], bytes]


class Service:
    """A server that answers by a function of (path, query, headers) and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[str, dict[str, str], dict[str, str]], Answer] = lambda *_: (404, {}, b"")
        self.asked: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                service.asked.append(self.path)
                status, headers, body = service.answer(
                    parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}, dict(self.headers)
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def connection(self, **given) -> Connection:
        return Connection(**{"id": "dept", "type": "http", "host": "127.0.0.1", "port": self.port, **given})


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(patience, "_LONGEST_WAIT", 0.2)


def ok(value: object) -> Answer:
    return 200, {}, json.dumps(value).encode()


def asked(service: Service, *, since=None, connection=None, watermark="", **options):
    made = contract(
        column("id"),
        column("t", source_name="temp"),
        kind="http",
        watermark=watermark,
        **{"path": "/v1/weather", **options},
    )
    return rows(read(made, lambda _: connection or service.connection(), since=since))


def test_one_answer_without_pages_keeps_numbers_as_they_are_written(service):
    service.answer = lambda *_: (
        200,
        {},
        b'\xef\xbb\xbf{"data": [{"id": "007", "temp": -0.50}, {"id": 12345678901234567890}]}',
    )
    assert asked(service, records="data") == [{"id": "007", "t": "-0.50"}, {"id": "12345678901234567890", "t": None}]


def test_pages_are_counted_until_one_is_empty_even_when_the_server_gives_fewer(service):
    records = [{"id": str(n)} for n in range(7)]

    def answer(path, query, _):
        assert path == "/v1/weather"
        assert query["size"] == "5"
        start = (int(query["page"]) - 1) * 3
        return ok({"deep": {"data": records[start : start + 3]}})

    service.answer = answer
    got = asked(service, records="deep.data", page={"param": "page", "start": 1, "size_param": "size", "size": 5})
    assert [row["id"] for row in got] == [str(n) for n in range(7)]
    assert len(service.asked) == 4


def test_links_are_followed_relative_and_absolute(service):
    pages = {
        "/v1/weather": {"data": [{"id": "1"}], "links": {"next": "weather?cursor=b"}},
        "/v1/weather?cursor=b": {"data": [], "links": {"next": f"http://127.0.0.1:{service.port}/v1/more?x=%E4%B8%AD"}},
        "/v1/more?x=%E4%B8%AD": {"data": [{"id": "3"}], "links": {"next": None}},
    }
    service.answer = lambda *_: ok(pages[service.asked[-1]])
    assert [row["id"] for row in asked(service, records="data", page={"next": "links.next"})] == ["1", "3"]


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.2/v1",
        "https://127.0.0.1/v1",
        "//elsewhere.example/v1",
        "http://127.0.0.1:1/",
        "ftp://127.0.0.1/",
    ],
)
def test_a_link_to_another_server_is_refused(service, link):
    service.answer = lambda *_: ok({"data": [{"id": "1"}], "next": link})
    with pytest.raises(SourceInvalid, match="another server"):
        asked(service, records="data", page={"next": "next"}, connection=service.connection(extra={"token": SECRET}))


def test_pages_that_never_end_are_refused(service, monkeypatch):
    service.answer = lambda *_: ok({"data": [{"id": "1"}], "next": "/v1/weather"})
    with pytest.raises(SourceInvalid, match="leads back"):
        asked(service, records="data", page={"next": "next"})
    with pytest.raises(SourceInvalid, match="Page 2 is the page before once more"):
        asked(service, records="data", page={"param": "p"})
    monkeypatch.setattr(http, "_MAX_PAGES", 3)
    service.answer = lambda *_: ok({"data": [{"id": str(len(service.asked))}], "next": f"?n={len(service.asked)}"})
    for page in ({"next": "next"}, {"param": "p"}):
        with pytest.raises(SourceInvalid, match="more than 3 pages"):
            asked(service, records="data", page=page)


@pytest.mark.parametrize(
    ("given", "header", "value"),
    [
        ({"login": "u", "password": SECRET}, "Authorization", "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode()),
        ({"extra": {"token": SECRET}}, "Authorization", f"Bearer {SECRET}"),
        ({"password": SECRET, "extra": {"api_key_header": "X-Api-Key"}}, "X-Api-Key", SECRET),
        ({"extra": {"api_key_header": "X-Api-Key", "api_key": SECRET}}, "X-Api-Key", SECRET),
    ],
)  # fmt: skip
def test_credentials_come_from_the_connection(service, given, header, value):
    service.answer = lambda _path, _query, headers: (
        ok([{"id": "1"}]) if headers.get(header) == value else (401, {}, b"")
    )
    assert len(asked(service, connection=service.connection(**given))) == 1
    with pytest.raises(SourceInvalid, match="status 401"):
        asked(service)


def test_a_token_that_no_header_can_carry_is_told_without_it(service):
    with pytest.raises(SourceInvalid, match="no request can carry") as caught:
        asked(service, connection=service.connection(extra={"token": f"{SECRET}密"}))
    assert SECRET not in repr(caught.value)


def test_the_watermark_is_sent_where_the_service_can_use_it(service):
    service.answer = lambda _path, query, _headers: ok([{"id": query.get("after", "all")}])
    assert asked(service, since="2026-01-01T00:00:00+00:00", incremental_param="after") == [
        {"id": "2026-01-01T00:00:00+00:00", "t": None}
    ]
    assert asked(service, since="2026-01-01", watermark="t")[0]["id"] == "all"
    assert asked(service, incremental_param="after")[0]["id"] == "all"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(service, status):
    service.answer = lambda *_: (status, {"Retry-After": "0"}, b"") if len(service.asked) < 3 else ok([{"id": "1"}])
    assert len(asked(service)) == 1
    assert len(service.asked) == 3


def test_a_server_that_stays_busy_is_left_to_the_next_run(service):
    service.answer = lambda *_: (503, {}, SECRET.encode())
    with pytest.raises(SourceUnavailable, match="answers 503") as caught:
        asked(service)
    assert len(service.asked) == 5
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize("wait", ["3600", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_server_that_asks_for_a_long_wait_is_left_at_once(service, wait):
    service.answer = lambda *_: (429, {"Retry-After": wait}, b"")
    with pytest.raises(SourceUnavailable, match="answers 429"):
        asked(service)
    assert len(service.asked) == 1


def test_no_server_is_told_without_the_secret():
    closed = Connection(id="dept", type="http", host="http://127.0.0.1", port=1, extra={"token": SECRET})
    with pytest.raises(SourceUnavailable, match="dept:/v1/weather: The web service is not available") as caught:
        asked(Service, connection=closed)
    assert SECRET not in repr(caught.value)


def test_an_answer_cut_off_is_no_answer(service):
    whole = json.dumps([{"id": "1"}]).encode()
    service.answer = lambda *_: (200, {"Content-Encoding": "gzip"}, gzip.compress(whole)[:-12])
    with pytest.raises((SourceInvalid, SourceUnavailable)):
        asked(service)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {}, b""), "status 404. Check the path"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "status 302.*redirects are not followed"),
        ((200, {}, b"<html>"), "no JSON"),
        ((200, {}, b'[{"id": "\xff"}]'), "no JSON in UTF-8"),
        ((200, {}, b'[{"id": 1, "id": 2}]'), "names a key twice"),
        ((200, {}, b'{"data": {}}'), "no list of objects"),
        ((200, {}, b'[1]'), "no list of objects"),
        ((200, {}, b'[{"other": 1}]'), "No record has a key"),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), "packed"),
    ],
)  # fmt: skip
def test_what_is_not_as_agreed_is_refused(service, answer, message):
    service.answer = lambda *_: answer
    with pytest.raises(SourceInvalid, match=message):
        asked(service)


def test_a_page_that_is_too_large_is_refused(service, monkeypatch):
    monkeypatch.setattr(http, "_MAX_BYTES", 1000)
    service.answer = lambda *_: (
        200,
        {"Content-Encoding": "gzip"},
        gzip.compress(json.dumps([{"id": "x" * 5000}]).encode()),
    )
    with pytest.raises(SourceInvalid, match="larger than"):
        asked(service)


def test_no_record_is_no_error(service):
    service.answer = lambda *_: ok({"data": []})
    assert asked(service, records="data", page={"param": "page"}) == []


@pytest.mark.parametrize("host", ["", "ftp://x", "http://", "a b://x"])
def test_a_connection_without_an_address_is_told(host):
    with pytest.raises(SourceInvalid, match="no web address"):
        asked(Service, connection=Connection(id="dept", type="http", host=host))


def test_pages_said_wrongly_are_told(service):
    with pytest.raises(SourceInvalid, match="`page` must say"):
        asked(service, page="all")
    with pytest.raises(SourceInvalid, match="must be a whole number"):
        asked(service, page={"param": "p", "start": "one"})
