"""What an agreement means, in words and by example: what its consumer gets, and what it does not; in Chinese or English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from crossdock.contracts.agreement import ONCE, Agreement
from crossdock.contracts.durations import spoken
from crossdock.contracts.model import Column, Contract, Department
from crossdock.contracts.oaas import SUFFIX
from crossdock.contracts.rows import parse
from crossdock.contracts.zone import day_at, wall_clock
from crossdock.delivery.decide import Decision, its_turn
from crossdock.delivery.terms import Terms
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.language.speech import ENGLISH, Speech
from crossdock.reviews import decided
from crossdock.storage.delivered import last_delivered
from crossdock.storage.records import Delivery, Snapshot, latest_snapshot
from crossdock.validation.samples import shapes

_EXAMPLES = 5
_OPTIONS = {"table": "表", "path": "路径", "format": "格式"}  # of delivery channels


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


def explain(exchange: Exchange, named: str, speech: Speech = ENGLISH) -> Explanation:
    """Explains an agreement, named by its id or its file; nothing leaves, and nothing is recorded.

    Raises:
        WrongUse: there is none.
        ContractInvalid: its file is wrong.
    """
    return explain_to(exchange, named, (speech,))[0]


def explain_to(exchange: Exchange, named: str, speeches: Sequence[Speech]) -> list[Explanation]:
    """Explains an agreement to readers of several languages, having looked once; raises as `explain` does."""
    seen = _look(exchange, named)
    return [_told(seen, speech) for speech in speeches]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What there is to tell of an agreement."""

    agreement: Agreement
    contract: Contract
    departments: Mapping[str, Department]
    decision: Decision
    snapshot: Snapshot | None
    last: Delivery | None
    told_by_filter: tuple[str, ...]
    leaving: int | None  # rows; None where there is no snapshot
    example: tuple[dict[str, str | None], ...]

    def name(self, department: str, speech: Speech) -> str:
        found = self.departments.get(department)
        return speech.say(found.name.zh, found.name.en) if found else department


def _look(exchange: Exchange, named: str) -> _Seen:
    agreement = exchange.agreement(_id_of(named))
    contract = exchange.contract(agreement.dataset)
    snapshot = latest_snapshot(exchange.state, contract.id)
    last = last_delivered(exchange.state, agreement.id)
    leaving, example = _rows(exchange, agreement, contract, snapshot)
    return _Seen(
        agreement=agreement,
        contract=contract,
        departments=exchange.contracts.part(agreement.dataset).departments,
        decision=_now(exchange, agreement, contract, last),
        snapshot=snapshot,
        last=last,
        told_by_filter=_told_by_filter(agreement, contract, day_at(exchange.clock())),
        leaving=leaving,
        example=example,
    )


def _told(seen: _Seen, speech: Speech) -> Explanation:
    agreement, contract = seen.agreement, seen.contract
    return Explanation(
        agreement=agreement.id,
        version=agreement.version,
        now=speech.sentence(seen.decision.reason),
        allowed=seen.decision.allowed,
        who=_who(seen, speech),
        purpose=agreement.purpose,
        legal_basis=agreement.legal_basis,
        valid=_valid(agreement, speech),
        how=_how(agreement, speech),
        when=_when(agreement, speech),
        kept=_kept(agreement, speech),
        usage=agreement.usage,
        limitations=agreement.limitations,
        secrecy=_secrecy(agreement, speech),
        columns=tuple(_leaving(contract.column(name), agreement, speech) for name in agreement.columns),
        withheld=tuple(c.name for c in contract.columns if c.name not in agreement.columns),
        rows=agreement.rows or speech.say("全部", "all"),
        told_by_filter=seen.told_by_filter,
        rows_in_force=seen.snapshot.rows if seen.snapshot else None,
        rows_leaving=seen.leaving,
        last_delivered=seen.last.delivered_at if seen.last else None,
        example=seen.example,
    )


def _id_of(named: str) -> str:
    if not named.endswith(SUFFIX):
        return named
    path = Path(named).absolute()
    if not path.is_file():
        raise WrongUse("There is no such file.", where=named, fix="Name an agreement's file or id.")
    return "/".join((*path.parts[-4:-2], path.name.removesuffix(SUFFIX)))


def _now(exchange: Exchange, agreement: Agreement, contract: Contract, last: Delivery | None) -> Decision:
    decision = decided(exchange, agreement, contract)
    if decision.allowed and last and last.delivered_at:
        turn = its_turn(agreement, last, now=exchange.clock())
        return decision if turn.allowed else turn
    return decision


