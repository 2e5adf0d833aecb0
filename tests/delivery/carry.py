"""Delivers one sample shipment in a process of its own, so that a test can have it killed at a step."""

from __future__ import annotations

from pathlib import Path

from crossdock.connections import Connection
from crossdock.delivery.channels.channel import deliver
from delivery.samples import held, person, ready, shipment
from killing import KILLED, code, until

FIRST = [person(n) for n in range(6)]
SECOND = [*FIRST[2:5], person(5, name="changed"), person(9)]


def make(folder: Path, agreed, number: int):
    """Returns the first or the second of two deliveries."""
    if number == 1:
        return shipment(folder / "first", agreed, FIRST, sequence=1)
    previous = None
    if agreed.delivery.mode == "changes":
        prepared, _ = ready(folder / "before", agreed, FIRST)
        previous = held(prepared, "d1")
    return shipment(folder / "second", agreed, SECOND, sequence=2, previous=previous)


def killed_at(step: str, system, *, agreed, folder: Path) -> bool:
    """Delivers the second shipment in a process that is to die at a step; returns whether it did."""
    ended = code(until(step, _deliver, agreed, folder, system.connection))
    assert ended in (KILLED, 0)
    return ended == KILLED


def _deliver(agreed, folder: Path, connection: Connection) -> None:
    deliver(make(folder, agreed, 2), connection)
