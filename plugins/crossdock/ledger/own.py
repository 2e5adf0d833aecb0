"""The event files that are still there of single deliveries, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator, Set

from crossdock.ledger.book import Entry, entries_by
from crossdock.storage.state import State
from crossdock.storage.store import Store

_EVENTS = "ledger/events/"


def own_key(delivery: str, sha256: str) -> str:
    """Returns the key of a delivery's event file."""
    return f"{_EVENTS}{delivery}-{sha256[:16]}.parquet"


def own_files(state: State, store: Store) -> Iterator[tuple[Entry, str]]:
    """Yields the entries whose events are still in a file of their own, and its key; not files of unbooked deliveries."""
    keys = set(store.list(_EVENTS))
    for entry in entries_by(state, "delivery", {_delivery_of(key) for key in keys}):
        if entry.body.events.key in keys:
            yield entry, entry.body.events.key


def unbooked_files(store: Store, deliveries: Set[str]) -> list[str]:
    """Returns the keys of event files of deliveries that were never booked: give no others."""
    return [key for key in store.list(_EVENTS) if _delivery_of(key) in deliveries] if deliveries else []


def _delivery_of(key: str) -> str:
    return key.removeprefix(_EVENTS).rpartition("-")[0]
