"""What an entry points at, examined: its event file and its signed manifest. Shares no code with what wrote them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crossdock.errors import ObjectMissing, Transient, WrongUse
from crossdock.storage.store import Store

if TYPE_CHECKING:
    from crossdock.ledger.filter_evidence import Bits, Filters

RETIRED = "ledger/retired.json"
_PIECE, _KEPT = 1 << 20, 1 << 28  # bytes of a file that are read at a time; up to which it is kept in memory
WORDS = ("insert", "update", "delete")
_CODES = {word: code for code, word in enumerate(WORDS)}
_LEAF, _BATCH = 1_024, 131_072  # events that are one leaf of their tree; events that are read at a time
EVENT = np.dtype([("subject", "V16"), ("operation", "u1"), ("named", "u1"), ("record", "V16")])
_SAME = (
    "delivery",
    "dataset",
    "consumer",
    "agreement",
    "snapshot",
    "counts",
    "digests",
    "purpose",
    "legal_basis",
    "mode",
)

Spelled = npt.NDArray[np.void]
Objection = tuple[str, str]  # what is wrong, and the key of the object in which it is


def examined(
    store: Store, filters: Filters, public_key: bytes, entries: Sequence[tuple[Mapping[str, Any], bool]]
) -> list[list[Objection]]:
    """Returns what is wrong with what entries point at.

    Args:
        store: holds it.
        filters: that are in it.
        public_key: the exchange's, as 32 bytes.
        entries: their bodies, and whether their events are not in a file of their own.

    Raises:
        Transient: the store did not answer.
    """
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return [
        [*(() if elsewhere else events_objections(store, filters, body)), *manifest_objections(store, key, body)]
        for body, elsewhere in entries
    ]


def events_objections(store: Store, filters: Filters, body: Mapping[str, Any]) -> Iterator[Objection]:
    """Yields what is wrong with an entry's event file: missing, other bytes, other rows, other operations or filter."""
    events = body["events"]
    key = events["key"]
    filesystem, root = store.filesystem()
    found = stored(filesystem, f"{root}/{key}", key)
    if found is None:
        yield "The event file is missing.", key
        return
    if found.sha256 != events["sha256"]:
        yield "The event file's bytes are not those that were booked (SHA-256 differs).", key
        return
    try:
        with found.open() as file:
            tally, tree, wrong = _recount(file, filters.of(key, file.metadata.num_rows))
    except (pa.ArrowInvalid, KeyError, IndexError):
        yield "The event file was booked, but cannot be read as share events.", key
        return
    except OSError as error:
        raise _silent(key) from error
    if tally != (expected := booked(body)):
        yield f"The event file holds {told(tally)}; the entry says {told(expected)}.", key
    if sum(tally.values()) != events["rows"]:
        yield f"The event file holds {sum(tally.values())} events; the entry says {events['rows']}.", key
    if tree != body["events_tree"]:
        yield "The Merkle tree over the events is not the one that was booked.", key
    yield from wrong


def _recount(file: pq.ParquetFile, bits: Bits | None) -> tuple[Counter[str], str, list[Objection]]:
    """Counts an event file's operations, and returns the root of the Merkle tree over its events, as hex, and what is wrong with its filters."""
    tally: Counter[str] = Counter()
    level: list[bytes] = []
    for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
        events = spelled(batch)
        tally.update(tally_of(events))
        level += leaf_hashes(events)
        if bits:
            bits.add(events["subject"])
    return tally, tree_over(level), list(bits.objections([])) if bits else []


def spelled(events: pa.RecordBatch) -> Spelled:
    """Returns events as their leaves have them."""
    found = np.zeros(len(events), EVENT)
    found["subject"] = sixteens(events["subject"])
    found["operation"] = codes_of(events["operation"])
    record = events["record"]
    if record.null_count < len(record):
        found["named"] = record.is_valid()
        found["record"] = sixteens(record.fill_null(bytes(16)))
    return found


def codes_of(operations: pa.DictionaryArray) -> npt.NDArray[np.uint8]:
    """Returns operations by their places in WORDS."""
    codes = np.array([_CODES[word] for word in operations.dictionary.to_pylist()] or [0], np.uint8)
    found: npt.NDArray[np.uint8] = codes[operations.indices.to_numpy(zero_copy_only=False)]
    return found


def tally_of(events: Spelled) -> dict[str, int]:
    """Counts operations."""
    return named(np.bincount(events["operation"], minlength=len(WORDS)))


def named(counts: npt.NDArray[np.integer[Any]]) -> dict[str, int]:
    """Returns counts of operations by their words, those that are not 0."""
    return {word: rows for word, rows in zip(WORDS, counts.tolist(), strict=True) if rows}


def leaf_hashes(events: Spelled) -> list[bytes]:
    """Returns the hashes of the leaves that events make."""
    octets, step = pa.py_buffer(events), _LEAF * EVENT.itemsize
    return [_hash(b"\x00", octets[at : at + step]) for at in range(0, octets.size, step)]


