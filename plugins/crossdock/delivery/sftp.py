"""A session with a consumer's SFTP server, in which no operation may last for ever; `delivery.ssh` logs in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar, cast

import asyncssh
from asyncssh.saslprep import SASLPrepError

from crossdock.connections import Connection
from crossdock.coroutines import run as run_coroutine
from crossdock.delivery.ssh import folder_of, options_of
from crossdock.errors import ConsumerRefused, ConsumerUnavailable

_T = TypeVar("_T")
_CONNECT = 30.0  # seconds until a server must have let us in
_OPERATION = 120.0  # seconds until it must have answered one request, or taken one more block of a file
_FAREWELL = 5.0  # seconds for what is only tidy
_BLOCK = 256 * 1024  # bytes in one request, where the server takes as many
_AHEAD = 8 * 1024 * 1024  # bytes that may be under way without an answer
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
        "The SFTP server has no host key and no cipher of a kind that we trust.",
        "Ask its operator to offer an Ed25519 host key and today's ciphers.",
    ),
    asyncssh.PermissionDenied: ("The SFTP server does not let us in.", _LOGIN),
    asyncssh.IllegalUserName: ("The SFTP server does not let us in.", _LOGIN),
    SASLPrepError: ("Login or password has a character that SSH does not carry.", _LOGIN),
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

    server: asyncssh.SSHClientConnection
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

    async def exists(self, path: PurePosixPath) -> bool:
        """Tells whether anything is there, even a link to nothing."""
        try:
            async with self._limited():
                await self.client.lstat(path)
        except _ABSENT:
            return False
        return True

    async def make(self, folder: PurePosixPath) -> None:
        """Makes a folder, unless another process has just made it."""
        async with self._limited():
            try:
                await self.client.mkdir(folder)
            except asyncssh.SFTPError:
                if not await self.client.isdir(folder):
                    raise

    async def sizes(self, folder: PurePosixPath) -> dict[str, int]:
        """Returns what a folder holds: names, with sizes in bytes."""
        async with self._limited():
            found = await self.client.readdir(str(folder))
        return {str(e.filename): e.attrs.size or 0 for e in found if e.filename not in (".", "..")}

    async def read(self, path: PurePosixPath) -> tuple[bytes, int] | None:
        """Returns a small file's bytes and the second it was changed; None when it is not there."""
        async with self._limited():
            try:
                async with self.client.open(path, "rb") as file:
                    attributes = await file.stat()
                    size = _SMALL if attributes.size is None else min(attributes.size, _SMALL)
                    return cast("bytes", await file.read(size)), int(attributes.mtime or 0)
            except _ABSENT:
                return None

    async def upload(self, source: Path, path: PurePosixPath) -> None:
        """Copies a file, some blocks ahead of the answers, each of which is awaited; memory stays bounded."""
        block = min(_BLOCK, self.client.limits.max_write_len or _BLOCK)
        async with self._limited() as go_on:
            await self.client.put(
                source,
                path,
                sparse=False,
                block_size=block,
                max_requests=min(_AHEAD // block, 128),
                progress_handler=go_on,
            )
        await self._sync(path)

    async def create(self, path: PurePosixPath, data: bytes) -> None:
        """Writes a small file where there is none."""
        async with self._limited(), self.client.open(path, "xb") as file:
            await file.write(data)
        await self._sync(path)

    async def rename(self, folder: PurePosixPath, new: PurePosixPath) -> None:
        """Gives a folder another name, which nothing else may have."""
        async with self._limited():
            await self.client.rename(folder, new)

    async def clear(self, folder: PurePosixPath) -> None:
        """Removes a folder of ours as far as that goes; what is left does no harm."""
        with suppress(asyncssh.Error, OSError):
            async with self._limited():
                await self.client.rmtree(folder, ignore_errors=True)

    async def _sync(self, path: PurePosixPath) -> None:
        async with self._limited():
            with suppress(asyncssh.SFTPOpUnsupported):  # an extension; a server without it writes when it likes
                async with self.client.open(path, "rb+") as file:
                    await file.fsync()

    async def _inside(self, path: PurePosixPath) -> PurePosixPath:
        async with self._limited():
            real = PurePosixPath(str(await self.client.realpath(str(path))))
        if not real.is_relative_to(self.base):
            raise ConsumerRefused(
                "The agreement's `path` leads out of the consumer's folder.", where=self.address, fix="Remove the link."
            )
        return real

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[Callable[..., None]]:
        """Cuts the line when an operation takes too long; what it yields gives it more time when called.

        To cancel the operation would not do: it would still wait until the server has closed its file.
        """
        loop, late = asyncio.get_running_loop(), asyncio.Event()

        def give_up() -> None:
            late.set()
            self.server.abort()

        timer = loop.call_later(_OPERATION, give_up)

        def go_on(*_: object) -> None:
            nonlocal timer
            timer.cancel()
            timer = loop.call_later(_OPERATION, give_up)

        try:
            yield go_on
        except (asyncssh.Error, OSError):
            if late.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()


def run(connection: Connection, work: Callable[[Session], Awaitable[_T]]) -> _T:
    """Does work in a session with the consumer's server.

    Raises:
        ConsumerUnavailable: the server, or the way to it, failed or took too long; its disk is full; no such folder.
        ConsumerRefused: the connection is not whole, or the server shows another host key or says no.
    """
    with _translated(connection):
        return run_coroutine(_work(connection, work))


async def _work(connection: Connection, work: Callable[[Session], Awaitable[_T]]) -> _T:
    # What a server says about itself would go into the task's log.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    options, folder = options_of(connection, _CONNECT), folder_of(connection)
    async with asyncio.timeout(_CONNECT):
        # Without `config` it would read the settings of the user under whom we run.
        server = await asyncssh.connect(connection.host, connection.port or 22, config=None, options=options)
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
            base = PurePosixPath(str(await client.realpath(folder)))
        address = f"sftp://{connection.host}:{connection.port or 22}"
        return await work(Session(server=server, client=client, base=base, address=address))
    finally:
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await server.wait_closed()
        server.abort()


@contextmanager
def _translated(connection: Connection) -> Iterator[None]:
    """Names the kind of failure only: what a server says is not ours to repeat."""
    where = f"connection {connection.id}"
    try:
        yield
    except (asyncssh.Error, OSError, SASLPrepError) as error:
        kind = type(error).__name__
        what, fix = _LASTING.get(type(error), ("", ""))
    else:
        return
    if what:
        raise ConsumerRefused(what, where=where, fix=fix) from None
    raise ConsumerUnavailable(
        f"The SFTP server failed ({kind}).", where=where, fix="Try again later; if it stays, look at its disk and log."
    ) from None
