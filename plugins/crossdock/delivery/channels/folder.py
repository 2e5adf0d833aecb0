"""Delivery into a folder of the consumer: `<path>/<delivery id>/` with data files and `manifest.json`.

The folder is filled out of sight (in `<path>/.incoming/`) and appears whole, by one rename. It never changes again:
the newest delivery is the one whose manifest has the highest snapshot sequence.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath

from crossdock.connections import Connection
from crossdock.contracts.agreement import Agreement
from crossdock.delivery.channels.channel import OPTIONAL, REQUIRED, Receipt, Shipment, recognised
from crossdock.delivery.held import admit, read_held, relative_path
from crossdock.delivery.manifest import NAME
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from crossdock.faults import reached
from crossdock.identity import instant

_LASTING = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


OPTIONS = {"path": REQUIRED, "format": OPTIONAL}


def target(agreement: Agreement) -> PurePosixPath:
    """Returns the path below the consumer's folder that the agreement names; see `channel.Channel`."""
    return relative_path(agreement.delivery.options.get("path"), f"agreement {agreement.id}")


def address(connection: Connection) -> str:
    """Returns the consumer's folder, links resolved; see `channel.Channel`."""
    return str(_base(connection).resolve())


def deliver(shipment: Shipment, connection: Connection) -> Receipt:
    """Puts the delivery's folder in place; see `channel.Channel`."""
    with _translated(connection):
        place = _place(shipment.agreement, connection)
        known = _known(place, shipment)
        if known:
            return known
        incoming = place / ".incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        fresh = incoming / f"{shipment.delivery_id}-{secrets.token_hex(8)}"
        try:
            _fill(fresh, shipment)
            with _alone(incoming):
                return _known(place, shipment) or _show(place, fresh, shipment)
        except FileNotFoundError:
            known = _known(place, shipment)  # Another process was first, and cleared our attempt away.
            if known:
                return known
            raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def arrived(agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
    """Looks for the delivery's manifest; see `channel.Channel`."""
    with _translated(connection):
        goal = _place(agreement, connection) / delivery_id
        return _receipt(goal, goal)


def clear(agreement: Agreement, delivery_id: str, connection: Connection) -> None:
    """Removes what was filled out of sight; see `channel.clear`."""
    with _translated(connection):
        _clear(_place(agreement, connection) / ".incoming", delivery_id)


def _clear(incoming: Path, delivery_id: str) -> None:
    for left in incoming.glob(f"{delivery_id}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _place(agreement: Agreement, connection: Connection) -> Path:
    where = f"connection {connection.id}, agreement {agreement.id}"
    base = _base(connection)
    path = target(agreement)
    if not base.is_absolute() or not base.is_dir():
        # Never made by us: an absent folder is a mount that is not there, and what is written below it would be lost.
        raise ConsumerUnavailable(
            "The consumer's folder is not there.", where=where, fix="Mount it, or mend the connection."
        )
    place = base.resolve() / path
    if not place.resolve().is_relative_to(base.resolve()):
        raise ConsumerRefused(
            "The agreement's `path` leads out of the consumer's folder.", where=where, fix="Remove the link."
        )
    return place


def _base(connection: Connection) -> Path:
    return Path(str(connection.extra.get("path") or connection.host or connection.schema))


def _receipt(folder: Path, goal: Path) -> Receipt | None:
    """Returns the receipt of the delivery in a folder that is, or is to become, `goal`."""
    manifest = folder / NAME
    if not manifest.exists():
        return None
    return Receipt(
        delivery_id=goal.name,
        location=str(goal),
        digest=sha256(manifest.read_bytes()).hexdigest(),
        delivered_at=instant(datetime.fromtimestamp(manifest.stat().st_mtime, UTC)),
    )


def _known(place: Path, shipment: Shipment) -> Receipt | None:
    goal = place / shipment.delivery_id
    return recognised(shipment, _receipt(goal, goal))


def _fill(fresh: Path, shipment: Shipment) -> None:
    fresh.mkdir()
    for file in shipment.prepared.files:
        shutil.copyfile(file.path, fresh / file.name)
        _sync(fresh / file.name)
        reached("delivery.folder.copied")
    (fresh / NAME).write_bytes(shipment.manifest)
    _sync(fresh / NAME)
    _sync(fresh)
    reached("delivery.folder.filled")


def _show(place: Path, fresh: Path, shipment: Shipment) -> Receipt:
    """Makes the folder visible, if it fits after what is there."""
    admit(shipment, read_held(m.read_bytes() for m in place.glob(f"*/{NAME}")), str(place))
    goal = place / shipment.delivery_id
    receipt = _receipt(fresh, goal)  # a consumer may take the folder away the moment it appears
    if receipt is None:
        raise ConsumerUnavailable("Another process cleared our attempt away.", where=str(place), fix="Try again.")
    fresh.rename(goal)
    _sync(place)
    reached("delivery.folder.shown")
    _clear(place / ".incoming", shipment.delivery_id)  # attempts that were killed, or come second
    return receipt


@contextmanager
def _alone(incoming: Path) -> Iterator[None]:
    """Lets one delivery at a time look at the folder and add to it."""
    with (incoming / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(connection: Connection) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, type(error).__name__)
        where = f"connection {connection.id}"
        if error.errno in _LASTING:
            raise ConsumerRefused(
                f"The consumer's folder does not let us write ({code}).", where=where, fix="Mend its rights."
            ) from None
        if error.errno in _FULL:
            raise ConsumerUnavailable(
                "The disk of the consumer's folder is full.", where=where, fix="Make room there, then try again."
            ) from None
        raise ConsumerUnavailable(
            f"The consumer's folder failed ({code}).", where=where, fix="Try again later."
        ) from None
