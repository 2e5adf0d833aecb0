"""What the pages of one dataset, agreement, verdict and delivery show, read from contracts, state and store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from crossdock.display.terminal import moment
from crossdock.errors import ObjectMissing
from crossdock.exchange import Exchange
from crossdock.ledger import rollup
from crossdock.ledger.rollup import Period
from crossdock.reviews import decided
from crossdock.storage import overview
from crossdock.storage.records import delivery_by_id, verdict_by_id
from crossdock.storage.tables import ledger_entry
from crossdock.web.names import index_of, names_of
from crossdock.web.sight import Sight

EVER = Period(first="0000-00", last="9999-99")
HISTORY = 60  # verdicts of a dataset
LISTED = 30  # deliveries of an agreement


def dataset(exchange: Exchange, sight: Sight, name: str) -> Mapping[str, Any] | None:
    """Returns a dataset with its verdicts, agreements and shares by month.

    A consumer sees its own agreement and shares; why rows failed is between the provider and its steward.
    """
    part = exchange.contracts.part(name)
    contract = part.contracts.get(name)
    agreements = [a for a in part.agreements.values() if a.dataset == name and sight.of(a.provider, a.consumer)]
    if contract is None or not (sight.of(contract.department) or agreements):
        return None
    mine = sight.of(contract.department)
    shared = rollup.monthly(exchange.state, EVER, by=("month", "consumer"), dataset=name)
    return {
        "contract": contract,
        "department": part.departments[contract.department],
        "departments": part.departments,
        "standing": overview.standings(exchange.state, [name])[0],
        "judged": overview.judged(exchange.state, name, limit=HISTORY) if mine else [],
        "agreements": sorted(agreements, key=lambda a: a.id),
        "decisions": {a.id: decided(exchange, a, contract) for a in agreements},
        "months": sorted(
            (t for t in shared if mine or t.key[1] == sight.department), key=lambda t: t.key, reverse=True
        ),
        "mine": mine,
        "moment": moment,
    }


def agreement(exchange: Exchange, sight: Sight, name: str) -> Mapping[str, Any] | None:
    """Returns an agreement: what may leave, whether it may now, and what has."""
    about = name.rpartition("/")[0]
    part = exchange.contracts.part(about)
    found, contract = part.agreements.get(name), part.contracts.get(about)
    if found is None or contract is None or not sight.of(found.provider, found.consumer):
        return None
    return {
        "agreement": found,
        "contract": contract,
        "departments": part.departments,
        "columns": [contract.column(each) for each in found.columns],
        "decision": decided(exchange, found, contract),
        "deliveries": overview.under_agreement(exchange.state, name, limit=LISTED),
        "moment": moment,
    }


def verdict(exchange: Exchange, sight: Sight, verdict_id: str) -> Mapping[str, Any] | None:
    """Returns a verdict with its findings, most rows first; None when there is none of that id."""
    found = verdict_by_id(exchange.state, verdict_id)
    if found is None or not sight.of(found.dataset.partition("/")[0]):
        return None
    findings = sorted(found.findings, key=lambda finding: (-finding.rows, finding.rule))
    names = names_of(index_of(exchange))
    return {"verdict": found, "findings": findings, "at": moment(found.validated_at), "names": names}


def delivery(exchange: Exchange, sight: Sight, delivery_id: str) -> Mapping[str, Any] | None:
    """Returns a delivery with its manifest, receipt and place in the ledger; None when there is none of that id."""
    found = delivery_by_id(exchange.state, delivery_id)
    if found is None or not sight.of(found.department, found.consumer):
        return None
    manifest: dict[str, Any] = {}
    if found.manifest_key:
        try:
            manifest = json.loads(exchange.store.read(found.manifest_key))
        except (ObjectMissing, ValueError):
            manifest = {}  # The page says so; `crossdock ledger verify` names what was lost or damaged.
    return {
        "delivery": found,
        "names": names_of(index_of(exchange)),
        "manifest": manifest,
        "receipt": found.receipt or {},
        "entry": _entry(exchange, delivery_id),
        "intended": moment(found.intended_at),
        "delivered": moment(found.delivered_at),
    }


def _entry(exchange: Exchange, delivery_id: str) -> Mapping[str, Any] | None:
    """Returns the ledger's entry of a delivery: its place, the root before it and its own; None before it is booked."""
    wanted = sa.select(ledger_entry.c.seq, ledger_entry.c.day, ledger_entry.c.previous_root, ledger_entry.c.root)
    with exchange.state.connect() as connection:
        row = connection.execute(wanted.where(ledger_entry.c.delivery == delivery_id)).mappings().one_or_none()
    return dict(row) if row else None
