"""Who received my data: every delivery that held a person's or an enterprise's records, found by keyed hashes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa

from crossdock.errors import WrongUse
from crossdock.identity import keyed_hashes
from crossdock.keys import Keys
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import Body
from crossdock.ledger.events import Operation
from crossdock.ledger.seals import under_every_version
from crossdock.storage.state import State
from crossdock.storage.store import Store

KINDS = ("person", "enterprise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What one consumer received about the subject in one delivery, by one operation."""

    delivered_at: str
    department: str
    dataset: str
    consumer: str
    purpose: str
    legal_basis: str
    columns: tuple[str, ...]
    operation: str  # insert, update, or delete: the consumer was told to remove it
    records: int
    agreement: str
    delivery: str
    withheld_until: str  # as in the entry

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return asdict(self)


def who(state: State, store: Store, keys: Keys, *subject: str) -> list[Received]:
    """Returns everything that was delivered about a person or an enterprise, in the order of delivery.

    The identifier is compared by keyed hash only; it is in no file of the ledger. Full-width characters, spaces around
    it and the case of its letters do not matter.

    Args:
        state: holds the book.
        store: holds the event files.
        keys: the ledger key, in all its versions, hashed the events.
        subject: a resident ID, a unified social credit code, or another identifier that contracts name as subject; or
            several ways to write it.

    Raises:
        WrongUse: the identifier is empty.
        ObjectMissing: an event file is missing, so that the answer could not be complete.
        LedgerBroken: an entry or an event file cannot be read.
    """
    found = Archive.open(state, store).find(subject_hashes(keys, *subject).to_pylist())
    return [received for entry, tally in found for received in _received(entry.body, tally)]


def subject_hashes(keys: Keys, *subject: str) -> pa.Array:
    """Returns the keyed hashes by which the ledger may know a person or an enterprise, however it is spelled."""
    spellings = pa.table({"subject": sorted(set().union(*map(_spellings, subject)))})
    hashes = [keyed_hashes(spellings, ["subject"], key=keys.ledger, domain=kind) for kind in KINDS]
    return under_every_version(pa.concat_arrays(hashes), keys)


def _spellings(subject: str) -> set[str]:
    """Returns the ways a snapshot may spell the identifier."""
    plain = unicodedata.normalize("NFKC", subject).strip()
    if not plain:
        raise WrongUse("The subject is empty.", fix="Give a resident ID or a unified social credit code.")
    return {subject, plain, plain.upper(), plain.lower()}


def _received(body: Body, tally: Mapping[Operation, int]) -> Iterator[Received]:
    for operation, records in tally.items():
        if records:
            yield Received(
                delivered_at=body.delivered_at,
                department=body.department,
                dataset=body.dataset,
                consumer=body.consumer,
                purpose=body.purpose,
                legal_basis=body.legal_basis,
                columns=body.columns,
                operation=operation,
                records=records,
                agreement=body.agreement,
                delivery=body.delivery,
                withheld_until=body.withheld_until,
            )
