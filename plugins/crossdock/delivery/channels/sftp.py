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
from crossdock.contracts.model import Agreement
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


def deliver(shipment: Shipment, connection: Connection) -> Receipt:
    """Puts the delivery's folder in place; see `channel.Channel`."""
    return run(connection, partial(_deliver, shipment))


def arrived(agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
    """Looks for the delivery's manifest; see `channel.Channel`."""

    async def look(session: Session) -> Receipt | None:
        place = await session.find(target(agreement))
        return await _receipt(session, place, delivery_id) if place else None

    return run(connection, look)


async def _deliver(shipment: Shipment, session: Session) -> Receipt:
    path = target(shipment.agreement)
    place = await session.ensure(path)
    known = await _known(session, place, shipment)
    if known:
        return known
    await _admit(session, place, shipment)  # before anything is sent
    fresh = await session.ensure(path / _INCOMING) / f"{shipment.delivery_id}-{secrets.token_hex(8)}"
    try:
        await _fill(session, fresh, shipment)
        await _admit(session, place, shipment)
        await session.rename(fresh, place / shipment.delivery_id)
    except asyncssh.SFTPError:
        if not await session.exists(place / shipment.delivery_id):
            raise
        # Another process was first, and cleared our attempt away.
    else:
        reached("delivery.sftp.shown")
    finally:
        await session.clear(fresh)
    known = await _known(session, place, shipment)
    if known is None:
        raise ConsumerRefused(
            "A folder of the delivery's name is there, without a manifest.",
            where=_location(session, place, shipment.delivery_id),
            fix="It is not ours: remove it.",
        )
    await _clear_left_overs(session, place, fresh.parent)
    return known


async def _receipt(session: Session, place: PurePosixPath, delivery_id: str) -> Receipt | None:
    found = await session.read(place / delivery_id / NAME)
    if found is None:
        return None
    data, changed = found
    return Receipt(
        delivery_id=delivery_id,
        location=_location(session, place, delivery_id),
        digest=sha256(data).hexdigest(),
        delivered_at=instant(datetime.fromtimestamp(changed, UTC)),
    )


async def _known(session: Session, place: PurePosixPath, shipment: Shipment) -> Receipt | None:
    return recognised(shipment, await _receipt(session, place, shipment.delivery_id))


async def _admit(session: Session, place: PurePosixPath, shipment: Shipment) -> None:
    """Reads what the consumer holds, and refuses a delivery that does not fit after it."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def manifest(name: str) -> bytes | None:
        async with turns:
            found = await session.read(place / name / NAME)
        return found[0] if found else None

    names = [name for name in await session.sizes(place) if not name.startswith(".")]
    if shipment.delivery_id in names:
        return  # Another process was first: what is there is compared next.
    manifests = await asyncio.gather(*map(manifest, names))
    admit(shipment, read_held(m for m in manifests if m is not None), _location(session, place, ""))


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


async def _clear_left_overs(session: Session, place: PurePosixPath, incoming: PurePosixPath) -> None:
    """Removes attempts at deliveries that are there: they were killed, or came second."""
    with suppress(asyncssh.Error, OSError):  # the delivery has arrived, whatever becomes of them
        arrived_ids = (await session.sizes(place)).keys()
        for name in await session.sizes(incoming):
            delivery_id = name.rpartition("-")[0]
            if delivery_id in arrived_ids:
                # Out of its process's hands first, or that could still show what is half cleared.
                gone = incoming / f"{delivery_id}-{secrets.token_hex(8)}"
                await session.rename(incoming / name, gone)
                await session.clear(gone)


def _location(session: Session, place: PurePosixPath, delivery_id: str) -> str:
    return f"{session.address}{place / delivery_id}"
