"""The ledger's book: one entry per delivery, each rooted in the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import sqlalchemy as sa

from crossdock.errors import LedgerBroken, WrongUse
from crossdock.identity import RowsDigest, canonical
from crossdock.ledger.rollup import roll_up
from crossdock.ledger.tree import leaf_hash
from crossdock.storage.records import Delivery
from crossdock.storage.state import State
from crossdock.storage.store import Ref
from crossdock.storage.tables import ledger_entry

GENESIS = "0" * 64  # previous root of the first entry
COUNTS = ("accepted", "inserted", "updated", "deleted", "unchanged", "filtered")
DIGESTS = ("accepted", "delivered", "unchanged", "filtered")
_APPENDING = 0x63726F73  # PostgreSQL advisory lock: only one transaction appends at a time
_PAGE = 5_000
_SOME = 500  # values that every database takes in one question


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What one entry states about one delivery. Its canonical JSON is what the root covers.

    `counts` are those of COUNTS as delivery prepared them, `digests` (each a `str(RowsDigest)`) those of DIGESTS, blinded:
    a proof shows the body to its consumer (see `blinding`). `delivered_at` is an `identity.instant`.
    """

    delivery: str
    dataset: str
    department: str
    theme: str
    sharing: str  # the sharing class that the contract had
    subject: str  # "person" or "enterprise": whom the records are about; "" for nobody
    consumer: str
    agreement: str
    agreement_version: str
    contract_version: str
    purpose: str
    legal_basis: str
    withheld_until: str  # YYYY-MM-DD: until then the people concerned are not told; "" when they may be
    columns: tuple[str, ...]
    channel: str
    mode: str
    snapshot: str
    counts: Mapping[str, int]
    digests: Mapping[str, str]
    events: Ref
    events_tree: str  # root of the Merkle tree over the events (`EventWriter.tree`)
    manifest_key: str
    manifest_sha256: str
    delivered_at: str
    record: str  # `fingerprint` of the state's row of the delivery, receipt included; "" until it has arrived
    key_version: int = 1  # of the ledger key that the events' hashes are under

    @property
    def day(self) -> str:
        """The UTC day of delivery, YYYY-MM-DD."""
        return self.delivered_at[:10]

    @property
    def shares(self) -> int:
        """How many records the consumer received: each is one share; deletions are none."""
        return self.counts["inserted"] + self.counts["updated"]

    def to_json(self) -> str:
        """Returns the one spelling that is hashed and stored."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        if self.key_version == 1:
            del fields["key_version"]  # what does not say is under the first
        return canonical({**fields, "day": self.day, "events": self.events.to_dict()}).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        fields = json.loads(text)
        del fields["day"]
        fields["columns"] = tuple(fields["columns"])
        fields["events"] = Ref.from_dict(fields["events"])
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as it stands in the book."""

    seq: int
    body: Body
    previous_root: str
    root: str


def fingerprint(delivery: Delivery) -> str:
    """Returns SHA-256 over the canonical JSON of a completed delivery's row: all its columns, by name."""
    row = {name: getattr(delivery, name) for name in delivery.__slots__} | {"status": "delivered"}
    return hashlib.sha256(canonical(row)).hexdigest()


def append(connection: sa.Connection, body: Body) -> Entry:
    """Adds a delivery's entry within the caller's transaction, which is the one that completes the delivery.

    Appenders wait for each other until their transactions end, so `seq` has no gaps and roots form one chain.

    Raises:
        LedgerBroken: the numbers contradict each other, or the delivery is in the book already.
    """
    _check(body)
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_APPENDING)))
    if connection.scalar(sa.select(ledger_entry.c.seq).where(ledger_entry.c.delivery == body.delivery)):
        raise LedgerBroken("This delivery has a ledger entry already.", where=f"delivery {body.delivery}")
    last = connection.execute(
        sa.select(ledger_entry.c.seq, ledger_entry.c.root).order_by(ledger_entry.c.seq.desc()).limit(1)
    ).one_or_none()
    seq, previous = (last.seq + 1, last.root) if last else (1, GENESIS)
    text = body.to_json()
    entry = Entry(seq=seq, body=body, previous_root=previous, root=_root(previous, text))
    connection.execute(
        ledger_entry.insert().values(
            seq=seq, delivery=body.delivery, day=body.day, body=text, previous_root=previous, root=entry.root
        )
    )
    roll_up(connection, body)
    return entry


def _root(previous: str, text: str) -> str:
    """Returns SHA-256 of the previous root (64 hex characters) followed by the body, as hex."""
    return hashlib.sha256(f"{previous}{text}".encode()).hexdigest()


