"""Proves the ledger from its own files: chain, event files, manifests, signed heads. Shares no code with `book`.

What it finds: any change of an entry, an event file, a manifest or a head; entries missing in the middle; entries
missing at the end or a rewritten chain, as far as signed heads or the deliveries in the state reach.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from crossdock.errors import StateDamaged
from crossdock.ledger.evidence import (
    RETIRED,
    Objection,
    events_objections,
    manifest_objections,
    retirement_objections,
    signed,
)
from crossdock.ledger.segment_evidence import Covered
from crossdock.storage.state import State
from crossdock.storage.store import Store
from crossdock.storage.tables import delivery, ledger_entry

_START = "0" * 64
_HEADS = "ledger/heads/"
_PAGE = 500
_READERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One place where the ledger does not agree with itself."""

    seq: int  # of the (first) entry concerned; 0 when there is none
    delivery: str  # "" when the break is not about one delivery
    what: str
    where: str  # a column of the book, or the key of an object in the store


def verify(state: State, store: Store, public_key: Ed25519PublicKey) -> list[Break]:
    """Recomputes the whole ledger and returns every break, the earliest entry's first; an empty list proves it sound.

    Raises:
        Transient: the state or the store did not answer; that says nothing about the ledger.
    """
    heads, breaks = _heads(store, public_key)
    retired, objections = retirement_objections(store, public_key)
    breaks += [Break(seq=0, delivery="", what=what, where=where) for what, where in objections]
    chain = _Chain(wanted=frozenset(head["last_seq"] for head in heads))
    covered = Covered(store)

    def evidence(found: tuple[_Row, Mapping[str, Any], bool]) -> list[Objection]:
        _, body, elsewhere = found
        wrong = list(manifest_objections(store, public_key, body))
        return wrong if elsewhere else [*events_objections(store, body), *wrong]

    with ThreadPoolExecutor(_READERS) as readers:
        try:
            for page in _pages(state):
                sound = []
                for row in page:
                    body, found = chain.add(row)
                    breaks += found
                    if body is not None:
                        sound.append((row, body, row.seq <= retired or covered.takes(row.seq, body)))
                for (row, *_), wrong in zip(sound, readers.map(evidence, sound), strict=True):
                    breaks += [_broken(row, what, where) for what, where in wrong]
            breaks += _unbooked(state)
            breaks += _contradictory(state)
        except StateDamaged as error:
            breaks.append(Break(seq=chain.last + 1, delivery="", what=error.what, where="state"))
    breaks += [
        Break(seq=seq, delivery=delivered, what=what, where=where)
        for seq, delivered, what, where in covered.objections(retired=retired)
    ]
    if retired > chain.last:
        what = f"Events up to entry {retired} were deleted by policy, but there is no such entry."
        breaks.append(Break(seq=chain.last + 1, delivery="", what=what, where=RETIRED))
    breaks += chain.against(heads)
    return sorted(breaks, key=lambda found: (found.seq == 0, found.seq))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """An entry as the database holds it, undecoded, with what the state says about its delivery."""

    seq: int
    delivery: bytes
    day: bytes
    body: bytes
    previous_root: bytes
    root: bytes
    made: Mapping[str, bytes | None]  # the state's row of the delivery, by column


def _pages(state: State) -> Iterator[list[_Row]]:
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
            rows = connection.execute(query).all()
        yield [_row(seq, found) for seq, *found in rows]
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]


def _row(seq: int, texts: Sequence[bytes | str | None]) -> _Row:
    octets = [None if text is None else text.encode() if isinstance(text, str) else bytes(text) for text in texts]
    book, made = octets[:5], octets[5:]
    delivered, day, body, previous_root, root = (text or b"" for text in book)
    return _Row(
        seq=seq,
        delivery=delivered,
        day=day,
        body=body,
        previous_root=previous_root,
        root=root,
        made=dict(zip(delivery.c.keys(), made, strict=True)),
    )


