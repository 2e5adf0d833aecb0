"""Who received my data: the answer that a person may have, the one that an auditor may have, and the record of both.

An agreement can withhold, by law and until a day, that its deliveries happened (`withheld`, of investigations). Then
nobody is told before that day who does not ask for what is withheld as well; the ordinary answer is the same whether
something is withheld or not. Taking it out of the agreement tells at once.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.identity import instant, keyed_hashes
from crossdock.ledger.retired import retired
from crossdock.ledger.seals import under_every_version
from crossdock.ledger.subjects import Received, who
from crossdock.storage.lookups import Lookup, lookups, record_lookup

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # of GB 11643


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was delivered about a subject, and who asked about them before.

    `known_since` is the first day (YYYY-MM-DD) of which the ledger still knows; "" when it knows of all.
    """

    received: Sequence[Received]
    lookups: Sequence[Lookup]
    known_since: str

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return {
            "received": [each.to_dict() for each in self.received],
            "lookups": [each.to_dict() for each in self.lookups],
            "known_since": self.known_since,
        }


def look_up(exchange: Exchange, subject: str, *, by: str, reason: str = "", withheld: bool = False) -> Answer:
    """Returns what was delivered about a person or an enterprise, and puts on record that somebody asked.

    Args:
        exchange: where.
        subject: an identifier, however it is spelled; one of 15 digits finds the person under that of 18 as well.
        by: who asks.
        reason: why.
        withheld: tells what the person is not told as well; then a reason is needed.

    Raises:
        WrongUse: there is no identifier, or no reason where one is needed; else as `ledger.subjects.who`.
    """
    if withheld and not reason.strip():
        raise WrongUse("What is withheld is told for a reason only.", fix="Say which: --reason.")
    plain = unicodedata.normalize("NFKC", subject).strip().upper()
    longer = _of_18_digits(plain)
    today = instant(exchange.clock())[:10]
    found = [
        received
        for spelled in ([subject] if longer == plain else [subject, longer])
        for received in who(exchange.state, exchange.store, exchange.keys, spelled)
        if withheld or not is_withheld(exchange, received.agreement, received.withheld_until, today)
    ]
    found.sort(key=lambda each: (each.delivered_at, each.delivery))
    names = _hashes(exchange, longer)
    before = [each for each in lookups(exchange.state, names) if withheld or not each.withheld]
    asked = Lookup(
        id=secrets.token_hex(16),
        subject=names[-1],
        asked_by=by,
        asked_at=instant(exchange.clock()),
        reason=reason,
        withheld=withheld,
        found=len(found),
    )
    record_lookup(exchange.state, asked)  # before anybody is told
    return Answer(received=found, lookups=before, known_since=retired(exchange.store).before)


def is_withheld(exchange: Exchange, agreement_id: str, until: str, today: str) -> bool:
    """Returns whether nobody is told of a delivery on a day: the agreement says so, or its entry where there is none."""
    agreement = exchange.catalogue.agreements.get(agreement_id)
    if agreement is not None:
        until = agreement.withheld_until.isoformat() if agreement.withheld_until else ""
    return bool(until) and today < until


def _of_18_digits(identifier: str) -> str:
    """Returns a resident ID of 15 digits as the one of 18 that took its place; anything else as it is."""
    if not (len(identifier) == 15 and identifier.isascii() and identifier.isdecimal()):
        return identifier
    longer = f"{identifier[:6]}19{identifier[6:]}"
    rest = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, longer, strict=True)) % 11
    return longer + "10X98765432"[rest]


def _hashes(exchange: Exchange, identifier: str) -> list[str]:
    """Returns the hashes by which lookups may name a subject, that of the ledger key's newest version last."""
    rows = pa.table({"subject": [identifier]})
    first = keyed_hashes(rows, ["subject"], key=exchange.keys.ledger, domain="lookup")
    return [each.hex() for each in under_every_version(first, exchange.keys).to_pylist()]
