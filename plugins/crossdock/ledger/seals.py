"""Later versions of the ledger key: from the second on, the hashes of a delivery's events are enciphered as well.

A hash is one block of AES, so that sealing keeps its length and is undone by whoever has the version's key. Whoever has
only older keys can't test whom a newer event is about, and we can tell that events under two versions are about one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from crossdock.identity import content_id
from crossdock.keys import Keys
from crossdock.ledger.events import HASH, EventWriter

FIRST = 1  # the version that hashes and does not seal


def seal(hashes: pa.Array, keys: Keys, version: int) -> pa.Array:
    """Returns 16-byte hashes of the first version as a version's events hold them; nulls stay nulls."""
    return hashes if version == FIRST else _turned(hashes, _cipher(keys, version).encryptor())


def unseal(hashes: pa.Array, keys: Keys, version: int) -> pa.Array:
    """Undoes `seal`."""
    return hashes if version == FIRST else _turned(hashes, _cipher(keys, version).decryptor())


def unseal_each(hashes: pa.Array, keys: Keys, versions: npt.NDArray[np.intp]) -> pa.Array:
    """Undoes `seal` for hashes without nulls, each of the version beside it."""
    octets = np.frombuffer(_octets(hashes), np.uint8).reshape(-1, HASH.byte_width).copy()
    for version in np.unique(versions):
        if version != FIRST:
            here = versions == version
            plain = _cipher(keys, int(version)).decryptor().update(octets[here].tobytes())
            octets[here] = np.frombuffer(plain, np.uint8).reshape(-1, HASH.byte_width)
    return pa.FixedSizeBinaryArray.from_buffers(HASH, len(hashes), [None, pa.py_buffer(octets)])


def under_every_version(hashes: pa.Array, keys: Keys) -> pa.Array:
    """Returns how the ledger may know what hashes of the first version stand for, the first version's before others."""
    return pa.concat_arrays([seal(hashes, keys, version) for version in (FIRST, *sorted(keys.ledger_seals))])


@dataclass(frozen=True, slots=True)
class Sealing:
    """Takes share events as an `EventWriter` does, and gives them to one under a version of the ledger key."""

    writer: EventWriter
    version: int
    keys: Keys = field(repr=False)

    def add(self, record: pa.Array, subject: pa.Array | None, operation: pa.Array | str) -> None:
        """Adds events; see `EventWriter.add`."""
        about = None if subject is None else seal(subject, self.keys, self.version)
        self.writer.add(seal(record, self.keys, self.version), about, operation)

    def done(self) -> None:
        """Says that all events were added; see `EventWriter.done`."""
        self.writer.done()

    def again(self, name: str) -> bool:
        """Takes over events that were sealed alike; see `EventWriter.again`."""
        return self.writer.again(self._sealed(name))

    def keep(self, name: str) -> None:
        """Keeps events for those who seal alike; see `EventWriter.keep`."""
        self.writer.keep(self._sealed(name))

    def _sealed(self, name: str) -> str:
        if self.version == FIRST:
            return name
        key = blake2b(key=self.keys.ledger_seals[self.version], digest_size=HASH.byte_width).hexdigest()
        return content_id(name, key)


def _cipher(keys: Keys, version: int) -> Cipher[ECB]:
    # Each hash is one block by itself, and no two that differ are alike: there is nothing to chain.
    return Cipher(AES256(keys.ledger_seals[version]), ECB())  # noqa: S305 - one block each, as said


def _turned(hashes: pa.Array, context: CipherContext) -> pa.Array:
    array = hashes.combine_chunks() if isinstance(hashes, pa.ChunkedArray) else hashes
    turned = pa.py_buffer(context.update(_octets(array)))
    whole = pa.FixedSizeBinaryArray.from_buffers(HASH, len(array), [None, turned])
    return pc.if_else(array.is_valid(), whole, pa.scalar(None, HASH)) if array.null_count else whole


def _octets(hashes: pa.Array) -> bytes:
    width = HASH.byte_width
    start = hashes.offset * width
    data = hashes.buffers()[1]
    return b"" if data is None else bytes(memoryview(data)[start : start + len(hashes) * width])


def versions_of(key_versions: Sequence[int]) -> npt.NDArray[np.intp] | None:
    """Returns versions as an array, or None when all are the first: then there is nothing to undo."""
    found = np.array(key_versions, np.intp)
    return found if (found != FIRST).any() else None
