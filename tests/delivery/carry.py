"""Delivers one sample shipment in a process of its own, so that a test can have it killed at a step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from crossdock.connections import Connection
from crossdock.delivery.channels.channel import deliver
from delivery.samples import agreement, held, person, ready, shipment

KILLED = 137
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
    order = {
        "columns": agreed.columns, "mode": agreed.delivery.mode, "channel": system.channel, "options": system.options,
        "number": 2, "folder": str(folder), "connection": asdict(system.connection),
    }  # fmt: skip
    tests, root = Path(__file__).parents[1], Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-m", "delivery.carry"],
        input=json.dumps(order).encode(),
        env={**os.environ, "CROSSDOCK_FAULT": step, "PYTHONPATH": f"{root / 'plugins'}:{tests}"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode in (KILLED, 0), ended.stderr
    return ended.returncode == KILLED


def main() -> None:
    """Reads the order from stdin."""
    order = json.load(sys.stdin)
    agreed = agreement(*order["columns"], mode=order["mode"], channel=order["channel"], options=order["options"])
    deliver(make(Path(order["folder"]), agreed, order["number"]), Connection(**order["connection"]))


if __name__ == "__main__":
    main()
