"""Takes the pads off an entry's digests, as whoever has the ledger key can."""

from __future__ import annotations

from collections.abc import Mapping

from crossdock.identity import RowsDigest
from crossdock.keys import Keys
from crossdock.ledger.blinding import blind


def unblind(digests: Mapping[str, str], delivery: str, keys: Keys) -> dict[str, str]:
    """Undoes `blind`: nothing blinded is the pads."""
    pads = blind(dict.fromkeys(digests, str(RowsDigest())), delivery, keys)
    return {name: str(RowsDigest.parse(text) - RowsDigest.parse(pads[name])) for name, text in digests.items()}