def _rows(
    exchange: Exchange, agreement: Agreement, contract: Contract, snapshot: Snapshot | None
) -> tuple[int | None, tuple[dict[str, str | None], ...]]:
    """Returns how many rows would leave, and the shapes of the first of them; nothing where there is no snapshot."""
    if snapshot is None:
        return None, ()
    rows = exchange.dataset(snapshot.key)
    terms = Terms.of(agreement, contract, rows.schema, exchange.keys, today=day_at(exchange.clock()))
    first = rows.head(_EXAMPLES, filter=terms.keep).combine_chunks().to_batches()
    shown: Sequence[dict[str, str | None]] = _shapes(terms.outgoing(first[0])) if first else ()
    return rows.count_rows(filter=terms.keep), tuple(shown)


def _shapes(batch: pa.RecordBatch) -> list[dict[str, str | None]]:
    masked = [shapes(pa.chunked_array([column])) for column in batch.columns]
    found: list[dict[str, str | None]] = pa.table(masked, names=batch.schema.names).to_pylist()
    return found


def _told_by_filter(agreement: Agreement, contract: Contract, today: date) -> tuple[str, ...]:
    looked_at = parse(agreement.rows, {c.name: c for c in contract.columns}, today=today).columns
    hidden = {name for name, given in agreement.protect.items()}
    clear = {name for name in agreement.columns if name not in hidden}
    return tuple(sorted(looked_at - clear))


def _who(seen: _Seen, speech: Speech) -> str:
    gives, gets = (seen.name(each, speech) for each in (seen.agreement.provider, seen.agreement.consumer))
    if seen.agreement.is_publication:
        return speech.say(f"{gives}向社会公众开放", f"{gives} gives to everybody")
    return speech.say(f"{gives}向{gets}提供", f"{gives} gives to {gets}")


def _valid(agreement: Agreement, speech: Speech) -> str:
    start, end = wall_clock(agreement.start), wall_clock(agreement.end)
    return speech.say(f"{start} 至 {end}（北京时间）", f"{start} to {end}, Beijing time")


def _kept(agreement: Agreement, speech: Speech) -> str:
    if not agreement.data_life:
        return speech.say("未约定期限。", "No limit is agreed.")
    life = spoken(agreement.data_life, speech)
    return speech.say(f"接收方保存 {life}，期满删除。", f"The consumer deletes it after {life}.")


def _secrecy(agreement: Agreement, speech: Speech) -> str:
    day, basis = agreement.withheld_until, agreement.withheld_basis
    if day is None:
        return speech.say("当事人询问时告知。", "The people concerned are told when they ask.")
    return speech.say(
        f"{day} 之前不告知当事人（{basis}）。", f"Before {day} the people concerned are not told ({basis})."
    )


def _how(agreement: Agreement, speech: Speech) -> str:
    if agreement.is_publication:
        licence = agreement.licence
        return speech.say(
            f"在开放区发布开放版本，许可为 {licence}。", f"As an open version in the open area, under {licence}."
        )
    spec = agreement.delivery
    sent = speech.say("每次交付全部行", "All rows each time")
    if spec.mode == "changes":
        sent = speech.say("交付上次以来的新增、更新和删除", "What was inserted, updated and deleted since")
    options = sorted(spec.options.items())
    named = "".join(f"，{_OPTIONS.get(name, name)} {value}" for name, value in options)
    english = ", ".join(f"{name} {value}" for name, value in options)
    return speech.say(
        f"{sent}，方式为{speech.state(spec.channel)}（连接 {spec.connection}{named}）。",
        f"{sent}, by {spec.channel} (connection {spec.connection}, {english}).",
    )


def _when(agreement: Agreement, speech: Speech) -> str:
    times = agreement.frequency
    words = {
        "on_change": speech.say("每当有新数据通过检验。", "Whenever new data was accepted."),
        ONCE: speech.say("协议的每个版本下一次。", "One time under each version of the agreement."),
    }
    limit = speech.say(f"按 {times} 的时间（UTC），每次至多一回。", f"At most once for each time of {times} (UTC).")
    return words.get(times, limit)


def _leaving(column: Column, agreement: Agreement, speech: Speech) -> LeavingColumn:
    protection = agreement.protect.get(column.name)
    return LeavingColumn(
        name=column.name,
        label=column.label,
        type=speech.state(column.type),
        form=protection.in_words(speech) if protection else speech.say("原样", "as it is"),
        classification=speech.state(column.classification or ""),
        legal_basis=agreement.unprotected.get(column.name, ""),
    )
