"""The bucket channel when the server goes, hangs up or says nothing, and when a login may not do everything."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from crossdock.delivery.channels import bucket
from crossdock.delivery.channels.channel import arrived, deliver
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from delivery.carry import FIRST, SECOND, make
from delivery.consumers import COLUMNS, BucketConsumer, consumer
from s3_server import S3Server

OTHERS = {
    "tax": ["Read:tax", "Write:tax", "List:tax"],
    "school": ["Read:school", "Write:school", "List:school"],
    "court": ["Read:both/court/*", "Write:both/court/*", "List:both/court/*"],
    "reader": ["Read:tax", "List:tax"],
}


def expected(rows):
    return {r["resident_id"]: tuple(r[c] for c in COLUMNS) for r in rows}


@pytest.fixture
def system(tmp_path, request):
    return consumer("bucket", tmp_path, request)


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A server that lets each consumer into what is its own; and may be killed."""
    server = S3Server(tmp_path_factory.mktemp("weed"), OTHERS)
    try:
        server.start()
        for name in ("tax", "school", "both"):
            server.s3.client().make_bucket(name)
        yield server
    finally:
        server.stop()


def login(server, name, bucket_name, path="population"):
    to = replace(server.logins[name].connection, id=f"consumer_{name}", schema=bucket_name)
    return BucketConsumer(to, "bucket", {"path": path})


class Line:
    """A line to a server that goes bad after so many bytes towards it: "cut", or "mute" from then on."""

    def __init__(self, server, bytes_left, how):
        self._server, self.left, self._how = server, bytes_left, how
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listening.close()
        for one in self._open:
            one.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection(self._server)
            self._open += [near, far]
            threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source, target, counted):
        try:
            while data := source.recv(65536):
                if counted:
                    data = data[: max(0, self.left)]
                    self.left -= len(data)
                if data:
                    target.sendall(data)
                if self.left <= 0 and self._how == "mute":
                    return
                if self.left <= 0:
                    break
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


@pytest.mark.parametrize("how", ["cut", "mute"])
def test_a_line_that_goes_bad_at_any_place(system, how, tmp_path, monkeypatch):
    """Nothing of a delivery shows before its manifest; the whole of it is there after the next try."""
    monkeypatch.setattr(bucket, "_SILENCE", 0.5)
    monkeypatch.setattr(bucket, "_AGAIN", 0)
    agreed = system.agreed("changes")
    deliver(make(tmp_path / "1", agreed, 1), system.connection)
    sent = make(tmp_path / "2", agreed, 2)
    address = urlsplit(system.connection.extra["endpoint_url"])
    told = set()
    with Line((address.hostname, address.port), 10**9, how) as line:
        assert arrived(agreed, "d1", through(line, system)) is not None
    for place in range(0, 40_000, 1500):
        with Line((address.hostname, address.port), place, how) as line:
            try:
                deliver(sent, through(line, system))
                break
            except ConsumerUnavailable as error:
                told.add(str(error))
        there = arrived(agreed, "d2", system.connection) is not None
        assert system.rows() == expected(SECOND if there else FIRST)
    else:
        pytest.fail("it was never delivered")
    assert len(told) > 1  # by both of the libraries that talk to the server
    receipt = deliver(sent, system.connection)
    assert receipt == arrived(agreed, "d2", system.connection)
    assert system.rows() == expected(SECOND)
    assert system.connection.password not in "".join(told)


def through(line, system):
    return replace(system.connection, extra=system.connection.extra | {"endpoint_url": f"http://127.0.0.1:{line.port}"})


@pytest.mark.parametrize("step", ["uploaded", "manifested"])
def test_a_server_that_is_killed_in_the_middle_and_comes_back(strict, step, tmp_path, monkeypatch):
    monkeypatch.setattr(bucket, "_AGAIN", 1)
    system = login(strict, "admin", strict.s3.new_bucket())
    agreed = system.agreed("changes")
    deliver(make(tmp_path / "1", agreed, 1), system.connection)
    sent = make(tmp_path / "2", agreed, 2)

    def stop(reached):
        if reached == f"delivery.bucket.{step}":
            strict.stop()

    monkeypatch.setattr(bucket, "reached", stop)
    with pytest.raises(ConsumerUnavailable):
        deliver(sent, system.connection)
    with pytest.raises(ConsumerUnavailable):
        arrived(agreed, "d2", system.connection)
    monkeypatch.undo()
    strict.start()
    there = arrived(agreed, "d2", system.connection) is not None
    assert there is (step == "manifested")
    deliver(sent, system.connection)
    assert system.rows() == expected(SECOND)
    assert len(list(system.deliveries())) == 2


@pytest.mark.parametrize(("name", "own", "path"), [("school", "school", "population"), ("court", "both", "court/in")])
def test_a_login_reaches_what_is_its_own(strict, name, own, path, tmp_path):
    system = login(strict, name, own, path=path)
    agreed = system.agreed()
    receipt = deliver(make(tmp_path / "1", agreed, 1), system.connection)
    assert receipt == arrived(agreed, "d1", system.connection)


@pytest.mark.parametrize(
    ("name", "other", "path"),
    [
        ("school", "tax", "population"),
        ("tax", "school", "elsewhere"),
        ("school", "both", "court/in"),
        ("court", "both", "school/in"),
        ("court", "tax", "population"),
        ("reader", "tax", "elsewhere"),
    ],
)
def test_a_login_for_another_consumers_bucket_is_refused_for_good(strict, name, other, path, tmp_path):
    system = login(strict, name, other, path=path)
    owner = login(strict, "admin", other)
    before = owner.keys()
    with pytest.raises(ConsumerRefused, match="refused") as caught:
        deliver(make(tmp_path / "1", system.agreed(), 1), system.connection)
    assert owner.keys() == before
    assert system.connection.password not in str(caught.value)
