"""The manifest of a delivery: what it holds and why it may, signed; the same bytes however often it is made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.durations import later
from crossdock.contracts.model import Contract
from crossdock.delivery.prepared import Prepared
from crossdock.identity import canonical, instant
from crossdock.keys import Keys
from crossdock.storage.recalls import RECALL, Recall

NAME = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consignment:
    """A prepared delivery with its names: all that its manifest tells, and nothing that changes when it is repeated."""

    delivery_id: str
    agreement: Agreement
    contract: Contract
    snapshot: str  # snapshot id
    sequence: int  # the snapshot's place in the order of acceptance
    intended_at: str  # instant of the first attempt, from the state's intent row
    prepared: Prepared
    recall: Recall | None = None  # what it takes back


def manifest(consignment: Consignment, keys: Keys) -> bytes:
    """Returns the signed manifest as canonical JSON; `signature` is over the canonical JSON of everything else.

    It has the instant of the first attempt, not of this one, so a repeated delivery has the same manifest.
    """
    body = _body(consignment, keys)
    return canonical({**body, "signature": keys.sign(canonical(body))})


def verify_manifest(data: bytes, key: Ed25519PublicKey) -> bool:
    """Returns whether a manifest is byte for byte what the holder of the key signed."""
    try:
        body = json.loads(data)
        signature = bytes.fromhex(body.pop("signature"))
        # One spelling only: a duplicate key, or other spacing, would let two readers see two manifests.
        if canonical({**body, "signature": signature.hex()}) != data:
            return False
        key.verify(signature, canonical(body))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, InvalidSignature):
        return False
    return True


def _body(consignment: Consignment, keys: Keys) -> dict[str, object]:
    agreement, contract, prepared = consignment.agreement, consignment.contract, consignment.prepared
    return {
        "kind": "crossdock-delivery",
        "delivery": consignment.delivery_id,
        "intended_at": consignment.intended_at,
        "dataset": {"id": contract.id, "title": {"zh": contract.title.zh, "en": contract.title.en}},
        "contract": {"version": contract.version, "digest": contract.digest},
        "agreement": {"id": agreement.id, "version": agreement.version, "digest": agreement.digest},
        "provider": agreement.provider,
        "consumer": agreement.consumer,
        "purpose": agreement.purpose,
        "legal_basis": agreement.legal_basis,
        "data_life": agreement.data_life,
        "delete_after": _delete_after(consignment),
        "licence": agreement.licence,
        "snapshot": {"id": consignment.snapshot, "sequence": consignment.sequence},
        "mode": RECALL if consignment.recall else agreement.delivery.mode,
        "recalls": {"delivery": consignment.recall.recalled, "reason": consignment.recall.reason}
        if consignment.recall
        else None,
        # True: what the consumer held before goes. False: delete the keys of `deletes`, then put `rows` in by key.
        "replaces": prepared.replaces,
        "base": prepared.base,
        "key": list(prepared.key_columns),
        # Another version than before: the pseudonyms are others, and can't be joined with those of earlier deliveries.
        "pseudonym_key": keys.protection_version if agreement.is_keyed else None,
        "schema": [_column(consignment, name) for name in prepared.schema.names],
        "files": [{"name": f.name, "rows": f.rows, "sha256": f.sha256, "bytes": f.bytes} for f in prepared.files],
        "counts": prepared.counts.to_dict(),
        "held_back": prepared.held_back,  # rows that the consumer rejected before
    }


def _delete_after(consignment: Consignment) -> str | None:
    """Returns the instant at which the agreed life of the data ends; None where there is no limit."""
    life = consignment.agreement.data_life
    try:
        return instant(later(datetime.fromisoformat(consignment.intended_at), life)) if life else None
    except OverflowError:
        return None


def _column(consignment: Consignment, name: str) -> dict[str, object]:
    column = consignment.contract.column(name)
    protection = consignment.agreement.protect.get(name)
    return {
        "name": name,
        "type": str(consignment.prepared.schema.field(name).type),
        "label": column.label,
        "protection": protection.kind if protection else None,
        "legal_basis": consignment.agreement.unprotected.get(name),
    }
