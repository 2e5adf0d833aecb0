"""The event files that are still there of single deliveries, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator

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
    deliveries = {key.removeprefix(_EVENTS).rpartition("-")[0] for key in keys}
    for entry in entries_by(state, "delivery", deliveries):
        if entry.body.events.key in keys:
            yield entry, entry.body.events.key
