"""Digests in entries are blinded: they add up for everybody, and only who has the ledger key can try rows on them.

A digest is a sum of hashes that anybody can work out of whole rows, and proofs are handed out to consumers who got some
columns of them. So each part has a pad added, lane by lane; that of the whole is the sum of the parts' pads. Row counts
stay as they are, and an empty part has a pad like any other. A pad is used for one digest only: a delivery's id names
all that its digests depend on, and what its first attempt made of them is kept (`entry.json`) and booked.
"""

from __future__ import annotations

from collections.abc import Mapping

from crossdock.identity import RowsDigest
from crossdock.keys import Keys

_WHOLE, _PARTS = "accepted", ("delivered", "unchanged", "filtered")


def blind(digests: Mapping[str, str], delivery: str, keys: Keys) -> dict[str, str]:
    """Returns a delivery's four digests (`str(RowsDigest)` by name) as its entry tells them; again, the same ones."""
    return {name: str(RowsDigest.parse(digests[name]) + pad) for name, pad in _pads(delivery, keys).items()}


def _pads(delivery: str, keys: Keys) -> dict[str, RowsDigest]:
    """Returns pads by name, as digests of no rows."""
    pads = {name: RowsDigest.parse(f"0:{keys.pad(delivery, name).hex()}") for name in _PARTS}
    return {_WHOLE: sum(pads.values(), start=RowsDigest()), **pads}
