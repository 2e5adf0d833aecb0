"""Proofs examined by those who were given one: with the exchange's public key, and nothing else of it."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crossdock.errors import ProofWrong
from crossdock.ledger.paths import is_continued, root_by_inclusion, root_over

_WORDS = ("insert", "update", "delete")
_LEAF, _EVENT = 1_024, 34  # events of a leaf, and bytes of an event: subject, operation, record or not, record


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a proof proves. The statements about the delivery are those that were signed with the ledger."""

    proves: str  # delivery | record | continuation
    day: str  # of the signed head
    entries: int  # in the ledger then
    earlier_day: str = ""
    delivery: str = ""
    delivered_at: str = ""
    dataset: str = ""
    consumer: str = ""
    purpose: str = ""
    legal_basis: str = ""
    columns: tuple[str, ...] = ()
    shares: int = 0
    record: str = ""  # the keyed hash by which the ledger knows the record, or its subject
    operation: str = ""

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form, without what the proof is not about."""
        return {name: value for name, value in asdict(self).items() if value not in ("", (), 0)}


def check_proof(data: bytes, public_key: Ed25519PublicKey) -> Proven:
    """Returns what a proof proves.

    Args:
        data: a proof's file.
        public_key: the exchange's.

    Raises:
        ProofWrong: it proves nothing: changed, of another exchange, or no proof at all.
    """
    try:
        proof = json.loads(data)
        if proof["proves"] == "continuation":
            return _continuation(proof, public_key)
        return _delivery(proof, public_key)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ProofWrong("This is no proof that crossdock wrote.", fix="Ask for it again.") from error


def _continuation(proof: Mapping[str, Any], public_key: Ed25519PublicKey) -> Proven:
    earlier, later = (_head(proof[which], public_key) for which in ("earlier", "later"))
    if not is_continued((earlier.entries, earlier.root), (later.entries, later.root), _path(proof)):
        raise ProofWrong(
            f"The ledger of {later.day} does not continue that of {earlier.day}.",
            fix="One of them was rewritten after it was signed: keep this file, and ask the exchange.",
        )
    return Proven(proves="continuation", day=later.day, entries=later.entries, earlier_day=earlier.day)


def _delivery(proof: Mapping[str, Any], public_key: Ed25519PublicKey) -> Proven:
    head = _head(proof["head"], public_key)
    octets = proof["body"].encode()
    if root_by_inclusion(octets, proof["seq"] - 1, head.entries, _path(proof)) != head.root:
        raise ProofWrong("The delivery's entry is not in the signed ledger.", fix="Ask for the proof again.")
    body = json.loads(octets)
    record, operation = _record(proof["record"], body) if proof["proves"] == "record" else ("", "")
    return Proven(
        proves="record" if record else "delivery",
        day=head.day,
        entries=head.entries,
        delivery=body["delivery"],
        delivered_at=body["delivered_at"],
        dataset=body["dataset"],
        consumer=body["consumer"],
        purpose=body["purpose"],
        legal_basis=body["legal_basis"],
        columns=tuple(body["columns"]),
        shares=body["counts"]["inserted"] + body["counts"]["updated"],
        record=record,
        operation=operation,
    )


def _record(record: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the record's hash and what was done with it, if its events are among those that were booked."""
    events, known = b64decode(record["events"], validate=True), bytes.fromhex(record["hash"])
    leaves = -(-int(body["events"]["rows"]) // _LEAF)
    root = root_by_inclusion(events, record["leaf"], leaves, _path(record))
    if root is None or root.hex() != body["events_tree"]:
        raise ProofWrong("These events are not those of the delivery.", fix="Ask for the proof again.")
    for start in range(0, len(events), _EVENT):
        event = events[start : start + _EVENT]
        if known in (event[:16], event[18:] if event[17] else b""):
            return known.hex(), _WORDS[event[16]]
    raise ProofWrong("The record is not among the events shown.", fix="Ask for the proof again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    day: str
    entries: int
    root: bytes


def _head(head: Mapping[str, Any], public_key: Ed25519PublicKey) -> _Head:
    """Reads a head whose signature holds; the tree's root is made of the subtrees that were signed."""
    stated = {name: value for name, value in head.items() if name != "signature"}
    spelled = json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    try:
        public_key.verify(bytes.fromhex(head["signature"]), spelled)
    except InvalidSignature:
        raise ProofWrong(
            "The signed head is not signed by this key.",
            fix="Check that the key is the exchange's, and the file whole.",
        ) from None
    return _Head(
        day=head["day"], entries=head["last_seq"], root=root_over([bytes.fromhex(peak) for peak in head["tree"]])
    )


def _path(proof: Mapping[str, Any]) -> list[bytes]:
    return [bytes.fromhex(step) for step in proof["path"]]
