"""A published version is taken back: its data go, and what showed it says that it was withdrawn, and why.

The signed notice `open/<dataset>/recalled/<delivery>.json` comes first: from then on it counts, and whoever comes by
finishes it. Then the version is marked, for good: what is in its folder is never shown again, so its data can be deleted
whoever else is at work; the same content gets another version should it return. Copies that people have made stay theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossdock.errors import Transient
from crossdock.faults import reached
from crossdock.identity import canonical
from crossdock.publishing.catalogue import index, order_of, read_json
from crossdock.storage.store import Store

_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is withdrawn, and by what."""

    dataset: str
    delivery: str  # the recall
    version: str  # withdrawn
    reason: str
    snapshot: str
    snapshot_seq: int
    at: str  # instant of the first attempt
    shown: bool  # nothing newer has been released: `latest.json` has nothing to show any more


def notice_key(dataset: str, delivery: str) -> str:
    """Returns where the signed notice of a recall is."""
    return f"open/{dataset}/recalled/{delivery}.json"


def withdraw_version(store: Store, notice: Notice) -> None:
    """Marks a version as withdrawn, takes it off `latest.json` and the index, and deletes its data; repeatable."""
    base = f"open/{notice.dataset}"
    manifest = notice_key(notice.dataset, notice.delivery).removeprefix(f"{base}/")
    tombstone = {
        "dataset": notice.dataset,
        "version": "",
        "withdrawn": notice.version,
        "reason": notice.reason,
        "manifest": manifest,
        "snapshot": notice.snapshot,
        "snapshot_seq": notice.snapshot_seq,
        "released_at": notice.at,
    }
    store.put_new(marker_key(notice.dataset, notice.version), canonical(tombstone))
    reached("withdrawal.marked")
    _take_off(store, f"{base}/latest.json", tombstone, last=notice.shown)
    reached("withdrawal.latest")
    index(store, notice.dataset)
    store.delete(f"{base}/versions/{notice.version}/data.parquet")
    reached("withdrawal.deleted")


def marker_key(dataset: str, version: str) -> str:
    """Returns where it is marked that a version was withdrawn."""
    return f"open/{dataset}/versions/{version}/withdrawn.json"


def withdrawn_at(store: Store, dataset: str, version: str) -> tuple[int, str] | None:
    """Returns the place in the order of releases at which a version was withdrawn, None when it was not."""
    key = marker_key(dataset, version)
    found = store.read_versioned(key)
    return order_of(read_json(found[0], key, "snapshot_seq", "released_at")) if found else None


def _take_off(store: Store, key: str, tombstone: Mapping[str, object], *, last: bool) -> None:
    """Puts the tombstone where the pointer shows what is withdrawn, by a later release of it too, or what came before."""
    for _ in range(_TRIES):
        current = store.read_versioned(key)
        shown = read_json(current[0], key, "version", "snapshot_seq", "released_at") if current else tombstone
        newest = max(order_of(shown), order_of(tombstone))
        if shown["version"] != tombstone["withdrawn"] and not (last and newest == order_of(tombstone)):
            return
        told = {**tombstone, "snapshot_seq": newest[0], "released_at": newest[1]}
        if store.swap(key, canonical(told), expected=current[1] if current else None):
            return
    raise Transient("Other writers keep moving this pointer.", where=key, fix="Try again.")
