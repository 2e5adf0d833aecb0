"""Proves the ledger from its own files: chain, event files, manifests, signed heads. Shares no code with `book`.

What it finds: any change of an entry, an event file, a manifest or a head; entries missing in the middle; entries
missing at the end or a rewritten chain, as far as signed heads or the deliveries in the state reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain as joined
from typing import Any

import pyarrow.fs as pafs
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crossdock.errors import StateDamaged
from crossdock.ledger.chain import HEADS, Break, Chain, Row, broken
from crossdock.ledger.evidence import (
    RETIRED,
    events_objections,
    manifest_objections,
    retirement_objections,
    signed,
)
from crossdock.ledger.filter_evidence import Filters
from crossdock.ledger.segment_evidence import Covered
from crossdock.ordered import cores
from crossdock.storage.rows import tuples
from crossdock.storage.state import State
from crossdock.storage.store import Store
from crossdock.storage.tables import delivery, ledger_entry

_PAGE = 500
_ASKED, _AT_ONCE = 8, 64  # requests to a store that is not at hand, and entries that a thread examines at a time


def verify(state: State, store: Store, public_key: Ed25519PublicKey) -> list[Break]:
    """Recomputes the whole ledger and returns every break, the earliest entry's first; an empty list proves it sound.

    Raises:
        Transient: the state or the store did not answer; that says nothing about the ledger.
    """
    heads, breaks = _heads(store, public_key)
    retired, objections = retirement_objections(store, public_key)
    breaks += [Break(seq=0, delivery="", what=what, where=where) for what, where in objections]
    filters = Filters(store)
    chain = Chain(wanted=frozenset(head["last_seq"] for head in heads))

    with ThreadPoolExecutor(_readers(store)) as readers, Covered(store, filters, retired=retired) as covered:
        try:
            for page in _pages(state):
                sound = []
                for row in page:
                    body, found = chain.add(row)
                    breaks += found
                    if body is not None:
                        sound.append((row, body, row.seq <= retired or covered.takes(row.seq, body)))
                parts = [sound[at : at + _AT_ONCE] for at in range(0, len(sound), _AT_ONCE)]
                breaks += joined.from_iterable(readers.map(partial(_examined, store, filters, public_key), parts))
            breaks += _unbooked(state)
            breaks += _contradictory(state)
        except StateDamaged as error:
            breaks.append(Break(seq=chain.last + 1, delivery="", what=error.what, where="state"))
        breaks += [
            Break(seq=seq, delivery=delivered, what=what, where=where)
            for seq, delivered, what, where in covered.objections()
        ]
    if retired > chain.last:
        what = f"Events up to entry {retired} were deleted by policy, but there is no such entry."
        breaks.append(Break(seq=chain.last + 1, delivery="", what=what, where=RETIRED))
    breaks += chain.against(heads)
    return sorted(breaks, key=lambda found: (found.seq == 0, found.seq))


def _readers(store: Store) -> int:
    """Returns how many threads examine: with files at hand, more than there are cores only wait for each other."""
    filesystem, _ = store.filesystem()
    return cores() if isinstance(filesystem, pafs.LocalFileSystem) else _ASKED


_Sound = tuple[
    Row, Mapping[str, Any], bool
]  # an entry, its body, and whether its events are not in a file of their own


def _examined(store: Store, filters: Filters, public_key: Ed25519PublicKey, entries: Sequence[_Sound]) -> list[Break]:
    """Returns what is wrong with what entries point at."""
    wrong = []
    for row, body, elsewhere in entries:
        found = [] if elsewhere else list(events_objections(store, filters, body))
        found += manifest_objections(store, public_key, body)
        wrong += [broken(row, what, where) for what, where in found]
    return wrong


def _pages(state: State) -> Iterator[list[Row]]:
    """Yields the book in order, in pages. Texts come as bytes: a damaged one may be no text any more."""
    book = ledger_entry.c
    texts = (book.delivery, book.day, book.body, book.previous_root, book.root)
    last: int | None = None
    while True:
        with state.connect() as connection:
            form = sa.LargeBinary if connection.dialect.name == "sqlite" else sa.Text
            columns = [sa.cast(text, form) for text in (*texts, *delivery.c)]
            query = (
                sa.select(book.seq, *columns)
                .select_from(ledger_entry.outerjoin(delivery, book.delivery == delivery.c.id))
                .where(book.seq > last if last is not None else sa.true())
                .order_by(book.seq)
                .limit(_PAGE)
            )
            rows = tuples(connection, query)
        yield [_row(seq, found) for seq, *found in rows]
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]


def _row(seq: int, texts: Sequence[bytes | str | None]) -> Row:
    octets = [None if text is None else text.encode() if isinstance(text, str) else bytes(text) for text in texts]
    book, made = octets[:5], octets[5:]
    delivered, day, body, previous_root, root = (text or b"" for text in book)
    return Row(
        seq=seq,
        delivery=delivered,
        day=day,
        body=body,
        previous_root=previous_root,
        root=root,
        made=dict(zip(delivery.c.keys(), made, strict=True)),
    )


def _unbooked(state: State) -> Iterator[Break]:
    """Yields deliveries that the state calls delivered though no entry books them: no entry, no delivery."""
    with state.connect() as connection:
        form = sa.LargeBinary if connection.dialect.name == "sqlite" else sa.Text
        query = (
            sa.select(sa.cast(delivery.c.id, form))
            .outerjoin(ledger_entry, ledger_entry.c.delivery == delivery.c.id)
            .where(delivery.c.status == "delivered", ledger_entry.c.seq.is_(None))
            .order_by(delivery.c.delivered_at, delivery.c.id)
        )
        for name in connection.scalars(query):
            told = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
            yield Break(
                seq=0, delivery=told, what="It was delivered, but has no entry in the ledger.", where="delivery"
            )


def _contradictory(state: State) -> Iterator[Break]:
    """Yields a break when SQLite's indexes do not say what its tables say: then a question may miss entries."""
    with state.connect() as connection:
        if connection.dialect.name == "sqlite":
            found = connection.execute(sa.text("PRAGMA integrity_check(1)")).scalar()
            if found != "ok":
                what = "The state database is damaged: its tables and indexes do not agree."
                yield Break(seq=0, delivery="", what=what, where="state")


def _heads(store: Store, public_key: Ed25519PublicKey) -> tuple[list[dict[str, Any]], list[Break]]:
    """Reads the signed heads; one whose signature or form is wrong proves nothing and is a break itself."""
    heads, breaks = [], []
    for key in store.list(HEADS):
        head = signed(store.read(key), public_key)
        if head is None or {k: type(v) for k, v in head.items()} != _HEAD or key != f"{HEADS}{head['day']}.json":
            what = "The signed head was changed, or is not signed by this exchange."
            breaks.append(Break(seq=0, delivery="", what=what, where=key))
        else:
            heads.append(head)
    return heads, breaks


_HEAD = {"day": str, "entries": int, "last_seq": int, "root": str, "tree": list}
