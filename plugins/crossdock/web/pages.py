"""What each page shows, read from the state and the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from crossdock.display.terminal import moment
from crossdock.errors import ObjectMissing
from crossdock.exchange import Exchange
from crossdock.ledger.counts import count
from crossdock.storage.records import deliveries, delivery_by_id, latest_snapshot, verdict_by_id

RECENT = 20  # deliveries on the overview


def overview(exchange: Exchange) -> Mapping[str, Any]:
    """Returns share counts by consumer and by dataset, the snapshots in force, and the latest deliveries."""
    counts = {by: count(exchange.state, exchange.store, by=(by,)) for by in ("consumer", "dataset")}
    return {
        "up": "",
        "total": counts["consumer"],
        "groups": [("consumer", "接收方", counts["consumer"].groups), ("dataset", "数据集", counts["dataset"].groups)],
        "snapshots": [_in_force(exchange, name) for name in sorted(exchange.catalogue.contracts)],
        "deliveries": [
            {"id": d.id, "dataset": d.dataset, "consumer": d.consumer, "status": d.status, "at": moment(d.intended_at)}
            for d in deliveries(exchange.state)[:RECENT]
        ],
    }


def _in_force(exchange: Exchange, dataset: str) -> Mapping[str, Any]:
    snapshot = latest_snapshot(exchange.state, dataset)
    judged = verdict_by_id(exchange.state, snapshot.verdict) if snapshot else None
    return {
        "dataset": dataset,
        "title": exchange.catalogue.contracts[dataset].title,
        "rows": snapshot.rows if snapshot else None,
        "at": moment(snapshot.accepted_at) if snapshot else "",
        "age": age(exchange.clock() - datetime.fromisoformat(snapshot.accepted_at)) if snapshot else None,
        "verdict": snapshot.verdict if snapshot else None,
        "outcome": judged.outcome if judged else None,
        "quarantined": judged.quarantined if judged else None,
    }


def verdict(exchange: Exchange, verdict_id: str) -> Mapping[str, Any] | None:
    """Returns a verdict with its findings, most rows first; None when there is none of that id."""
    found = verdict_by_id(exchange.state, verdict_id)
    if found is None:
        return None
    findings = sorted(found.findings, key=lambda finding: (-finding.rows, finding.rule))
    return {"up": "../", "verdict": found, "findings": findings, "at": moment(found.validated_at)}


def delivery(exchange: Exchange, delivery_id: str) -> Mapping[str, Any] | None:
    """Returns a delivery with its manifest and receipt; None when there is none of that id."""
    found = delivery_by_id(exchange.state, delivery_id)
    if found is None:
        return None
    manifest: dict[str, Any] = {}
    if found.manifest_key:
        try:
            manifest = json.loads(exchange.store.read(found.manifest_key))
        except (ObjectMissing, ValueError):
            manifest = {}  # The page says so; `crossdock ledger verify` names what was lost or damaged.
    return {
        "up": "../",
        "delivery": found,
        "manifest": manifest,
        "receipt": found.receipt or {},
        "intended": moment(found.intended_at),
        "delivered": moment(found.delivered_at),
    }


def age(passed: timedelta) -> tuple[int, str, str]:
    """Returns a time span in its largest whole unit: number, and the unit in Chinese and English."""
    seconds = max(0, int(passed.total_seconds()))
    for size, chinese, english in ((86_400, "天", "d"), (3_600, "小时", "h"), (60, "分钟", "min")):
        if seconds >= size:
            return seconds // size, chinese, english
    return seconds, "秒", "s"
