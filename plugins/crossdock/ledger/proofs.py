"""Proofs to hand out: that a delivery, or one record of it, is in the signed ledger, and that a later ledger continues an earlier one."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crossdock.errors import WrongUse
from crossdock.identity import keyed_hashes
from crossdock.keys import Keys
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import Body, Entry, entry_of, leaves
from crossdock.ledger.events import LEAF, leaves_of
from crossdock.ledger.heads import HEADS
from crossdock.ledger.seals import under_every_version
from crossdock.ledger.subjects import subject_hashes
from crossdock.ledger.tree import consistency, inclusion, leaf_hash
from crossdock.storage.state import State
from crossdock.storage.store import Store

DELIVERY, RECORD, CONTINUATION = "delivery", "record", "continuation"
Proof = dict[str, Any]


def prove_delivery(state: State, store: Store, delivery: str) -> Proof:
    """Returns the proof, as a JSON document, that a delivery's entry is in the ledger as it was signed that day.

    Raises:
        WrongUse: the ledger has no such delivery, or it was not signed since.
        LedgerBroken: an entry is missing.
    """
    entry = entry_of(state, delivery)
    covering = [head for head in _heads(store) if head["last_seq"] >= entry.seq]
    if not covering:
        raise WrongUse(
            f"Entry {entry.seq} is not signed yet.", where=delivery, fix="Run `crossdock ledger sign` first."
        )
    head = min(covering, key=lambda head: int(head["last_seq"]))
    path = inclusion(list(leaves(state, after=0, until=head["last_seq"])), entry.seq - 1)
    return {"proves": DELIVERY, "head": head, "seq": entry.seq, "body": entry.body.to_json(), "path": _hex(path)}


def prove_record(proof: Proof, archive: Archive, keys: Keys, key: Sequence[str]) -> Proof:
    """Returns a delivery's proof with that of one of its records added: the events beside it, and the way to their root.

    Args:
        proof: what `prove_delivery` returned.
        archive: holds the events.
        keys: the ledger key, in all its versions, hashed the events.
        key: the values of the record's primary key, in the contract's order; or one subject's identifier.

    Raises:
        WrongUse: the delivery has no such record, or its events were deleted by policy.
        ObjectMissing: the event file is missing.
        LedgerBroken: it cannot be read.
    """
    body = Body.parse(proof["body"])
    wanted = _hashes(keys, body.dataset, key)
    found, events, tree = None, 0, []
    for table in archive.events_of(Entry(seq=proof["seq"], body=body, previous_root="", root="")):
        spelled = list(leaves_of(table))
        place = _place(table, wanted) if found is None else None
        if place is not None:
            found = (events + place) // LEAF, spelled[place // LEAF], _known_by(table, place, wanted)
        tree += [leaf_hash(leaf) for leaf in spelled]
        events += table.num_rows
    if found is None:
        raise WrongUse(
            "The delivery has no event of this record.", where=body.delivery, fix="Give all values of its primary key."
        )
    index, leaf, known = found
    record = {"hash": known, "events": b64encode(leaf).decode(), "leaf": index, "path": _hex(inclusion(tree, index))}
    return {**proof, "proves": RECORD, "record": record}


def prove_continuation(state: State, store: Store, earlier: str, later: str) -> Proof:
    """Returns the proof, as a JSON document, that the ledger as signed on one day begins with what was signed on another.

    Args:
        state: holds the book.
        store: holds the signed heads.
        earlier: YYYY-MM-DD.
        later: YYYY-MM-DD.

    Raises:
        WrongUse: a day has no signed head, or they are the wrong way round.
        LedgerBroken: an entry is missing.
    """
    heads = {head["day"]: head for head in _heads(store)}
    for day in (earlier, later):
        if day not in heads:
            raise WrongUse(
                f"No head was signed on '{day}'.", fix=f"Days with one: {', '.join(sorted(heads)) or 'none'}."
            )
    first, second = heads[earlier], heads[later]
    if first["last_seq"] > second["last_seq"]:
        raise WrongUse(f"The ledger of {earlier} is the longer one.", fix="Name the earlier day first.")
    path = consistency(list(leaves(state, after=0, until=second["last_seq"])), first["last_seq"])
    return {"proves": CONTINUATION, "earlier": first, "later": second, "path": _hex(path)}


def _heads(store: Store) -> list[dict[str, Any]]:
    return [json.loads(store.read(key)) for key in store.list(HEADS)]


def _hex(path: Sequence[bytes]) -> list[str]:
    return [step.hex() for step in path]


def _hashes(keys: Keys, dataset: str, key: Sequence[str]) -> pa.Array:
    """Returns what the ledger may know a record by: its key within the dataset, or whom it is about."""
    values = pa.table({str(place): [value] for place, value in enumerate(key)})
    named = keyed_hashes(values, values.column_names, key=keys.ledger, domain=dataset)
    named = under_every_version(named, keys)
    return pa.concat_arrays([named, subject_hashes(keys, key[0])]) if len(key) == 1 else named


def _place(events: pa.Table, wanted: pa.Array) -> int | None:
    """Returns where the first event stands that is about one of the hashes."""
    about = pc.or_(pc.is_in(events["record"], value_set=wanted), pc.is_in(events["subject"], value_set=wanted))
    place = pc.index(about, True).as_py()
    return None if place < 0 else int(place)


def _known_by(events: pa.Table, place: int, wanted: pa.Array) -> str:
    subject: bytes = events["subject"][place].as_py()
    record: bytes = events["record"][place].as_py() or subject
    return (record if record in wanted.to_pylist() else subject).hex()