def _check(body: Body) -> None:
    """Refuses an entry that does not add up: accepted = delivered + unchanged + filtered, by count and by digest."""
    counts, digests = body.counts, {name: RowsDigest.parse(text) for name, text in body.digests.items()}
    if set(counts) != set(COUNTS) or set(digests) != set(DIGESTS) or min(counts.values()) < 0:
        raise LedgerBroken(
            f"An entry needs the counts {', '.join(COUNTS)} (none below 0) and the digests {', '.join(DIGESTS)}.",
            where=f"delivery {body.delivery}",
        )
    parts = digests["delivered"] + digests["unchanged"] + digests["filtered"]
    equal = {
        "accepted = delivered + unchanged + filtered": (digests["accepted"], parts),
        "accepted rows": (digests["accepted"].rows, counts["accepted"]),
        "delivered rows = inserted + updated": (digests["delivered"].rows, body.shares),
        "unchanged rows": (digests["unchanged"].rows, counts["unchanged"]),
        "filtered rows": (digests["filtered"].rows, counts["filtered"]),
        "events = inserted + updated + deleted": (body.events.rows, body.shares + counts["deleted"]),
    }
    for law, (left, right) in equal.items():
        if left != right:
            differ = "" if isinstance(left, RowsDigest) else f": {left} is not {right}"  # a row could be tried on that
            raise LedgerBroken(
                f"{law} does not hold{differ}.",
                where=f"delivery {body.delivery}, agreement {body.agreement}",
                fix="Nothing was recorded as delivered. Compare the snapshot's digest with the state's.",
            )


def entry_of(state: State, delivery: str) -> Entry:
    """Returns a delivery's entry.

    Raises:
        WrongUse: the ledger has no such delivery.
        LedgerBroken: the entry cannot be read.
    """
    with state.connect() as connection:
        row = connection.execute(ledger_entry.select().where(ledger_entry.c.delivery == delivery)).one_or_none()
    if row is None:
        raise WrongUse(f"The ledger has no delivery '{delivery}'.", fix="`crossdock deliveries` lists them.")
    return _entry(row)


def entries_by(state: State, column: Literal["seq", "delivery"], values: Iterable[int | str]) -> Iterator[Entry]:
    """Yields the entries that have one of some numbers or deliveries, in no order; raises as `read_entries`."""
    wanted = list(values)
    for start in range(0, len(wanted), _SOME):
        some = ledger_entry.c[column].in_(wanted[start : start + _SOME])
        with state.connect() as connection:
            rows = connection.execute(ledger_entry.select().where(some)).all()
        for row in rows:
            yield _entry(row)


def read_entries(
    state: State, *, since: str | None = None, until: str | None = None, after: int = 0
) -> Iterator[Entry]:
    """Yields entries in order.

    Args:
        state: holds the book.
        since: first day, YYYY-MM-DD, included.
        until: last day, included.
        after: only entries with a higher number.

    Raises:
        LedgerBroken: an entry cannot be read.
    """
    last = after
    while True:
        page = sa.select(ledger_entry).where(ledger_entry.c.seq > last).order_by(ledger_entry.c.seq).limit(_PAGE)
        page = page.where(ledger_entry.c.day >= since) if since else page
        page = page.where(ledger_entry.c.day <= until) if until else page
        with state.connect() as connection:
            rows = connection.execute(page).all()
        for row in rows:
            yield _entry(row)
        if len(rows) < _PAGE:
            return
        last = rows[-1].seq


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(seq=row.seq, body=_parse(row.seq, row.body), previous_root=row.previous_root, root=row.root)


def _parse(seq: int, text: str) -> Body:
    try:
        return Body.parse(text)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise LedgerBroken(
            "The entry's body cannot be read.", where=f"entry {seq}", fix="Run `crossdock ledger verify`."
        ) from error


def leaves(state: State, *, after: int, until: int) -> Iterator[bytes]:
    """Yields the hashes of the entries' bodies, the leaves of the ledger's tree, from entry `after + 1` to `until`.

    Raises:
        LedgerBroken: one is missing.
    """
    while after < until:
        page = sa.select(ledger_entry.c.seq, ledger_entry.c.body)
        page = page.where(ledger_entry.c.seq > after, ledger_entry.c.seq <= until).order_by(ledger_entry.c.seq)
        with state.connect() as connection:
            rows = connection.execute(page.limit(_PAGE)).all()
        if not rows:
            raise LedgerBroken("An entry is missing.", where=f"entry {until}", fix="Run `crossdock ledger verify`.")
        for row in rows:
            after += 1
            if row.seq != after:
                raise LedgerBroken("An entry is missing.", where=f"entry {after}", fix="Run `crossdock ledger verify`.")
            yield leaf_hash(row.body.encode())
