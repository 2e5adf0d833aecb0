"""A department's web service that takes deliveries as the README tells it to, and keeps them as folders."""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crossdock.connections import Connection


class _Refused(Exception):
    """Ends a request with a status and a document."""

    def __init__(self, status: int, **said: object) -> None:
        super().__init__(status)
        self.status, self.said = status, said


@dataclass
class Receiver:
    """The service: where it keeps what, whose signatures it believes, and how it answers first."""

    folder: Path
    public_key: Ed25519PublicKey
    at: str = "population"
    token: str = "token-of-the-service"
    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # to the next requests, before any work
    unusable: Callable[[dict], str] = lambda _: ""  # why a row can't be used; "" when it can
    hang_up: int = 0  # so many requests are left without an answer
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path
    lock: Lock = field(default_factory=Lock)

    def connection(self, _: Path | None = None, **changes: object) -> Connection:
        """Returns the exchange's connection to it; `path` in its extra is the folder, for the tests."""
        fields = {"id": "consumer_tax", "type": "http", "host": self.url, "password": self.token}
        return Connection(**fields | {"extra": {"path": str(self.folder)}} | changes)

    def take(self, place: list[str], headers: dict[str, str], body: bytes) -> None:
        """Keeps a piece of a file."""
        name, number = place[-2:]
        once = headers["idempotency-key"]
        if once != "/".join(place[-3:]):
            raise _Refused(400)
        try:
            self.public_key.verify(bytes.fromhex(headers["crossdock-signature"]), once.encode() + b"\n" + body)
        except InvalidSignature:
            raise _Refused(400) from None
        lines = body.decode().splitlines()
        rejected = [{"row": n, "reason": self.unusable(json.loads(line))} for n, line in enumerate(lines)]
        rejected = [each for each in rejected if each["reason"]]
        if rejected and not name.startswith("deletes"):
            raise _Refused(422, rejected=rejected)
        part = self._incoming(place[-3]) / name / number
        with self.lock:  # another worker's commit must not read half of a piece that is sent again
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(body)

    def commit(self, delivery: str, manifest: bytes) -> None:
        """Makes a delivery count, whole or not at all."""
        with self.lock:
            goal = self.folder / self.at / delivery
            if goal.exists():
                if (goal / "manifest.json").read_bytes() != manifest:
                    raise _Refused(409, reason="content", holds=delivery)
                return
            body = self._verified(manifest)
            self._fits(body)
            made = self.folder / f"making-{delivery}"
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            for file in body["files"]:
                parts = self._incoming(delivery) / file["name"]
                pieces = sorted(parts.iterdir(), key=lambda p: int(p.name)) if parts.exists() else []
                whole = b"".join(p.read_bytes() for p in pieces)
                if hashlib.sha256(whole).hexdigest() != file["sha256"]:
                    raise _Refused(400)
                (made / file["name"]).write_bytes(whole)
            (made / "manifest.json").write_bytes(manifest)
            goal.parent.mkdir(exist_ok=True)
            made.rename(goal)
            shutil.rmtree(self._incoming(delivery), ignore_errors=True)

    def receipt(self, delivery: str) -> dict[str, str]:
        """Tells what it holds."""
        manifest = self.folder / self.at / delivery / "manifest.json"
        if not manifest.exists():
            raise _Refused(404)
        at = datetime.fromtimestamp(manifest.stat().st_mtime, UTC).isoformat()
        return {"delivery": delivery, "digest": hashlib.sha256(manifest.read_bytes()).hexdigest(), "delivered_at": at}

    def _incoming(self, delivery: str) -> Path:
        return self.folder / "incoming" / delivery

    def _verified(self, manifest: bytes) -> dict:
        body = json.loads(manifest)
        signature = bytes.fromhex(body.pop("signature"))
        spelled = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        try:
            self.public_key.verify(signature, spelled)
        except InvalidSignature:
            raise _Refused(400) from None
        return body

    def _fits(self, body: dict) -> None:
        held = [json.loads(m.read_bytes()) for m in (self.folder / self.at).glob("*/manifest.json")]
        order = [(h["snapshot"]["sequence"], h["intended_at"], h["delivery"]) for h in held]
        last = max(order, default=(-1, "", ""))
        if last[:2] > (body["snapshot"]["sequence"], body["intended_at"]):
            raise _Refused(409, reason="newer", holds=last[2])
        if not body["replaces"] and body["base"] != last[2]:
            raise _Refused(409, reason="base", holds=last[2])


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(body)

    def do_GET(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.receiver.asked.append((self.command, self.path))
        if self.receiver.hang_up:
            self.receiver.hang_up -= 1
            self.close_connection = True
            return
        status, headers = self.receiver.answers.pop(0) if self.receiver.answers else (0, {})
        said: dict[str, object] = {"said": "SECRET"}
        if not status:
            try:
                status, said = 200, self._work(body) or said
            except _Refused as refused:
                status, said = refused.status, refused.said
        data = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _work(self, body: bytes) -> dict[str, str] | None:
        if self.headers["Authorization"] != f"Bearer {self.receiver.token}":
            raise _Refused(401)
        place = self.path.strip("/").split("/")
        at = place.index("deliveries")
        if self.command == "GET":
            return self.receiver.receipt(place[at + 1])
        if len(place) == at + 4:
            self.receiver.take(place, {k.lower(): v for k, v in self.headers.items()}, body)
            return None
        self.receiver.commit(place[at + 1], body)
        return None

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving(
    folder: Path,
    public_key: Ed25519PublicKey,
    certificate: tuple[Path, Path] | None = None,
    port: int = 0,
    at: str = "population",
) -> Iterator[Receiver]:
    """Serves on this machine until the block ends; with a certificate and its key, over TLS."""
    receiver = Receiver(folder, public_key, at)
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"receiver": receiver}))
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
