"""The chain of entries, walked and held against signed heads. Shares no code with `book`, which wrote it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

HEADS = "ledger/heads/"
_START = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One place where the ledger does not agree with itself."""

    seq: int  # of the (first) entry concerned; 0 when there is none
    delivery: str  # "" when the break is not about one delivery
    what: str
    where: str  # a column of the book, or the key of an object in the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An entry as the database holds it, undecoded, with what the state says about its delivery."""

    seq: int
    delivery: bytes
    day: bytes
    body: bytes
    previous_root: bytes
    root: bytes
    made: Mapping[str, bytes | None]  # the state's row of the delivery, by column


def broken(row: Row, what: str, where: str) -> Break:
    """Returns what is wrong with an entry."""
    return Break(seq=row.seq, delivery=row.delivery.decode(errors="replace"), what=what, where=where)


@dataclass(slots=True)
class Chain:
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

    def add(self, row: Row) -> tuple[Mapping[str, Any] | None, list[Break]]:
        """Walks one entry on; returns its body unless that is unreadable, and what is wrong with the entry itself."""
        breaks = []
        if row.seq != self.last + 1:
            gap = f"Entries {self.last + 1} to {row.seq - 1} are missing."
            breaks.append(Break(seq=min(self.last + 1, row.seq), delivery="", what=gap, where="ledger_entry.seq"))
        elif row.previous_root != self.root:
            breaks.append(broken(row, "It does not follow the entry before it.", "ledger_entry.previous_root"))
        if hashlib.sha256(row.previous_root + row.body).hexdigest().encode() != row.root:
            breaks.append(broken(row, "The entry was changed: its root is not that of its body.", "ledger_entry.root"))
            self.bodies_fit = False
        body, objections = _body(row)
        breaks += [broken(row, what, where) for what, where in objections]
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
            seq, where = head["last_seq"], f"{HEADS}{head['day']}.json"
            if what := self._objection(head, proven):
                yield Break(seq=min(seq, self.last + 1), delivery="", what=what, where=where)
            else:
                proven = seq
        signed_days = {head["day"] for head in heads}
        signed_to = max((head["last_seq"] for head in heads), default=0)
        for day, last in self.last_of_day.items():
            if day not in signed_days and last <= signed_to:
                what = "The day's signed head is missing or unreadable."
                yield Break(seq=last, delivery="", what=what, where=f"{HEADS}{day}.json")

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


def _body(row: Row) -> tuple[Mapping[str, Any] | None, list[tuple[str, str]]]:
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
