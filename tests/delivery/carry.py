"""Delivers one sample shipment in a process of its own, so that a test can have it killed at a step."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from crossdock.connections import Connection
from crossdock.delivery.channels.channel import deliver
from delivery.samples import agreement, held, person, ready, shipment

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


def main() -> None:
    """Reads the order from stdin."""
    order = json.load(sys.stdin)
    agreed = agreement(*order["columns"], mode=order["mode"], channel=order["channel"], options=order["options"])
    deliver(make(Path(order["folder"]), agreed, order["number"]), Connection(**order["connection"]))


if __name__ == "__main__":
    main()
