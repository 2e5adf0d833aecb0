"""Signed messages to a real web service: taken once, tried again, never sent where they must not go."""

from __future__ import annotations

import socket

import pytest
import tenacity

from crossdock.connections import Connection
from crossdock.errors import ConsumerRefused, ConsumerUnavailable, WrongUse
from crossdock.identity import canonical
from crossdock.keys import Keys
from crossdock.webhooks import address_of, post
from hooks import hook, own_certificate

DOCUMENT = {"rows": [{"no": "R1", "name": "王"}], "n": 1}


@pytest.fixture
def keys(tmp_path):
    return Keys.open(tmp_path / "keys")


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Waits are asked for and not waited."""
    waited = []
    monkeypatch.setattr(tenacity.nap.time, "sleep", waited.append)
    return waited


def connection(url, **more):
    return Connection(id="town_hook", type="http", host=url, **more)


def test_a_message_is_signed_named_and_authorised(keys):
    with hook() as server:
        post(connection(server.url, password="pass-1", extra={"path": "/in"}), DOCUMENT, keys, once="m1")
    ((headers, body),) = server.taken
    keys.public().verify(bytes.fromhex(headers["crossdock-signature"]), body)
    assert body == canonical(DOCUMENT)
    assert (headers["idempotency-key"], headers["authorization"]) == ("m1", "Bearer pass-1")


def test_a_busy_server_is_tried_again_after_the_time_it_asks_for(keys, hurried):
    with hook() as server:
        server.answers += [(503, {}), (429, {"Retry-After": "7"})]
        post(connection(server.url), DOCUMENT, keys, once="m1")
        assert (server.asked, len(server.taken)) == (3, 1)
    assert hurried[1] == 7


@pytest.mark.parametrize(("answer", "asked"), [((503, {}), 5), ((429, {"Retry-After": "3600"}), 1)])
def test_a_server_that_stays_busy_is_left_for_later(keys, answer, asked):
    with hook() as server:
        server.answers += [answer] * 9
        with pytest.raises(ConsumerUnavailable) as raised:
            post(connection(server.url), DOCUMENT, keys, once="m1")
        assert server.asked == asked
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("answer", [(400, {}), (401, {}), (302, {"Location": "http://127.0.0.1:1/"}), (410, {})])
def test_a_refusal_is_final_and_redirects_are_not_followed(keys, answer):
    with hook() as server:
        server.answers.append(answer)
        with pytest.raises(ConsumerRefused, match=str(answer[0])) as raised:
            post(connection(server.url), DOCUMENT, keys, once="m1")
        assert server.asked == 1
    assert "SECRET" not in str(raised.value)
    assert "王" not in str(raised.value)


def test_nobody_there_is_for_later(keys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ConsumerUnavailable, match="ConnectError"):
        post(connection(url), DOCUMENT, keys, once="m1")


@pytest.mark.parametrize(
    "url",
    ["http://example.org", "http://10.0.0.1", "ftp://127.0.0.1", "file:///etc", "", "http://127.0.0.1.example.org"],
)
def test_rows_leave_the_machine_encrypted_only(keys, url):
    with pytest.raises(WrongUse, match="no address"):
        post(connection(url), DOCUMENT, keys, once="m1")


def test_a_token_that_no_header_carries_is_refused_and_not_told(keys):
    with hook() as server, pytest.raises(ConsumerRefused) as raised:
        post(connection(server.url, password="to\nken"), DOCUMENT, keys, once="m1")
    assert "ken" not in str(raised.value).replace("token", "")
    assert server.asked == 0


def test_a_certificate_that_nobody_vouches_for_is_refused(keys, tmp_path, monkeypatch):
    made = own_certificate(tmp_path)
    with hook(made) as server:
        with pytest.raises(ConsumerUnavailable):
            post(connection(server.url), DOCUMENT, keys, once="m1")
        assert server.taken == []
        monkeypatch.setenv("SSL_CERT_FILE", str(made[0]))
        post(connection(server.url), DOCUMENT, keys, once="m1")
        assert len(server.taken) == 1


@pytest.mark.parametrize(
    "fields",
    [
        *({"host": host} for host in (
            "https://login:SECRET@tax.example", "https://tax.example@evil.example", "https://169.254.169.254",
            "https://[fe80::1]", "https://0.0.0.0", "https://[::ffff:169.254.169.254]", "http://169.254.169.254",
            "http://localhost.evil.example", "http://127.1", "https://tax.example\r\nX: y", "https://tax.example:99999",
            "https://xn--", "file:///etc/passwd", "https://",
        )),
        {"host": "https://tax.example", "extra": {"path": "in?token=SECRET"}},
        {"host": "https://tax.example", "extra": {"path": "in#SECRET"}},
        {"host": "https://tax.example", "extra": {"path": "in\r\nX: y"}},
    ],
)  # fmt: skip
def test_nothing_is_sent_to_what_is_no_plain_address(fields):
    with pytest.raises(WrongUse, match="no address to which rows may be sent") as caught:
        address_of(Connection(id="tax", type="http", **fields))
    assert "SECRET" not in f"{caught.value!r}{caught.value}"


@pytest.mark.parametrize(
    "host", ["https://tax.example", "https://tax.example:8443", "http://[::1]:80", "https://10.0.0.1"]
)
def test_a_plain_address_is_told_as_it_is(host):
    assert address_of(Connection(id="tax", type="http", host=host, password="SECRET")).startswith(
        host.removesuffix(":80")
    )
