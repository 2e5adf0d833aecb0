"""Notices: what is wrong with a department's own rows, told to that department once per verdict."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.identity import instant
from crossdock.language.phrases import in_chinese
from crossdock.storage.notices import Notice, notice_by_id, record_notice
from crossdock.storage.records import Verdict, verdict_by_id
from crossdock.validation.samples import findings
from crossdock.webhooks import post

MOST = 10_000  # rows that one notice names; the file of all is `crossdock quarantine show --findings`


def is_due(exchange: Exchange, verdict: Verdict) -> bool:
    """True when the department wants to be told, there is something to tell, and it has not been told."""
    department = exchange.contracts.part(verdict.dataset).departments[verdict.dataset.partition("/")[0]]
    return bool(department.findings and verdict.findings) and notice_by_id(exchange.state, verdict.id) is None


def notify(exchange: Exchange, verdict_id: str) -> Notice | None:
    """Sends a verdict's findings, and the failing rows by arrival number and key, to the department whose rows they are.

    A notice that is sent again, because we were killed before we could note it, has the same name: the verdict's id.

    Returns:
        What was sent, now or before; None when there is nothing to tell, or nobody who wants to know.

    Raises:
        ConsumerUnavailable: the department's service does not answer; try again.
        ConsumerRefused: it does not take the notice.
    """
    verdict = verdict_by_id(exchange.state, verdict_id)
    if verdict is None or not is_due(exchange, verdict):
        return notice_by_id(exchange.state, verdict_id)
    contract = exchange.contract(verdict.dataset)
    department = exchange.contracts.part(verdict.dataset).departments[contract.department]
    rows = _rows(exchange, verdict, contract.primary_key)
    named = list(islice(rows, MOST))
    document = {
        "kind": "crossdock notice 1",
        "verdict": verdict.id,
        "dataset": verdict.dataset,
        "contract_version": verdict.contract_version,
        "outcome": verdict.outcome,
        "rows": verdict.rows,
        "accepted": verdict.accepted,
        "quarantined": verdict.quarantined,
        "validated_at": verdict.validated_at,
        "findings": [finding.to_dict() | {"reason_zh": in_chinese(finding.reason)} for finding in verdict.findings],
        "failing": named,
        "not_named": sum(1 for _ in rows),
    }
    post(exchange.lookup(department.findings), document, exchange.keys, once=verdict.id)
    reached("notice.sent")
    notice = Notice(
        id=verdict.id, dataset=verdict.dataset, connection=department.findings, sent_at=instant(exchange.clock())
    )
    record_notice(exchange.state, notice)
    return notice


def _rows(exchange: Exchange, verdict: Verdict, key: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yields one entry per failing row and broken rule."""
    if verdict.quarantine_key is None:
        return iter(())
    return chain.from_iterable(batch.to_pylist() for batch in findings(exchange.dataset(verdict.quarantine_key), key))