def _broken(row: _Row, what: str, where: str) -> Break:
    return Break(seq=row.seq, delivery=row.delivery.decode(errors="replace"), what=what, where=where)


@dataclass(slots=True)
class _Chain:
    """The chain of roots as it is walked, and what the signed heads will be held against."""

    wanted: frozenset[int]  # seqs at which a head was signed
    last: int = 0
    root: bytes = _START.encode()
    bodies_fit: bool = True  # each so far has the root that it should
    per_day: Counter[str] = field(default_factory=Counter)
    last_of_day: dict[str, int] = field(default_factory=dict)
    subtrees: dict[int, bytes] = field(default_factory=dict)  # of the Merkle tree over bodies, by their height
    # Root, entries per day and the tree's subtrees after a seq.
    seen: dict[int, tuple[bytes, Counter[str], list[str]]] = field(default_factory=dict)

    def add(self, row: _Row) -> tuple[Mapping[str, Any] | None, list[Break]]:
        """Walks one entry on; returns its body unless that is unreadable, and what is wrong with the entry itself."""
        breaks = []
        if row.seq != self.last + 1:
            gap = f"Entries {self.last + 1} to {row.seq - 1} are missing."
            breaks.append(Break(seq=min(self.last + 1, row.seq), delivery="", what=gap, where="ledger_entry.seq"))
        elif row.previous_root != self.root:
            breaks.append(_broken(row, "It does not follow the entry before it.", "ledger_entry.previous_root"))
        if hashlib.sha256(row.previous_root + row.body).hexdigest().encode() != row.root:
            breaks.append(_broken(row, "The entry was changed: its root is not that of its body.", "ledger_entry.root"))
            self.bodies_fit = False
        body, objections = _body(row)
        breaks += [_broken(row, what, where) for what, where in objections]
        self.last, self.root = row.seq, row.root
        day = row.day.decode(errors="replace")
        self.per_day[day] += 1
        self.last_of_day[day] = row.seq
        self._plant(row.body)
        if row.seq in self.wanted:
            peaks = [self.subtrees[height].hex() for height in sorted(self.subtrees, reverse=True)]
            self.seen[row.seq] = row.root, self.per_day.copy(), peaks
        return body, breaks

    def _plant(self, body: bytes) -> None:
        """Adds a leaf to the tree as one adds one to a binary number: subtrees of one height are carried upwards."""
        carried, height = hashlib.sha256(b"\x00" + body).digest(), 0
        while height in self.subtrees:
            carried = hashlib.sha256(b"\x01" + self.subtrees.pop(height) + carried).digest()
            height += 1
        self.subtrees[height] = carried

    def against(self, heads: list[dict[str, Any]]) -> Iterator[Break]:
        """Yields what the signed heads prove to be missing or rewritten, and heads that are gone."""
        proven = 0
        for head in sorted(heads, key=lambda head: int(head["last_seq"])):
            seq, where = head["last_seq"], f"{_HEADS}{head['day']}.json"
            if what := self._objection(head, proven):
                yield Break(seq=min(seq, self.last + 1), delivery="", what=what, where=where)
            else:
                proven = seq
        signed_days = {head["day"] for head in heads}
        signed_to = max((head["last_seq"] for head in heads), default=0)
        for day, last in self.last_of_day.items():
            if day not in signed_days and last <= signed_to:
                what = "The day's signed head is missing or unreadable."
                yield Break(seq=last, delivery="", what=what, where=f"{_HEADS}{day}.json")

    def _objection(self, head: Mapping[str, Any], proven: int) -> str:
        """Returns what a signed head has against the book; up to entry `proven` older heads had nothing."""
        seq, day = head["last_seq"], head["day"]
        root, per_day, peaks = self.seen.get(seq, (b"", Counter(), []))
        if seq > self.last:
            return f"Entries {self.last + 1} to {seq} were signed, but are missing."
        if root != str(head["root"]).encode():
            return f"Entries {proven + 1} to {seq} are not what was signed."
        if per_day[day] != head["entries"]:
            return f"{head['entries']} entries of {day} were signed; there are {per_day[day]}."
        # A changed body is named where it stands: that every tree over it differs too needs no saying.
        if self.bodies_fit and peaks != head["tree"]:
            return f"The signed tree is not that over entries 1 to {seq}."
        return ""


