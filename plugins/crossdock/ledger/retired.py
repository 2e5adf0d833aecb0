"""Share events that were deleted by policy: entries and their proofs stay, and a signed statement tells what is gone."""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

from crossdock.errors import LedgerBroken
from crossdock.faults import reached
from crossdock.identity import canonical
from crossdock.keys import Keys
from crossdock.ledger.filters import drop_filters
from crossdock.ledger.own import own_files
from crossdock.ledger.segments import segments
from crossdock.storage.state import State
from crossdock.storage.store import Store
from crossdock.storage.tables import ledger_entry

RETIRED = "ledger/retired.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """Whose events were deleted: those of entries up to `last_seq`, all from before the day `before` (YYYY-MM-DD)."""

    last_seq: int = 0
    before: str = ""


def retired(store: Store) -> Retired:
    """Returns what was deleted by policy.

    Raises:
        LedgerBroken: the statement cannot be read. `verify` checks its signature.
    """
    return _read(store)[0]


def _read(store: Store) -> tuple[Retired, str | None]:
    found = store.read_versioned(RETIRED)
    if found is None:
        return Retired(), None
    try:
        said = json.loads(found[0])
        return Retired(last_seq=int(said["last_seq"]), before=str(said["before"])), found[1]
    except (ValueError, LookupError, TypeError) as error:
        raise LedgerBroken(
            "The statement of what was deleted cannot be read.", where=RETIRED, fix="Run `crossdock ledger verify`."
        ) from error


def retire(state: State, store: Store, keys: Keys, *, before: str) -> int:
    """Deletes the events of entries from before a day, and returns how many files went.

    It says so first, signed. What a segment holds of these entries beside younger ones is read by nobody from then on;
    `compact` cuts it off. Killed in between, the next call deletes the rest. Call it only after `verify` found nothing.

    Args:
        state: holds the book.
        store: holds the events.
        keys: sign the statement.
        before: YYYY-MM-DD; entries of this day and later keep theirs.
    """
    known, version = _read(store)
    last = _last_before(state, before)
    if last > known.last_seq:
        said: dict[str, object] = {"before": before, "last_seq": last}
        if not store.swap(RETIRED, canonical({**said, "signature": keys.sign(canonical(said))}), expected=version):
            return 0  # somebody else is at it
        known = Retired(last_seq=last, before=before)
    if not known.last_seq:
        return 0
    old = [segment.key for segment in segments(store, after=0) if segment.last <= known.last_seq]
    old += [key for entry, key in own_files(state, store) if entry.seq <= known.last_seq]
    for key in old:
        store.delete(key)
        reached("retired.deleted")
    drop_filters(store)
    return len(old)


def _last_before(state: State, day: str) -> int:
    """Returns the entry before the first of that day or later."""
    with state.connect() as connection:
        first = connection.scalar(sa.select(sa.func.min(ledger_entry.c.seq)).where(ledger_entry.c.day >= day))
        last = connection.scalar(sa.select(sa.func.max(ledger_entry.c.seq))) if first is None else first - 1
    return last or 0
