"""Delivery to a consumer's SFTP server: `<path>/<delivery id>/` with data files and `manifest.json`.

The folder is filled out of sight (in `<path>/.incoming/`), the manifest last, and appears whole, by one rename: plain
SFTP renaming, which the protocol forbids to replace anything. It never changes again: the newest delivery is the one
whose manifest has the highest snapshot sequence. SFTP knows no lock, so order and base are looked at again right
before the rename.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import PurePosixPath

import asyncssh

from crossdock.connections import Connection
from crossdock.contracts.agreement import Agreement
from crossdock.delivery.channels.channel import OPTIONAL, REQUIRED, Receipt, Shipment, recognised
from crossdock.delivery.held import admit, read_held, relative_path
from crossdock.delivery.manifest import NAME
from crossdock.delivery.sftp import Session, run
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from crossdock.faults import reached
from crossdock.identity import instant

OPTIONS = {"path": REQUIRED, "format": OPTIONAL}
_INCOMING = ".incoming"
_AT_ONCE = 16  # manifests that are read at the same time


def target(agreement: Agreement) -> PurePosixPath:
    """Returns the path below the consumer's folder that the agreement names; see `channel.Channel`."""
    return relative_path(agreement.delivery.options.get("path"), f"agreement {agreement.id}")


def address(connection: Connection) -> str:
    """Returns server, login (which decides what is seen there) and folder; see `channel.Channel`."""
    folder = connection.extra.get("path") or ""
    return f"sftp://{connection.login}@{connection.host}:{connection.port or 22}/{str(folder).lstrip('/')}"


def deliver(shipment: Shipment, connection: Connection) -> Receipt:
    """Puts the delivery's folder in place; see `channel.Channel`."""
    return run(connection, partial(_deliver, shipment))


def arrived(agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
    """Looks for the delivery's manifest; see `channel.Channel`."""

    async def look(session: Session) -> Receipt | None:
        place = await session.find(target(agreement))
        return await _receipt(session, place / delivery_id, place / delivery_id) if place else None

    return run(connection, look)


def clear(agreement: Agreement, delivery_id: str, connection: Connection) -> None:
    """Removes what was filled out of sight; see `channel.clear`."""

    async def remove(session: Session) -> None:
        incoming = await session.find(target(agreement) / _INCOMING)
        if incoming is None:
            return
        for name in await session.sizes(incoming):
            if name.rpartition("-")[0] == delivery_id:
                await session.clear(incoming / name)

    run(connection, remove)


async def _deliver(shipment: Shipment, session: Session) -> Receipt:
    path = target(shipment.agreement)
    place = await session.ensure(path)
    goal = place / shipment.delivery_id
    receipt = recognised(shipment, await _receipt(session, goal, goal))
    if receipt:
        return receipt
    await _admit(session, place, shipment)  # before anything is sent
    fresh = await session.ensure(path / _INCOMING) / f"{shipment.delivery_id}-{secrets.token_hex(8)}"
    try:
        await _fill(session, fresh, shipment)
        await _admit(session, place, shipment)
        receipt = await _receipt(session, fresh, goal)  # a consumer may take the folder away the moment it appears
        await session.rename(fresh, goal)
        reached("delivery.sftp.shown")
    except asyncssh.SFTPError:
        if not await session.exists(goal):
            raise
        # Another process was first, and cleared our attempt away.
        receipt = recognised(shipment, await _receipt(session, goal, goal))
    finally:
        await session.clear(fresh)
    if receipt is None:
        raise ConsumerRefused(
            "A folder of the delivery's name is there, without a manifest.",
            where=f"{session.address}{goal}",
            fix="It is not ours: remove it.",
        )
    await _clear_left_overs(session, place, fresh.parent, shipment.delivery_id)
    return receipt


async def _receipt(session: Session, folder: PurePosixPath, goal: PurePosixPath) -> Receipt | None:
    """Returns the receipt of the delivery in a folder that is, or is to become, `goal`."""
    found = await session.read(folder / NAME)
    if found is None:
        return None
    data, changed = found
    return Receipt(
        delivery_id=goal.name,
        location=f"{session.address}{goal}",
        digest=sha256(data).hexdigest(),
        delivered_at=instant(datetime.fromtimestamp(changed, UTC)),
    )


async def _admit(session: Session, place: PurePosixPath, shipment: Shipment) -> None:
    """Reads what the consumer holds, and refuses a delivery that does not fit after it."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def manifest(name: str) -> bytes | None:
        async with turns:
            found = await session.read(place / name / NAME)
        return found[0] if found else None

    names = [name for name in await session.sizes(place) if not name.startswith(".")]
    manifests = await asyncio.gather(*map(manifest, names))
    admit(shipment, read_held(m for m in manifests if m is not None), f"{session.address}{place}")


async def _fill(session: Session, fresh: PurePosixPath, shipment: Shipment) -> None:
    await session.make(fresh)
    for file in shipment.prepared.files:
        await session.upload(file.path, fresh / file.name)
        reached("delivery.sftp.uploaded")
    await session.create(fresh / NAME, shipment.manifest)
    reached("delivery.sftp.filled")
    expected = {file.name: file.bytes for file in shipment.prepared.files} | {NAME: len(shipment.manifest)}
    if await session.sizes(fresh) != expected:
        raise ConsumerUnavailable(
            "What the server holds is not what we sent.", where=f"{session.address}{fresh}", fix="Try again."
        )


async def _clear_left_overs(session: Session, place: PurePosixPath, incoming: PurePosixPath, delivered: str) -> None:
    """Removes attempts at deliveries that are there: they were killed, or came second."""
    with suppress(asyncssh.Error, OSError):  # the delivery has arrived, whatever becomes of them
        there = {delivered, *await session.sizes(place)}
        for name in await session.sizes(incoming):
            if name.rpartition("-")[0] in there:
                # Out of its process's hands first, or that could still show what is half cleared.
                gone = incoming / f"{name.rpartition('-')[0]}-{secrets.token_hex(8)}"
                await session.rename(incoming / name, gone)
                await session.clear(gone)
