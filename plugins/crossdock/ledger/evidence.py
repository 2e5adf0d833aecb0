"""What an entry points at, examined: its event file and its signed manifest. Shares no code with what wrote them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crossdock.errors import ObjectMissing, Transient, WrongUse
from crossdock.storage.store import Store

_PIECE = 1 << 20
_WORDS = ("insert", "update", "delete")
_LEAF, _BATCH = 1_024, 131_072  # events that are one leaf of their tree; events that are read at a time
_EVENT = np.dtype([("record", "V16"), ("operation", "u1"), ("about", "u1"), ("subject", "V16")])
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

Objection = tuple[str, str]  # what is wrong, and the key of the object in which it is


def examine(store: Store, public_key: Ed25519PublicKey, body: Mapping[str, Any]) -> list[Objection]:
    """Returns all that is wrong with the event file and the manifest of one entry's body.

    Raises:
        Transient: the store did not answer; that says nothing about the ledger.
    """
    return [*events_objections(store, body), *manifest_objections(store, public_key, body)]


def events_objections(store: Store, body: Mapping[str, Any]) -> Iterator[Objection]:
    """Yields what is wrong with an entry's event file: missing, other bytes, other rows, other operations."""
    events, counts = body["events"], body["counts"]
    key = events["key"]
    filesystem, root = store.filesystem()
    found = _sha256(filesystem, f"{root}/{key}", key)
    if found is None:
        yield "The event file is missing.", key
        return
    if found != events["sha256"]:
        yield "The event file's bytes are not those that were booked (SHA-256 differs).", key
        return
    try:
        tally, tree = _recount(filesystem, f"{root}/{key}")
    except (pa.ArrowInvalid, KeyError, IndexError):
        yield "The event file was booked, but cannot be read as share events.", key
        return
    except OSError as error:
        raise _silent(key) from error
    expected = {"insert": counts["inserted"], "update": counts["updated"], "delete": counts["deleted"]}
    if tally != {word: rows for word, rows in expected.items() if rows}:
        yield f"The event file holds {_told(tally)}; the entry says {_told(expected)}.", key
    if sum(tally.values()) != events["rows"]:
        yield f"The event file holds {sum(tally.values())} events; the entry says {events['rows']}.", key
    if tree != body["events_tree"]:
        yield "The Merkle tree over the events is not the one that was booked.", key


def _recount(filesystem: Any, path: str) -> tuple[Counter[str], str]:
    """Counts an event file's operations, and returns the root of the Merkle tree over its events, as hex."""
    tally: Counter[str] = Counter()
    level: list[bytes] = []
    with pq.ParquetFile(path, filesystem=filesystem) as file:
        for batch in file.iter_batches(batch_size=_BATCH):
            operation = batch["operation"].dictionary_decode()
            tally.update({pair["values"]: pair["counts"] for pair in operation.value_counts().to_pylist()})
            events = np.zeros(len(batch), _EVENT)
            events["record"] = _sixteens(batch["record"])
            events["operation"] = pc.index_in(operation, pa.array(_WORDS))
            events["about"] = batch["subject"].is_valid()
            events["subject"] = _sixteens(batch["subject"].fill_null(bytes(16)))
            octets = events.tobytes()
            step = _LEAF * _EVENT.itemsize
            level += [_hash(b"\x00", octets[at : at + step]) for at in range(0, len(octets), step)]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        odd = level[len(level) // 2 * 2 :]
        level = [*(_hash(b"\x01", left, right) for left, right in pairs), *odd]
    return tally, (level[0] if level else _hash()).hex()


def _sixteens(hashes: pa.Array) -> np.ndarray:
    octets = hashes.buffers()[1]
    return np.frombuffer(octets, "V16", count=hashes.offset + len(hashes))[hashes.offset :]


def _hash(*octets: bytes) -> bytes:
    return hashlib.sha256(b"".join(octets)).digest()


def _told(tally: Mapping[str, int]) -> str:
    return ", ".join(f"{tally.get(word, 0)} {word}" for word in _WORDS)


def _sha256(filesystem: Any, path: str, key: str) -> str | None:
    """Returns a stored file's SHA-256, read in pieces, or None when there is no such file."""
    digest = hashlib.sha256()
    try:
        with filesystem.open_input_stream(path) as stream:
            while piece := stream.read(_PIECE):
                digest.update(piece)
    except (FileNotFoundError, pa.ArrowInvalid):  # a damaged entry may name what is no path at all
        return None
    except OSError as error:
        raise _silent(key) from error
    return digest.hexdigest()


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
