"""Signed heads: per day, what the book held after its last entry, so that nothing before it can be rewritten unseen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from crossdock.errors import LedgerBroken, Transient
from crossdock.identity import canonical
from crossdock.keys import Keys
from crossdock.ledger.book import leaves
from crossdock.ledger.tree import Tree
from crossdock.storage.state import State
from crossdock.storage.store import Store
from crossdock.storage.tables import ledger_entry

HEADS = "ledger/heads/"
_TRIES = 20


def sign_heads(state: State, store: Store, keys: Keys) -> list[str]:
    """Signs, per day with entries, their number, and root of chain and tree after the last; returns the days (re)signed.

    A head is replaced while its day still grows. Call it after `verify` found nothing: what it signs it does not check
    further than that the chain still holds what older heads say. Days are signed in the order of their last entries, so
    that a day without a head beside a head that saw all of it was signed once, whenever signing was cut off.

    Raises:
        LedgerBroken: the book no longer holds what an older head was signed for.
    """
    query = (
        sa.select(ledger_entry.c.day, sa.func.count(), sa.func.max(ledger_entry.c.seq))
        .group_by(ledger_entry.c.day)
        .order_by(sa.func.max(ledger_entry.c.seq))
    )
    with state.connect() as connection:
        days = [tuple(row) for row in connection.execute(query)]
        roots = _roots(connection, [last for _, _, last in days])
    stand = {day: _older_head(store.read(key), key) for day, *_ in days if store.exists(key := f"{HEADS}{day}.json")}
    for day, older in stand.items():
        _check_older(state, older, f"{HEADS}{day}.json")
    due = [(day, entries, last) for day, entries, last in days if day not in stand or stand[day].last_seq < last]
    tree = _tree_before(stand.values(), due[0][2]) if due else Tree()
    signed = []
    for day, entries, last in due:
        for leaf in leaves(state, after=tree.size, until=last):
            tree.add(leaf)
        peaks = [peak.hex() for peak in tree.peaks]
        head = {"day": day, "entries": entries, "last_seq": last, "root": roots[last], "tree": peaks}
        if _sign_head(state, store, keys, head):
            signed.append(day)
    return signed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What a head in the store says of the book."""

    last_seq: int
    root: str
    peaks: tuple[bytes, ...]


def _tree_before(heads: Iterable[_Head], last: int) -> Tree:
    """Returns the newest tree that was signed before an entry, so that only what came after it needs reading."""
    before = max((h for h in heads if h.last_seq < last), key=lambda head: head.last_seq, default=None)
    return Tree(before.last_seq, before.peaks) if before else Tree()


def _roots(connection: sa.Connection, seqs: list[int]) -> dict[int, str]:
    """Returns the roots of the given entries, asked for in pieces that every database takes."""
    found: dict[int, str] = {}
    for start in range(0, len(seqs), 500):
        some = sa.select(ledger_entry.c.seq, ledger_entry.c.root).where(
            ledger_entry.c.seq.in_(seqs[start : start + 500])
        )
        found |= {row.seq: row.root for row in connection.execute(some)}
    return found


def _sign_head(state: State, store: Store, keys: Keys, head: Mapping[str, object]) -> bool:
    """Writes one day's head unless it stands already; True when it was written."""
    key = f"{HEADS}{head['day']}.json"
    data = canonical({**head, "signature": keys.sign(canonical(head))})
    for _ in range(_TRIES):
        current = store.read_versioned(key)
        if current:
            if current[0] == data:
                return False
            older = _older_head(current[0], key)
            _check_older(state, older, key)
            if older.last_seq > int(str(head["last_seq"])):
                return False  # Someone signed while we did, and saw more entries.
        if store.swap(key, data, expected=current[1] if current else None):
            return True
    raise Transient("Other writers keep replacing this head.", where=key, fix="Try again.")


def _older_head(data: bytes, key: str) -> _Head:
    try:
        head = json.loads(data)
        peaks = tuple(bytes.fromhex(peak) for peak in head["tree"])
        return _Head(last_seq=int(head["last_seq"]), root=str(head["root"]), peaks=peaks)
    except (ValueError, LookupError, TypeError) as error:
        raise LedgerBroken("A signed head cannot be read.", where=key, fix="Run `crossdock ledger verify`.") from error


def _check_older(state: State, head: _Head, key: str) -> None:
    with state.connect() as connection:
        roots = _roots(connection, [head.last_seq])
    if roots.get(head.last_seq) != head.root:
        raise LedgerBroken(
            f"The book no longer holds entry {head.last_seq} as it was signed.",
            where=key,
            fix="Nothing was signed over it. Run `crossdock ledger verify`.",
        )