def _body(row: _Row) -> tuple[Mapping[str, Any] | None, list[tuple[str, str]]]:
    """Reads a body and holds it against the columns beside it and against the law of rows."""
    try:
        body = json.loads(row.body)
        beside = (body["delivery"].encode(), body["day"].encode(), body["delivered_at"][:10].encode())
        lawful = _adds_up(body)
        manifest, record = body["manifest_sha256"].encode(), body["record"]
        body["events"]["key"].encode() + body["events"]["sha256"].encode() + body["manifest_key"].encode()
        body["events_tree"].encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None, [("The entry's body cannot be read.", "ledger_entry.body")]
    objections = []
    if beside != (row.delivery, row.day, row.day):
        objections.append(
            ("The entry's columns and its body name another delivery or day.", "ledger_entry.delivery, .day")
        )
    if not lawful:
        objections.append(("accepted = delivered + unchanged + filtered does not hold.", "ledger_entry.body"))
    if row.made["status"] != b"delivered" or row.made["manifest_sha256"] != manifest:
        objections.append(("The state knows no such completed delivery.", "delivery"))
    elif record != _record(row.made):
        objections.append(
            ("The state's row of the delivery, or its receipt in it, is not what was booked.", "delivery")
        )
    return body, objections


def _record(made: Mapping[str, bytes | None]) -> str:
    """Recomputes what was booked of the delivery's row: SHA-256 of its canonical JSON; "" when it cannot be read."""
    row: dict[str, Any] = {}
    try:
        for name, octets in made.items():
            text = None if octets is None else octets.decode()
            row[name] = json.loads(text) if text and name in _NO_TEXTS else text
        spelled = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
    return hashlib.sha256(spelled.encode()).hexdigest()


_NO_TEXTS = frozenset({"snapshot_seq", "counts", "digests", "receipt"})


def _adds_up(body: Mapping[str, Any]) -> bool:
    """Checks the law of rows, by count and by digest: "rows:" and two 64-bit lanes in hex, which add up one by one."""
    counts = {name: int(rows) for name, rows in body["counts"].items()}
    lanes = {}
    for name in ("accepted", "delivered", "unchanged", "filtered"):
        rows, lane = body["digests"][name].split(":")
        lanes[name] = (int(rows), int(lane[:16], 16), int(lane[16:], 16))
    parts = list(zip(lanes["delivered"], lanes["unchanged"], lanes["filtered"], strict=True))
    total = (sum(parts[0]), sum(parts[1]) % (1 << 64), sum(parts[2]) % (1 << 64))
    delivered = counts["inserted"] + counts["updated"]
    rows_of = (counts["accepted"], delivered, counts["unchanged"], counts["filtered"])
    return (
        lanes["accepted"] == total
        and rows_of == tuple(lanes[name][0] for name in ("accepted", "delivered", "unchanged", "filtered"))
        and int(body["events"]["rows"]) == delivered + counts["deleted"]
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
    for key in store.list(_HEADS):
        head = signed(store.read(key), public_key)
        if head is None or {k: type(v) for k, v in head.items()} != _HEAD or key != f"{_HEADS}{head['day']}.json":
            what = "The signed head was changed, or is not signed by this exchange."
            breaks.append(Break(seq=0, delivery="", what=what, where=key))
        else:
            heads.append(head)
    return heads, breaks


_HEAD = {"day": str, "entries": int, "last_seq": int, "root": str, "tree": list}
