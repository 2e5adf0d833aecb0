"""Taking deliveries back: their consumers are told to delete what they brought, and that is booked like any delivery."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.zone import day_at
from crossdock.delivery.terms import Terms
from crossdock.delivery.withdraw import Withdrawal, withdraw
from crossdock.dispatch import Deal, dispatch, finish_arrived, held
from crossdock.errors import WrongUse
from crossdock.exchange import Exchange
from crossdock.faults import reached
from crossdock.handover import Outcome
from crossdock.identity import content_id, instant
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import entry_of
from crossdock.ledger.events import HASH, SCHEMA
from crossdock.ledger.seals import unseal
from crossdock.routes import ToConsumer, ToPublic
from crossdock.storage.delivered import delivered, last_delivered
from crossdock.storage.recalls import RECALL, Recall, intend_recall, recalls
from crossdock.storage.records import Delivery, deliveries, delivery_by_id, snapshot_by_seq
from crossdock.wordings import Wording, at_place, is_at, leads_to, wording_of

_ADDED = pa.schema([pa.field("subject", HASH), pa.field("record", HASH), SCHEMA.field("operation")])
_CHANGED = "If it was changed, take the change back, recall, and change it again; else ask the consumer."


def named(exchange: Exchange, name: str) -> list[str]:
    """Returns the deliveries that a name stands for: one by its id, or all that a snapshot went into.

    Raises:
        WrongUse: nothing of that name was delivered.
    """
    made = [d for d in deliveries(exchange.state) if d.status == "delivered" and d.mode != RECALL]
    found = [d.id for d in made if name in (d.id, d.snapshot)]
    if not found:
        raise WrongUse(f"Nobody received a delivery '{name}'.", fix="`crossdock deliveries list` shows them.")
    return found


def recall(exchange: Exchange, delivery_id: str, *, reason: str, by: str) -> Outcome:
    """Tells a delivery's consumer to delete what it brought, whether its agreement is in force or not.

    It goes where the delivery went, as was agreed then. Afterwards the same snapshot does not go again, until it or the
    agreement changes. Recalling twice changes nothing.

    Args:
        exchange: where.
        delivery_id: a completed delivery to a department, or to the public.
        reason: why; the consumer reads it.
        by: who says so.

    Raises:
        WrongUse: there is no such delivery, or what its consumer holds is not on record, or the connection is gone.
        ConsumerUnavailable: the consumer's system did not answer; try again.
        ConsumerRefused: it will not take the recall.
    """
    found = delivery_by_id(exchange.state, delivery_id)
    if found is None or found.status != "delivered" or found.mode == RECALL:
        raise WrongUse(f"Nobody received a delivery '{delivery_id}'.", fix="See `crossdock deliveries list`.")
    if not reason.strip():
        raise WrongUse("A recall needs a reason.", where="--reason", fix="Say why; the consumer reads it.")
    agreed, route = _agreed(exchange, found), ToPublic() if found.channel == "open" else ToConsumer()
    finish_arrived(exchange, agreed.agreement, route)
    known = next((each for each in recalls(exchange.state) if each.recalled == delivery_id), None)
    if known:
        return Outcome(agreement=found.agreement, status="unchanged", reason="It was recalled.", delivery=known.id)
    if agreed.agreement.is_publication:
        _demand_own_version(exchange, found)
    else:
        _demand_place(exchange, found, agreed.agreement)
    there = _there(exchange, found, agreed)  # with what has arrived there by now
    now = instant(exchange.clock())
    name = content_id("recall", delivery_id, there.last.id)
    asked = Recall(id=name, recalled=delivery_id, reason=reason, recalled_by=by, recalled_at=now)
    with exchange.scratch() as folder:
        work = _withdrawal(exchange, there, found, folder / "brought.parquet")
        intent, asked = intend_recall(exchange.state, _intent(found, there.last, name, now), asked)
        reached("recall.intended")
        deal = Deal(agreement=there.wording.agreement, contract=there.wording.contract, intent=intent, recall=asked)
        prepared = dispatch(exchange, deal, route, lambda scratch, events, _: withdraw(work, scratch, events))
    return Outcome(
        agreement=found.agreement, status="delivered", reason=reason, delivery=name, counts=prepared.counts.to_dict()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _There:
    """What is at the place where a delivery went."""

    wording: Wording  # under which the last one went there
    last: Delivery  # the last one, a recall perhaps
    content: Delivery | None  # the last one that brought rows


def _agreed(exchange: Exchange, found: Delivery) -> Wording:
    """Returns what was agreed when a delivery was made; where that is not on record, what was last, or is now."""
    newest = last_delivered(exchange.state, found.agreement) or found
    return wording_of(exchange, found) or wording_of(exchange, newest) or _in_force(exchange, found)


def _there(exchange: Exchange, found: Delivery, agreed: Wording) -> _There:
    made = delivered(exchange.state, found.agreement)
    if wording_of(exchange, found):
        at = at_place(exchange, made, agreed.place)
        if not agreed.agreement.is_publication:
            where = leads_to(exchange, agreed.agreement)
            at = ((each, wording) for each, wording in at if is_at(exchange, each, wording.agreement, where))
        last, under = next(at)
        content = last if last.mode != RECALL else next((each for each, _ in at if each.mode != RECALL), None)
        return _There(wording=under, last=last, content=content)
    newest = last_delivered(exchange.state, found.agreement) or found
    brought = next((each for each in made if each.mode != RECALL), None)
    return _There(wording=agreed, last=newest, content=brought)


def _in_force(exchange: Exchange, found: Delivery) -> Wording:
    return Wording(agreement=exchange.agreement(found.agreement), contract=exchange.contract(found.dataset))


def _demand_place(exchange: Exchange, found: Delivery, agreed: Agreement) -> None:
    """Sees that the connection still leads to where the delivery went."""
    name = agreed.delivery.connection
    try:
        where = leads_to(exchange, agreed)
    except WrongUse as error:
        raise WrongUse(
            f"The delivery went through the connection '{name}', which can't be used any more: {error.what}",
            where=error.where,
            fix="Set it again as it was, recall, and remove it afterwards.",
        ) from error
    if not is_at(exchange, found, agreed, where):
        went = (found.receipt or {}).get("address") or "an address that is not on record"
        raise WrongUse(
            f"The connection '{name}' leads elsewhere by now, where the delivery is not: to {where}. It went to {went}.",
            where=found.id,
            fix="Set it as it was, recall, and set it anew afterwards. If the consumer has moved without what it held, ask it.",
        )


def _demand_own_version(exchange: Exchange, found: Delivery) -> None:
    """A version that was released again is what the later delivery brought."""
    versions = {
        d.id: d.receipt["version"] for d in delivered(exchange.state, found.agreement) if d.mode != RECALL and d.receipt
    }
    latest = next(each for each, version in versions.items() if version == versions[found.id])
    if latest != found.id:
        raise WrongUse(
            f"Delivery {latest} has released the same version again.",
            where=found.id,
            fix="Recall that one: it stands for both.",
        )


def _intent(found: Delivery, last: Delivery, name: str, now: str) -> Delivery:
    """The recall takes the place of the last delivery: its snapshot and agreement, so that the same does not go again."""
    return Delivery(
        id=name,
        agreement=last.agreement,
        agreement_version=last.agreement_version,
        agreement_digest=last.agreement_digest,
        dataset=found.dataset,
        department=found.department,
        consumer=found.consumer,
        channel=last.channel,
        mode=RECALL,
        snapshot=last.snapshot,
        snapshot_seq=last.snapshot_seq,
        intended_at=now,
    )


def _withdrawal(exchange: Exchange, there: _There, found: Delivery, brought: Path) -> Withdrawal:
    agreement, contract, last = there.wording.agreement, there.wording.contract, there.last
    snapshot = snapshot_by_seq(exchange.state, last.snapshot_seq)
    if snapshot is None or {found.channel, last.channel} != {agreement.delivery.channel}:
        raise _unknown(agreement)
    schema = exchange.dataset(snapshot.key).schema
    terms = Terms.of(agreement, contract, schema, exchange.keys, today=day_at(exchange.clock()))
    previous = held(exchange, last)
    if (previous is None) != (agreement.delivery.mode == "full") or (previous and previous.layout != terms.layout):
        raise _unknown(agreement)
    return Withdrawal(
        terms=terms,
        brought=_brought(exchange, found, brought),
        last=last.id,
        is_last=there.content is not None and found.id == there.content.id,
        previous=previous,
        form=agreement.delivery.form,
    )


def _brought(exchange: Exchange, found: Delivery, path: Path) -> pads.Dataset:
    """Writes a delivery's events to a local file, as they were added: unsealed, each record by its own hash."""
    entry = entry_of(exchange.state, found.id)
    version = entry.body.key_version
    with pq.ParquetWriter(path, _ADDED) as writer:
        for events in Archive.open(exchange.state, exchange.store).events_of(entry):
            about, record = (unseal(events[name], exchange.keys, version) for name in ("subject", "record"))
            subject = pc.if_else(record.is_valid(), about, pa.scalar(None, HASH))
            writer.write_table(pa.table([subject, pc.coalesce(record, about), events["operation"]], schema=_ADDED))
    return pads.dataset(path, format="parquet")


def _unknown(agreement: Agreement) -> WrongUse:
    return WrongUse(
        "What the consumer holds, and in which form, is not on record (any more): the data's life is over, or the agreement "
        "was changed since a delivery that was made before its wording was kept.",
        where=agreement.id,
        fix=_CHANGED,
    )
