"""Proves the ledger from its own files: chain, event files, manifests, signed heads. Shares no code with `book`.

What it finds: any change of an entry, an event file, a manifest or a head; entries missing in the middle; entries
missing at the end or a rewritten chain, as far as signed heads or the deliveries in the state reach.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crossdock.errors import StateDamaged
from crossdock.ledger.chain import HEADS, Break, Chain, Row, broken
from crossdock.ledger.evidence import RETIRED, Objection, examined, retirement_objections, signed
from crossdock.ledger.examiners import examiners
from crossdock.ledger.filter_evidence import Filters
from crossdock.ledger.segment_evidence import Covered
from crossdock.storage.rows import tuples
from crossdock.storage.state import State
from crossdock.storage.store import Store
from crossdock.storage.tables import delivery, ledger_entry

_PAGE = 500
_AT_ONCE, _AHEAD = 64, 32  # entries that are examined at a time; such parts that may wait


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
    examine = partial(examined, store, filters, public_key.public_bytes_raw())

    with examiners(store, _size(state)) as readers, Covered(store, filters, retired=retired) as covered:
        examining = _Examining(readers, examine)
        try:
            for page in _pages(state):
                for row in page:
                    body, found = chain.add(row)
                    breaks += found
                    if body is not None:
                        examining.add(row, (body, row.seq <= retired or covered.takes(row.seq, body)))
                breaks += examining.breaks(but=_AHEAD)
            breaks += _unbooked(state)
            breaks += _contradictory(state)
        except StateDamaged as error:
            breaks.append(Break(seq=chain.last + 1, delivery="", what=error.what, where="state"))
        breaks += examining.breaks(but=0)
        breaks += [
            Break(seq=seq, delivery=delivered, what=what, where=where)
            for seq, delivered, what, where in covered.objections()
        ]
    if retired > chain.last:
        what = f"Events up to entry {retired} were deleted by policy, but there is no such entry."
        breaks.append(Break(seq=chain.last + 1, delivery="", what=what, where=RETIRED))
    breaks += chain.against(heads)
    return sorted(breaks, key=lambda found: (found.seq == 0, found.seq))


def _size(state: State) -> int:
    """Returns how many entries there are, about: none where the state can't tell, which is said when they are read."""
    with suppress(StateDamaged), state.connect() as connection:
        return connection.scalar(sa.select(sa.func.max(ledger_entry.c.seq))) or 0
    return 0


_Entry = tuple[Mapping[str, Any], bool]  # a body, and whether its events are not in a file of their own


class _Examining:
    """What entries point at, under examination while the chain is walked on."""

    def __init__(self, readers: Executor, examine: Callable[[Sequence[_Entry]], list[list[Objection]]]) -> None:
        self._readers, self._examine = readers, examine
        self._next: list[tuple[Row, _Entry]] = []
        self._waiting: deque[tuple[list[Row], Future[list[list[Objection]]]]] = deque()

    def add(self, row: Row, entry: _Entry) -> None:
        self._next.append((row, entry))
        if len(self._next) == _AT_ONCE:
            self._submit()

    def _submit(self) -> None:
        entries = [entry for _, entry in self._next]
        self._waiting.append(([row for row, _ in self._next], self._readers.submit(self._examine, entries)))
        self._next = []

    def breaks(self, *, but: int) -> Iterator[Break]:
        """Yields what is wrong, waiting for all but so many parts."""
        if self._next and not but:
            self._submit()
        while len(self._waiting) > but:
            rows, found = self._waiting.popleft()
            for row, objections in zip(rows, found.result(), strict=True):
                yield from (broken(row, what, where) for what, where in objections)


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
