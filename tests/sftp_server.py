"""A real SFTP server for tests, in a thread of its own, that can be restarted and told to fail."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncssh

from crossdock.connections import Connection

_T = TypeVar("_T")
LOGIN = "tax"


class SftpServer:
    """Listens on loopback, lets one user in by password or key, and serves the whole disk.

    `before` is called with the name of each request before it is done: what it raises is the server's answer, what it
    returns is how many seconds the server waits first.
    """

    def __init__(self) -> None:
        self.password = secrets.token_hex(16)
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self.before: Callable[[str], float] = lambda _: 0
        self.host_keys = [self.host_key]
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.serves_files = True
        self.met = 0  # connections that were made
        self.attempts = 0  # passwords that were tried
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listening: asyncssh.SSHAcceptor | None = None

    def connection(self, folder: object, **extra: object) -> Connection:
        return Connection(
            id="consumer_tax",
            type="sftp",
            host="127.0.0.1",
            port=self.port,
            login=LOGIN,
            password=self.password,
            extra={"path": str(folder), "host_key": public(self.host_key), **extra},
        )

    def start(self) -> None:
        """Begins to listen, on the port it had before."""
        if not self._thread.is_alive():
            self._thread.start()

        async def listen() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                "127.0.0.1",
                self.port,
                server_factory=lambda: _Door(self),
                sftp_factory=(lambda channel: _Disk(channel, self)) if self.serves_files else None,
                server_host_keys=self.host_keys,
            )

        self._listening = self._do(listen())
        self.port = self._listening.get_port()

    def hang_up(self) -> None:
        """Ends every connection, without a word."""

        async def abort() -> None:
            for connection in list(self.connections):
                connection.abort()

        self._do(abort())

    def stop(self) -> None:
        """Ends every connection and listens no more."""
        assert self._listening is not None
        listening = self._listening

        async def close() -> None:
            listening.close()
            await listening.wait_closed()

        self._do(close())
        self.hang_up()

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def public(key: asyncssh.SSHKey) -> str:
    """Returns a key's public line, such as "ssh-ed25519 AAAA..."."""
    return key.export_public_key().decode().strip()


class _Door(asyncssh.SSHServer):
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._server.connections.add(conn)
        self._server.met += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server.connections.discard(self._conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._server.attempts += 1
        return username == LOGIN and secrets.compare_digest(password, self._server.password)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == LOGIN and key.public_data == self._server.user_key.public_data


def _asked(name: str) -> Callable[..., Any]:
    async def answer(self: _Disk, *arguments: Any) -> Any:
        wait = self._server.before(name)
        if wait:
            await asyncio.sleep(wait)
        return getattr(asyncssh.SFTPServer, name)(self, *arguments)

    return answer


class _Disk(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], server: SftpServer) -> None:
        super().__init__(channel)
        self._server = server

    open, write, mkdir, rename, lstat, fsync = map(_asked, ("open", "write", "mkdir", "rename", "lstat", "fsync"))
