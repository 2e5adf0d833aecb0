"""The way of a record through crossdock, in order: pull, validate, push, publish; then the audit that proves it.

    source --pull--> extract --validate--> verdict: snapshot + quarantine
                                                       |
                     agreement x snapshot --push-----> delivery, receipt, share events --> ledger
                   publication x snapshot --publish--> open version, share events     --> ledger

Every verb can be repeated and can be killed at any point: large content is stored under the name of its content, and
counts only once a row in the state names it. Airflow, the command line and the tests all call these functions.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossdock import handover, intake, routes, statistics
from crossdock.contracts.durations import earlier, seconds_of
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.identity import instant
from crossdock.ledger.chain import Break
from crossdock.ledger.compaction import compact
from crossdock.ledger.counts import count, mismatch
from crossdock.ledger.heads import sign_heads
from crossdock.ledger.retired import retire
from crossdock.ledger.verify import verify
from crossdock.refusals import demand
from crossdock.sources.landing import land
from crossdock.storage.acceptance import reaccept, record_verdict
from crossdock.storage.records import Extract, Verdict, record_extract, verdict_by_id

_COUNTS = 3  # a delivery may be booked between counting and recounting


def pull(exchange: Exchange, dataset: str) -> Extract:
    """Freezes what the dataset's source holds now (or beyond the last snapshot's watermark) as an extract.

    Raises:
        SourceUnavailable: the source did not answer; try again.
        SourceInvalid: the source's content cannot be read as the contract says.
    """
    contract = exchange.contract(dataset)
    if contract.source is None:
        raise WrongUse(
            "This contract names no source.", where=str(contract.path), fix="Add `source` to its crossdock property."
        )
    since = intake.watermark(exchange, contract)
    with exchange.scratch() as scratch:
        pulled = statistics.open_source(exchange, contract, since=since)
        landed = land(pulled, scratch / "extract.parquet")
        key = intake.store_parquet(exchange, "landing", dataset, landed.path, landed.sha256)
    reached("pull.stored")
    drift = {"missing": list(pulled.missing), "extra": list(pulled.extra)}
    extract = Extract(
        id=exchange.keys.private_id("extract", dataset, landed.sha256, since, drift),
        dataset=dataset,
        key=key,
        rows=landed.rows,
        sha256=landed.sha256,
        digest=landed.digest,
        drift=drift,
        watermark=since,
        incremental=since is not None,
        pulled_at=instant(exchange.clock()),
    )
    record_extract(exchange.state, extract)
    reached("pull.recorded")
    return extract


def validate(exchange: Exchange, extract_id: str) -> Verdict:
    """Judges an extract by its contract: accepted rows become the dataset's snapshot, failed ones go to quarantine.

    A rejected extract leaves the last snapshot in force. An extract that was judged before, by the same contract and
    references, keeps its verdict.

    Raises:
        ReferenceMissing: a dataset that this one refers to has no snapshot yet; try again after it has.
        Transient: the snapshot that an increment joins changed meanwhile; try again.
        LedgerBroken: the rows do not add up (`pulled = accepted + quarantined`).
    """
    case = intake.open_case(exchange, extract_id)
    known = verdict_by_id(exchange.state, case.verdict_id)
    if known:
        reaccept(exchange.state, known)
        return known
    with exchange.scratch() as scratch:
        judgement = intake.judge_case(exchange, case, scratch)
        verdict, snapshot = intake.store_judgement(exchange, case, judgement)
    reached("validate.stored")
    record_verdict(exchange.state, verdict, snapshot, base=case.base)
    reached("validate.recorded")
    return verdict


def push(exchange: Exchange, agreement_id: str) -> handover.Outcome:
    """Delivers the dataset's current snapshot to the agreement's consumer, if the agreement allows it and it is due.

    A refusal is recorded and returned, with its reason. What was delivered before is not delivered or counted again.

    Raises:
        DeliveryRefused: there is no such agreement; that is recorded too.
        ConsumerUnavailable: the consumer's system did not answer; try again.
        ConsumerRefused: the consumer's system will not take the delivery.
        LedgerBroken: the rows do not add up (`accepted = delivered + unchanged + filtered`).
    """
    return handover.hand_over(exchange, demand(exchange, agreement_id), routes.ToConsumer())


def publish(exchange: Exchange, agreement_id: str) -> handover.Outcome:
    """Releases the dataset's current snapshot as an open version under its publication, the agreement with the public."""
    return handover.hand_over(exchange, demand(exchange, agreement_id), routes.ToPublic())


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found: broken places in the ledger, or the three ways of counting shares, which must agree."""

    breaks: tuple[Break, ...]
    counted: int = 0
    recounted: int = 0
    mismatch: str = ""  # a sum of the rollup that is another than the entries'

    @property
    def sound(self) -> bool:
        """True when nothing is broken and all counts agree."""
        return not self.breaks and self.counted == self.recounted and not self.mismatch


def check(exchange: Exchange) -> Audit:
    """Verifies the whole ledger from its files and recounts every share unless it is broken; writes nothing."""
    breaks = verify(exchange.state, exchange.store, exchange.keys.public())
    if breaks:
        return Audit(breaks=tuple(breaks))
    counted = recounted = 0
    for _ in range(_COUNTS):
        counted, recounted = (
            count(exchange.state, exchange.store, by=(), recount=recount).shares for recount in (False, True)
        )
        if counted == recounted:
            break
    return Audit(breaks=(), counted=counted, recounted=recounted, mismatch=mismatch(exchange.state))


def audit(exchange: Exchange, *, keep: str = "") -> Audit:
    """Checks the ledger and, only when it is sound, signs its daily heads, compacts its event files and deletes old ones.

    What was tampered with is never signed, and never takes the place of what it was made of.

    Args:
        exchange: whose ledger.
        keep: how long share events are kept, as an ISO 8601 duration; "" for ever. Entries and their proofs always stay.

    Raises:
        WrongUse: that is no length of time.
    """
    before = _oldest_day(exchange, keep)
    found = check(exchange)
    if found.sound:
        sign_heads(exchange.state, exchange.store, exchange.keys)
        if before:
            retire(exchange.state, exchange.store, exchange.keys, before=before)
        with exchange.scratch() as scratch:
            compact(exchange.state, exchange.store, scratch)
        exchange.shelf.tidy()
    return found


def _oldest_day(exchange: Exchange, keep: str) -> str:
    """Returns the first day whose events are kept, "" for all."""
    if not keep:
        return ""
    if seconds_of(keep, None) is None:
        raise WrongUse(f"'{keep}' is no length of time.", where="events_kept", fix="Write ten years as P10Y.")
    return instant(earlier(exchange.clock(), keep))[:10]
