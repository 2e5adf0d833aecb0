"""What an agreement means, in words and by example: what its consumer gets, and what it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date
from pathlib import Path

import pyarrow as pa

from crossdock.contracts.agreement import ONCE, Agreement
from crossdock.contracts.durations import spoken
from crossdock.contracts.model import Column, Contract
from crossdock.contracts.oaas import SUFFIX
from crossdock.contracts.rows import parse
from crossdock.delivery.decide import its_turn
from crossdock.delivery.terms import Terms
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.reviews import decided
from crossdock.storage.delivered import last_delivered
from crossdock.storage.records import Delivery, Snapshot, latest_snapshot
from crossdock.validation.samples import shapes

_EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingColumn:
    """One column that leaves: how it is called, in what form it arrives, and why it may."""

    name: str
    label: str
    type: str
    form: str
    classification: str
    legal_basis: str  # its own, where it is sensitive and leaves as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An agreement in words. `example` holds the shapes of values that would leave, never a value."""

    agreement: str
    version: str
    now: str
    allowed: bool
    who: str
    purpose: str
    legal_basis: str
    valid: str
    how: str
    when: str
    kept: str
    columns: tuple[LeavingColumn, ...]
    withheld: tuple[str, ...]
    usage: str
    limitations: str
    secrecy: str  # whether the people concerned are told
    rows: str
    told_by_filter: tuple[str, ...]  # columns that do not leave, and of which it tells something
    rows_in_force: int | None
    rows_leaving: int | None
    last_delivered: str | None
    example: tuple[dict[str, str | None], ...]

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return asdict(self)


def explain(exchange: Exchange, named: str) -> Explanation:
    """Explains an agreement, named by its id or its file; nothing leaves, and nothing is recorded.

    Raises:
        WrongUse: there is none.
        ContractInvalid: its file is wrong.
    """
    agreement = exchange.agreement(_id_of(named))
    contract = exchange.contract(agreement.dataset)
    snapshot = latest_snapshot(exchange.state, contract.id)
    last = last_delivered(exchange.state, agreement.id)
    allowed, now = _now(exchange, agreement, contract, last)
    leaving, example = _rows(exchange, agreement, contract, snapshot)
    return Explanation(
        agreement=agreement.id,
        version=agreement.version,
        now=now,
        allowed=allowed,
        who=f"{agreement.provider} gives to {'everybody' if agreement.is_publication else agreement.consumer}",
        purpose=agreement.purpose,
        legal_basis=agreement.legal_basis,
        valid=f"{agreement.start.astimezone(UTC):%Y-%m-%d %H:%M} to {agreement.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        how=_how(agreement),
        when=_when(agreement),
        kept=f"The consumer deletes it after {spoken(agreement.data_life)}."
        if agreement.data_life
        else "No limit is agreed.",
        usage=agreement.usage,
        limitations=agreement.limitations,
        secrecy=_secrecy(agreement),
        columns=tuple(_leaving(contract.column(name), agreement) for name in agreement.columns),
        withheld=tuple(c.name for c in contract.columns if c.name not in agreement.columns),
        rows=agreement.rows or "all",
        told_by_filter=_told_by_filter(agreement, contract, exchange.clock().date()),
        rows_in_force=snapshot.rows if snapshot else None,
        rows_leaving=leaving,
        last_delivered=last.delivered_at if last else None,
        example=example,
    )


def _id_of(named: str) -> str:
    if not named.endswith(SUFFIX):
        return named
    path = Path(named).absolute()
    if not path.is_file():
        raise WrongUse("There is no such file.", where=named, fix="Name an agreement's file or id.")
    return "/".join((*path.parts[-4:-2], path.name.removesuffix(SUFFIX)))


def _now(exchange: Exchange, agreement: Agreement, contract: Contract, last: Delivery | None) -> tuple[bool, str]:
    decision = decided(exchange, agreement, contract)
    if decision.allowed and last and last.delivered_at:
        turn = its_turn(agreement, version=last.agreement_version, last=last.delivered_at, now=exchange.clock())
        return turn.allowed, decision.reason if turn.allowed else turn.reason
    return decision.allowed, decision.reason


def _rows(
    exchange: Exchange, agreement: Agreement, contract: Contract, snapshot: Snapshot | None
) -> tuple[int | None, tuple[dict[str, str | None], ...]]:
    """Returns how many rows would leave, and the shapes of the first of them; nothing where there is no snapshot."""
    if snapshot is None:
        return None, ()
    rows = exchange.dataset(snapshot.key)
    terms = Terms.of(agreement, contract, rows.schema, exchange.keys, today=exchange.clock().date())
    first = rows.head(_EXAMPLES, filter=terms.keep).combine_chunks().to_batches()
    shown: Sequence[dict[str, str | None]] = _shapes(terms.outgoing(first[0])) if first else ()
    return rows.count_rows(filter=terms.keep), tuple(shown)


def _shapes(batch: pa.RecordBatch) -> list[dict[str, str | None]]:
    masked = [shapes(pa.chunked_array([column])) for column in batch.columns]
    found: list[dict[str, str | None]] = pa.table(masked, names=batch.schema.names).to_pylist()
    return found


def _secrecy(agreement: Agreement) -> str:
    if agreement.withheld_until is None:
        return "The people concerned are told when they ask."
    return f"Before {agreement.withheld_until} the people concerned are not told ({agreement.withheld_basis})."


def _told_by_filter(agreement: Agreement, contract: Contract, today: date) -> tuple[str, ...]:
    looked_at = parse(agreement.rows, {c.name: c for c in contract.columns}, today=today).columns
    hidden = {name for name, given in agreement.protect.items()}
    clear = {name for name in agreement.columns if name not in hidden}
    return tuple(sorted(looked_at - clear))


def _how(agreement: Agreement) -> str:
    if agreement.is_publication:
        return f"As an open version in the open area, under {agreement.licence}."
    spec = agreement.delivery
    sent = "What was inserted, updated and deleted since" if spec.mode == "changes" else "All rows each time"
    options = ", ".join(f"{name} {value}" for name, value in sorted(spec.options.items()))
    return f"{sent}, by {spec.channel} (connection {spec.connection}, {options})."


def _when(agreement: Agreement) -> str:
    words = {"on_change": "Whenever new data was accepted.", ONCE: "One time under each version of the agreement."}
    return words.get(agreement.frequency, f"At most once for each time of {agreement.frequency} (UTC).")


def _leaving(column: Column, agreement: Agreement) -> LeavingColumn:
    protection = agreement.protect.get(column.name)
    return LeavingColumn(
        name=column.name,
        label=column.label,
        type=column.type,
        form=protection.in_words() if protection else "as it is",
        classification=column.classification or "",
        legal_basis=agreement.unprotected.get(column.name, ""),
    )