def tree_over(level: list[bytes]) -> str:
    """Returns the root of the Merkle tree over leaves, as hex."""
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        odd = level[len(level) // 2 * 2 :]
        level = [*(_hash(b"\x01", left, right) for left, right in pairs), *odd]
    return (level[0] if level else _hash()).hex()


def sixteens(hashes: pa.Array) -> np.ndarray:
    """Returns hashes as values of 16 bytes."""
    octets = hashes.buffers()[1]
    return np.frombuffer(octets, "V16", count=hashes.offset + len(hashes))[hashes.offset :]


def _hash(*octets: bytes | memoryview) -> bytes:
    return hashlib.sha256(b"".join(octets)).digest()


def told(tally: Mapping[str, int]) -> str:
    """Returns counts in words."""
    return ", ".join(f"{tally.get(word, 0)} {word}" for word in WORDS)


def booked(body: Mapping[str, Any]) -> dict[str, int]:
    """Returns how many events of each operation an entry says that there are."""
    counts = body["counts"]
    expected = {"insert": counts["inserted"], "update": counts["updated"], "delete": counts["deleted"]}
    return {word: int(rows) for word, rows in expected.items() if rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file as it was found in the store: what is examined is what was hashed, and is fetched once."""

    sha256: str
    _content: memoryview | None  # None when it is too large to be kept
    _at: tuple[Any, str]  # file system and path

    def open(self) -> pq.ParquetFile:
        """Opens it as parquet."""
        if self._content is None:
            filesystem, path = self._at
            return pq.ParquetFile(path, filesystem=filesystem)
        return pq.ParquetFile(pa.BufferReader(self._content), pre_buffer=False)


def stored(filesystem: Any, path: str, key: str) -> Stored | None:
    """Reads a file in the store, in pieces; returns None when there is none.

    Raises:
        Transient: the store did not answer.
    """
    digest, at = hashlib.sha256(), 0
    try:
        with filesystem.open_input_file(path) as file:
            keeps = (size := file.size()) <= _KEPT
            octets = np.empty(size if keeps else _PIECE, np.uint8).data
            while read := file.readinto(piece := octets[at : at + _PIECE]):
                digest.update(piece[:read])
                at += read if keeps else 0
    except (FileNotFoundError, pa.ArrowInvalid):  # a damaged entry may name what is no path at all
        return None
    except OSError as error:
        raise _silent(key) from error
    return Stored(sha256=digest.hexdigest(), _content=octets[:at] if keeps else None, _at=(filesystem, path))


def _silent(key: str) -> Transient:
    return Transient("The store did not give an object.", where=key, fix="Verify again when it answers.")


def manifest_objections(store: Store, public_key: Ed25519PublicKey, body: Mapping[str, Any]) -> Iterator[Objection]:
    """Yields what is wrong with an entry's manifest: missing, other bytes, not signed by us, or of something else."""
    key = body["manifest_key"]
    try:
        data = store.read(key)
    except (ObjectMissing, WrongUse):  # a damaged entry may name what is no key at all
        yield "The manifest is missing.", key
        return
    if hashlib.sha256(data).hexdigest() != body["manifest_sha256"]:
        yield "The manifest's bytes are not those that were booked (SHA-256 differs).", key
        return
    manifest = signed(data, public_key)
    if manifest is None:
        yield "The manifest is not signed by this exchange.", key
        return
    for name in _SAME:
        said = manifest.get(name, body.get(name))
        if isinstance(said, dict) and "id" in said:
            said = said["id"]  # the manifest tells more about it than its id
        if said != body.get(name):
            yield f"The manifest and the entry do not agree on '{name}'.", key


def retirement_objections(store: Store, public_key: Ed25519PublicKey) -> tuple[int, list[Objection]]:
    """Returns the last entry whose events were deleted by policy (0: none were), and what is wrong with that statement."""
    found = store.read_versioned(RETIRED)
    if found is None:
        return 0, []
    statement = signed(found[0], public_key)
    if statement is None or {k: type(v) for k, v in statement.items()} != {"before": str, "last_seq": int}:
        return 0, [("The statement of what was deleted was changed, or is not signed by this exchange.", RETIRED)]
    return statement["last_seq"], []


def signed(data: bytes, public_key: Ed25519PublicKey) -> dict[str, Any] | None:
    """Returns a signed JSON document without its signature, or None unless it is exactly what the key's owner wrote.

    The signature is Ed25519, as lower-case hex in `signature`, over the document's canonical JSON (sorted keys, no
    spaces, UTF-8) without it. Another spelling of the same document is refused too: a changed byte is a changed byte.
    """
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or _spelled(document) != data:
            return None
        signature = str(document.pop("signature"))
        raw = bytes.fromhex(signature)
        public_key.verify(raw, _spelled(document))
    except (ValueError, KeyError, RecursionError, InvalidSignature):
        return None
    return document if raw.hex() == signature else None


def _spelled(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
