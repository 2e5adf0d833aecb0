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

from crossdock.contracts.zone import day_at
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.identity import instant, keyed_hashes
from crossdock.ledger.retired import retired
from crossdock.ledger.seals import under_every_version
from crossdock.ledger.subjects import Received, who
from crossdock.storage.lookups import Lookup, lookups, record_lookup

_UNSEEN = ("Zs", "Cc", "Cf", "Pd")  # blanks, controls, what has no width, and hyphens of all kinds
_TELLING = 5  # characters of an identifier; a shorter one is in a text by chance
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
        subject: an identifier, however it is spelled; see `spellings`.
        by: who asks.
        reason: why.
        withheld: tells what the person is not told as well; then a reason is needed.

    Raises:
        WrongUse: there is no identifier, no reason where one is needed, or the identifier is in it; else as
            `ledger.subjects.who`.
    """
    if withheld and not reason.strip():
        raise WrongUse("What is withheld is told for a reason only.", fix="Say which: --reason.")
    spelled = spellings(subject)
    if len(spelled[-1]) >= _TELLING and any(_plain(each) in _plain(reason) for each in spelled):
        raise WrongUse(
            "The reason names whom it is about.", fix="Leave the identifier out: the reason is kept as it is."
        )
    today = day_at(exchange.clock()).isoformat()
    found = [
        received
        for received in who(exchange.state, exchange.store, exchange.keys, *spelled)
        if withheld or not is_withheld(exchange, received.agreement, received.withheld_until, today)
    ]
    found.sort(key=lambda each: (each.delivered_at, each.delivery))
    names = _hashes(exchange, spelled[-1])
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


def spellings(subject: str) -> list[str]:
    """Returns the ways in which records may write an identifier, the one by which lookups are counted last.

    However it was typed: with full-width characters, blanks, hyphens, or what can't be seen. A resident ID of 15 digits
    and the one of 18 that took its place are one person's.

    >>> spellings("1101 0549 1231 002")
    ['1101 0549 1231 002', '110105491231002', '11010519491231002X']

    Raises:
        WrongUse: it is empty.
    """
    plain = _plain(subject)
    if not plain:
        raise WrongUse("The subject is empty.", fix="Give a resident ID or a unified social credit code.")
    whole = _of_18_digits(plain)
    others = dict.fromkeys(each for each in (subject, _of_15_digits(whole), plain) if each not in ("", whole))
    return [*others, whole]


def _plain(text: str) -> str:
    seen = (each for each in unicodedata.normalize("NFKC", text).upper() if unicodedata.category(each) not in _UNSEEN)
    return "".join(seen)


def _of_18_digits(identifier: str) -> str:
    """Returns a resident ID of 15 digits as the one of 18 that took its place; anything else as it is."""
    if not (len(identifier) == 15 and identifier.isascii() and identifier.isdecimal()):
        return identifier
    longer = f"{identifier[:6]}19{identifier[6:]}"
    rest = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, longer, strict=True)) % 11
    return longer + "10X98765432"[rest]


def _of_15_digits(identifier: str) -> str:
    """Returns a resident ID of 18 digits as the one of 15 before it; "" where there was none."""
    shorter = identifier[:6] + identifier[8:17]
    return shorter if len(identifier) == 18 and _of_18_digits(shorter) == identifier else ""


def _hashes(exchange: Exchange, identifier: str) -> list[str]:
    """Returns the hashes by which lookups may name a subject, that of the ledger key's newest version last."""
    rows = pa.table({"subject": [identifier]})
    first = keyed_hashes(rows, ["subject"], key=exchange.keys.ledger, domain="lookup")
    return [each.hex() for each in under_every_version(first, exchange.keys).to_pylist()]
