"""A session with a consumer's SFTP server: its host key is pinned, and no operation may last for ever.

The connection is of Airflow's type sftp or ssh: host, port, login, and a password or a private key (`private_key` or
`key_file` in its extra, with `private_key_passphrase`). Its extra names the consumer's folder (`path`) and holds the
server's public key (`host_key`, one or more lines such as "ssh-ed25519 AAAA..."). Nothing else is asked: no
known_hosts, no configuration, no key and no agent of the user under whom we run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar, cast

import asyncssh

from crossdock.connections import Connection
from crossdock.errors import ConsumerRefused, ConsumerUnavailable

_T = TypeVar("_T")
_CONNECT = 30.0  # seconds until a server must have let us in
_OPERATION = 120.0  # seconds until it must have answered one request, or taken one more block of a file
_FAREWELL = 5.0  # seconds for what is only tidy
_SMALL = 16 * 1024 * 1024  # no manifest is larger
_ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_LOGIN = "Check login, password and key."
_RIGHTS = "Mend the rights of the consumer's folder."
_LASTING: dict[type[BaseException], tuple[str, str]] = {
    asyncssh.HostKeyNotVerifiable: (
        "The SFTP server shows another host key than the connection's `host_key`; it got nothing from us.",
        "Ask its operator, not over this network, whether it has a new key, and only then put that into `host_key`.",
    ),
    asyncssh.KeyExchangeFailed: (
        "The SFTP server has no host key of the kind in the connection's `host_key`, or no algorithm that we trust.",
        "Ask its operator for its host keys, and put one into `host_key`.",
    ),
    asyncssh.PermissionDenied: ("The SFTP server does not let us in.", _LOGIN),
    asyncssh.IllegalUserName: ("The SFTP server does not let us in.", _LOGIN),
    asyncssh.ChannelOpenError: ("The server lets us in, but offers no SFTP.", "Ask its operator to allow SFTP."),
    asyncssh.SFTPPermissionDenied: ("The SFTP server does not let us write or read there.", _RIGHTS),
    asyncssh.SFTPWriteProtect: ("The consumer's folder is read-only.", _RIGHTS),
    asyncssh.SFTPOpUnsupported: (
        "The SFTP server can't do what a delivery needs.",
        "Use one that makes, reads and renames folders, such as OpenSSH.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a delivery does on the server. Each operation raises asyncssh's errors or TimeoutError; see `run`."""

    client: asyncssh.SFTPClient
    base: PurePosixPath  # the consumer's folder, links resolved
    address: str  # for people

    async def find(self, path: PurePosixPath) -> PurePosixPath | None:
        """Returns a folder below the consumer's, links resolved; None when it is not there.

        Raises:
            ConsumerRefused: a link leads out of the consumer's folder.
        """
        place = self.base
        for part in path.parts:
            if not await self.exists(place / part):
                return None
            place = await self._inside(place / part)
        return place

    async def ensure(self, path: PurePosixPath) -> PurePosixPath:
        """Returns a folder as `find` does, made when it is not there."""
        place = self.base
        for part in path.parts:
            if not await self.exists(place / part):
                await self.make(place / part)
            place = await self._inside(place / part)
        return place

    async def _inside(self, path: PurePosixPath) -> PurePosixPath:
        real = await _real(self.client, path)
        if not real.is_relative_to(self.base):
            raise ConsumerRefused(
                "The agreement's `path` leads out of the consumer's folder.", where=self.address, fix="Remove the link."
            )
        return real

    async def exists(self, path: PurePosixPath) -> bool:
        """Tells whether anything is there, even a link to nothing."""
        try:
            await _within(self.client.lstat(path))
        except _ABSENT:
            return False
        return True

    async def make(self, folder: PurePosixPath) -> None:
        """Makes a folder, unless another process has just made it."""
        try:
            await _within(self.client.mkdir(folder))
        except asyncssh.SFTPError:
            if not await _within(self.client.isdir(folder)):
                raise

    async def sizes(self, folder: PurePosixPath) -> dict[str, int]:
        """Returns what a folder holds: names, with sizes in bytes."""
        found = await _within(self.client.readdir(str(folder)))
        return {str(e.filename): e.attrs.size or 0 for e in found if e.filename not in (".", "..")}

    async def read(self, path: PurePosixPath) -> tuple[bytes, int] | None:
        """Returns a small file's bytes and the second it was changed; None when it is not there."""
        async with asyncio.timeout(_OPERATION):
            try:
                async with self.client.open(path, "rb") as file:
                    attributes = await file.stat()
                    size = _SMALL if attributes.size is None else min(attributes.size, _SMALL)
                    return cast("bytes", await file.read(size)), int(attributes.mtime or 0)
            except _ABSENT:
                return None

    async def upload(self, source: Path, path: PurePosixPath) -> None:
        """Copies a file, some blocks ahead of the answers, each of which is awaited; memory stays bounded."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_OPERATION) as limit:

            def go_on(*_: object) -> None:
                limit.reschedule(loop.time() + _OPERATION)

            await self.client.put(source, path, sparse=False, progress_handler=go_on)
        await self._sync(path)

    async def create(self, path: PurePosixPath, data: bytes) -> None:
        """Writes a small file where there is none."""
        async with asyncio.timeout(_OPERATION), self.client.open(path, "xb") as file:
            await file.write(data)
        await self._sync(path)

    async def rename(self, folder: PurePosixPath, new: PurePosixPath) -> None:
        """Gives a folder another name, which nothing else may have."""
        await _within(self.client.rename(folder, new))

    async def clear(self, folder: PurePosixPath) -> None:
        """Removes a folder of ours as far as that goes; what is left does no harm."""
        with suppress(asyncssh.Error, OSError):
            async with asyncio.timeout(_FAREWELL):
                await self.client.rmtree(folder, ignore_errors=True)

    async def _sync(self, path: PurePosixPath) -> None:
        async with asyncio.timeout(_OPERATION):
            with suppress(asyncssh.SFTPOpUnsupported):  # an extension; a server without it writes when it likes
                async with self.client.open(path, "rb+") as file:
                    await file.fsync()


def run(connection: Connection, work: Callable[[Session], Awaitable[_T]]) -> _T:
    """Does work in a session with the consumer's server.

    Raises:
        ConsumerUnavailable: the server, or the way to it, failed or took too long; its disk is full; no such folder.
        ConsumerRefused: the connection is not whole, or the server shows another host key or says no.
    """
    with _translated(connection):
        return asyncio.run(_work(connection, work))


async def _work(connection: Connection, work: Callable[[Session], Awaitable[_T]]) -> _T:
    # What a server says about itself would go into the task's log.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    options, folder = _options(connection), _folder(connection)
    async with asyncio.timeout(_CONNECT):
        server = await asyncssh.connect(connection.host, connection.port or 22, options=options)
    try:
        async with asyncio.timeout(_CONNECT):
            client = await server.start_sftp_client(path_errors="surrogateescape")
            if not await client.isdir(folder):
                # Never made by us: an absent folder is a mount that is not there.
                raise ConsumerUnavailable(
                    "The consumer's folder is not there.",
                    where=f"connection {connection.id}",
                    fix="Have it made or mounted, or mend the connection.",
                )
            base = await _real(client, PurePosixPath(folder))
        address = f"sftp://{connection.host}:{connection.port or 22}"
        return await work(Session(client=client, base=base, address=address))
    finally:
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await server.wait_closed()
        server.abort()


async def _within(operation: Awaitable[_T]) -> _T:
    async with asyncio.timeout(_OPERATION):
        return await operation


async def _real(client: asyncssh.SFTPClient, path: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(str(await _within(client.realpath(str(path)))))


def _folder(connection: Connection) -> str:
    path = str(connection.extra.get("path") or "")
    if not path or "\0" in path:
        raise _incomplete(connection, "names no folder", "Put the consumer's folder into its extra as `path`.")
    return path


def _options(connection: Connection) -> asyncssh.SSHClientConnectionOptions:
    if not connection.host or not connection.login:
        raise _incomplete(connection, "has no host or no login", "State both.")
    host_keys, key = _host_keys(connection), _private_key(connection)
    if not key and not connection.password:
        raise _incomplete(connection, "has neither password nor key", "Set a password, or `key_file` in its extra.")
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        known_hosts=(host_keys, [], []),
        username=connection.login,
        password=connection.password or None,
        client_keys=[key] if key else None,
        agent_path=None,
        gss_host=None,
        connect_timeout=_CONNECT,
        login_timeout=_CONNECT,
        keepalive_interval=15,
    )


def _host_keys(connection: Connection) -> list[asyncssh.SSHKey]:
    lines = [line for line in str(connection.extra.get("host_key") or "").splitlines() if line.strip()]
    try:
        keys = [asyncssh.import_public_key(line) for line in lines]
    except asyncssh.KeyImportError:
        keys = []
    if not keys:
        raise _incomplete(
            connection,
            "has no proper `host_key`, so we can't tell the consumer's server from another",
            "Ask the server's operator for its public host key, and put it into the extra as `host_key`: "
            "ssh-ed25519 AAAA...",
        )
    return keys


def _private_key(connection: Connection) -> asyncssh.SSHKey | None:
    text, file = connection.extra.get("private_key"), connection.extra.get("key_file")
    passphrase = str(connection.extra.get("private_key_passphrase") or "") or None
    try:
        if text:
            return asyncssh.import_private_key(str(text), passphrase)
        return asyncssh.read_private_key(str(file), passphrase) if file else None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError) as error:
        kind = type(error).__name__
    raise _incomplete(connection, f"has a private key that can't be read ({kind})", "Check key and passphrase.")


def _incomplete(connection: Connection, what: str, fix: str) -> ConsumerRefused:
    return ConsumerRefused(f"The connection {what}.", where=f"connection {connection.id}", fix=fix)


@contextmanager
def _translated(connection: Connection) -> Iterator[None]:
    """Names the kind of failure only: what a server says is not ours to repeat."""
    where = f"connection {connection.id}"
    try:
        yield
    except (asyncssh.Error, OSError) as error:
        kind = type(error).__name__
        what, fix = _LASTING.get(type(error), ("", ""))
    else:
        return
    if what:
        raise ConsumerRefused(what, where=where, fix=fix)
    raise ConsumerUnavailable(
        f"The SFTP server failed ({kind}).", where=where, fix="Try again later; if it stays, look at its disk and log."
    )
