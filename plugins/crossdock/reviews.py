"""Requests for data and their answers: an agreement of status `requested` is in force once its provider has said yes.

The answer holds for the wording that was reviewed: whoever changes the file asks anew.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from crossdock.contracts.agreement import REQUESTED, Agreement
from crossdock.contracts.clocks import delivery_due, requested_on, review_due
from crossdock.contracts.model import Contract
from crossdock.contracts.zone import wall_clock
from crossdock.delivery.decide import Decision, decide
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.identity import instant
from crossdock.storage.delivered import delivered
from crossdock.storage.reviews import Review, record_review, review_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An agreement that was asked for: until when to answer and to deliver, and the answer, if there is one."""

    agreement: str
    version: str
    purpose: str
    requested_on: str
    due_at: str
    deliver_by: str
    delivered_at: str | None  # the first time under this wording
    overdue: bool  # the answer, or what was approved
    review: Review | None

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return asdict(self)


def decided(exchange: Exchange, agreement: Agreement, contract: Contract) -> Decision:
    """Decides whether a delivery may leave now, by the agreement, its contract, the clock and, if asked for, the review."""
    if agreement.status != REQUESTED:
        return decide(agreement, contract, now=exchange.clock())
    answer = review_of(exchange.state, agreement.digest)
    if answer is None:
        due = wall_clock(_due(agreement, contract))
        return Decision(allowed=False, reason=f"It was requested, and has to be reviewed by {due}, Beijing time.")
    if not answer.approved:
        return Decision(allowed=False, reason=f"The request was rejected: {answer.reason}")
    return decide(replace(agreement, status="approved"), contract, now=exchange.clock())


def requests(exchange: Exchange) -> list[Request]:
    """Returns every request, the one that is due first in front."""
    asked = (a for a in exchange.catalogue.agreements.values() if a.status == REQUESTED)
    found = [_request(exchange, agreement) for agreement in asked]
    return sorted(found, key=lambda each: (each.review is not None, each.due_at, each.agreement))


def request(exchange: Exchange, agreement_id: str) -> Request | None:
    """Returns a request; None when nobody asks for that agreement (any more)."""
    agreement = exchange.catalogue.agreements.get(agreement_id)
    return _request(exchange, agreement) if agreement and agreement.status == REQUESTED else None


def moot(exchange: Exchange, agreement_id: str, wording: str) -> str:
    """Returns why nobody need answer a request any more that was asked in a wording; "" when somebody has to.

    Raises:
        ContractInvalid: its file is wrong, so nobody can tell.
    """
    try:
        agreement = exchange.agreement(agreement_id)
    except WrongUse:
        return "The request was taken back."
    if agreement.status != REQUESTED:
        return "The request was taken back, or is in force without an answer."
    if agreement.digest != wording:
        return "The request was worded anew, and is asked anew."
    given = review_of(exchange.state, wording)
    return f"The request was answered already, by {given.reviewed_by}." if given else ""


def demand_wording(exchange: Exchange, agreement_id: str, shown: str) -> None:
    """Sees that a request is worded as it was when it was shown to somebody; `answer` of the same exchange sees the same.

    Args:
        exchange: where.
        agreement_id: what was shown.
        shown: the digest of that wording.

    Raises:
        WrongUse: it is not.
    """
    if exchange.agreement(agreement_id).digest != shown:
        raise WrongUse(
            "It is worded otherwise now than when it was shown: the answer is not for that.",
            where=agreement_id,
            fix="Look at it again, and answer anew.",
        )


def answer(exchange: Exchange, agreement_id: str, *, approved: bool, reason: str, by: str) -> Request:
    """Records the provider's answer to a request; the first answer to a wording stands.

    Args:
        exchange: where.
        agreement_id: an agreement whose status is `requested`.
        approved: yes or no.
        reason: why; a rejection needs one.
        by: who says so.

    Raises:
        WrongUse: nobody asked for it, there is no reason, or it was answered otherwise.
    """
    agreement = exchange.agreement(agreement_id)
    if agreement.status != REQUESTED:
        raise WrongUse(
            f"Its status is '{agreement.status}': only a request is answered.",
            where=agreement.id,
            fix="Write requested.",
        )
    if not approved and not reason.strip():
        raise WrongUse("A rejection needs a reason.", where=agreement.id, fix="Say why; the consumer is told.")
    given = Review(
        id=agreement.digest,
        agreement=agreement.id,
        version=agreement.version,
        approved=approved,
        reason=reason.strip(),
        reviewed_by=by,
        reviewed_at=instant(exchange.clock()),
    )
    stands = record_review(exchange.state, given)
    if stands.approved != approved:
        word = "approved" if stands.approved else "rejected"
        raise WrongUse(
            f"It was {word} by {stands.reviewed_by} already.",
            where=agreement.id,
            fix="Another answer takes another wording: change the agreement's file, its version at least.",
        )
    return _request(exchange, agreement)


def _request(exchange: Exchange, agreement: Agreement) -> Request:
    contract, given = exchange.contract(agreement.dataset), review_of(exchange.state, agreement.digest)
    due, deliver_by = _due(agreement, contract), delivery_due(requested_on(agreement))
    made = [each for each in delivered(exchange.state, agreement.id) if each.agreement_digest == agreement.digest]
    owed = due if given is None else deliver_by if given.approved and not made else None
    return Request(
        agreement=agreement.id,
        version=agreement.version,
        purpose=agreement.purpose,
        requested_on=requested_on(agreement).isoformat(),
        due_at=instant(due),
        deliver_by=instant(deliver_by),
        delivered_at=made[-1].delivered_at if made else None,
        overdue=owed is not None and owed <= exchange.clock(),
        review=given,
    )


def _due(agreement: Agreement, contract: Contract) -> datetime:
    return review_due(contract.sharing, requested_on(agreement))
