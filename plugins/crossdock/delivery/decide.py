"""May this agreement's delivery leave now? Yes and no both come with the reason; anything doubtful is a no."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b

from crossdock.contracts.agreement import APPROVED, AT_CHANGES, ONCE, Agreement, Protection
from crossdock.contracts.model import IN_FORCE, Column, Contract
from crossdock.contracts.rows import parse
from crossdock.contracts.schedules import due, next_time
from crossdock.contracts.yaml_tree import Steps
from crossdock.contracts.zone import day_at, wall_clock
from crossdock.delivery.files import FORMATS
from crossdock.delivery.protect import unsuitable
from crossdock.errors import RowFilterInvalid, did_you_mean
from crossdock.identity import content_id
from crossdock.keys import Keys
from crossdock.storage.records import Delivery

_RUN = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # how what a spreadsheet runs begins
_IDENTIFIER = 18  # characters of those whose check digits we know


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a delivery is allowed, and why; the reason names no instant but the agreement's own."""

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a delivery must not leave, and where in the agreement's terms that stands."""

    what: str
    at: Steps = ()  # such as ("protect", "income"); none where no one place is to blame


def decide(agreement: Agreement, contract: Contract, *, now: datetime) -> Decision:
    """Decides by the agreement, its contract and the clock alone; the first objection is the reason."""
    objection = next(_objections(agreement, contract, now), None)
    if objection:
        return Decision(allowed=False, reason=objection.what)
    return Decision(
        allowed=True, reason=f"Agreement version {agreement.version} is approved until {agreement.end.date()}."
    )


def its_turn(agreement: Agreement, last: Delivery, *, now: datetime) -> Decision:
    """Decides by its frequency whether an agreement that was served before is to be served again.

    Args:
        agreement: the agreement.
        last: the delivery by which it was served last.
        now: the instant of the question.
    """
    at = last.delivered_at or last.intended_at
    if agreement.frequency == ONCE and last.agreement_version == agreement.version:
        made = day_at(datetime.fromisoformat(at))
        return Decision(allowed=False, reason=f"The agreement grants one delivery, and that was made on {made}.")
    if agreement.frequency not in AT_CHANGES and not due(agreement.frequency, at, now):
        then = f"{next_time(agreement.frequency, now.astimezone(UTC)):%Y-%m-%d %H:%M} UTC"
        return Decision(allowed=False, reason=f"Its frequency is {agreement.frequency}: it is due again at {then}.")
    return Decision(allowed=True, reason="It is due.")


def day_of(agreement: Agreement, contract: Contract, now: datetime) -> date | None:
    """Returns the day that a delivery's rows depend on; None when the row filter does not ask for it."""
    today = day_at(now)
    rows = parse(agreement.rows, {c.name: c for c in contract.columns}, today=today)
    return today if rows.is_dated else None


def delivery_id(agreement: Agreement, *, snapshot: str, sequence: int, keys: Keys) -> str:
    """Returns the id that a delivery has however often it is tried: agreement, snapshot and protection name it.

    Args:
        agreement: what is delivered, and how it is protected; any change of it makes another delivery.
        snapshot: the snapshot's id.
        sequence: the snapshot's place in the order of acceptance: a source may go back to what it held before, and
            that is to be delivered again.
        keys: where a protection needs a key, another key makes another delivery.
    """
    key = keys.of_consumer(agreement.consumer) if agreement.is_keyed else b""
    protection = blake2b(b"protection version", key=key, digest_size=8).hexdigest()
    return content_id("delivery", agreement.id, agreement.version, agreement.digest, snapshot, sequence, protection)


def contradictions(agreement: Agreement, contract: Contract) -> Iterator[Objection]:
    """Yields what will never be allowed, whatever the day: what `crossdock lint` can say before anything is due."""
    yield from _unmatched(agreement, contract)
    yield from _not_shareable(agreement, contract)
    yield from _not_applicable(agreement, contract)


def _objections(agreement: Agreement, contract: Contract, now: datetime) -> Iterator[Objection]:
    yield from _unmatched(agreement, contract)
    yield from _not_in_force(agreement, contract, now)
    yield from _not_shareable(agreement, contract)
    yield from _not_applicable(agreement, contract)


def _unmatched(agreement: Agreement, contract: Contract) -> Iterator[Objection]:
    if agreement.dataset != contract.id:
        yield Objection(what=f"The agreement is about dataset '{agreement.dataset}', not '{contract.id}'.")
    if agreement.provider != contract.department:
        yield Objection(what=f"The agreement's provider '{agreement.provider}' is not the dataset's department.")
    if agreement.is_publication != (agreement.delivery.channel == "open"):
        yield Objection(what="A publication, and only a publication, is delivered openly.")


def _not_in_force(agreement: Agreement, contract: Contract, now: datetime) -> Iterator[Objection]:
    if agreement.status not in APPROVED:
        yield Objection(what=f"The agreement is not approved: its status is '{agreement.status}'.")
    if now < agreement.start:
        yield Objection(what=f"The agreement is not valid before {wall_clock(agreement.start)}, Beijing time.")
    if now > agreement.end:
        yield Objection(what=f"The agreement expired at {wall_clock(agreement.end)}, Beijing time.")
    if contract.status not in IN_FORCE:
        yield Objection(what=f"The contract is not in force: its status is '{contract.status}'.")


def _not_shareable(agreement: Agreement, contract: Contract) -> Iterator[Objection]:
    if contract.sharing == "none":
        yield Objection(what="The contract's sharing class is 'none': the dataset is not shared.")
    exposed = agreement.exposed({c.name: c for c in contract.columns})
    if exposed:
        yield Objection(what=f"Sensitive, neither protected nor with a legal basis of their own: {', '.join(exposed)}.")
    if agreement.is_publication:
        held_back = [
            c.name for c in contract.columns if c.name in agreement.columns and not _public(c, agreement, contract)
        ]
        if held_back:
            yield Objection(
                what=f"Not classified as public, so not published: {', '.join(held_back)}.", at=("columns",)
            )


def _public(column: Column, agreement: Agreement, contract: Contract) -> bool:
    """A column without a classification is public only in a dataset that is shared unconditionally."""
    protection = agreement.protect.get(column.name)
    if protection and protection.kind == "drop":
        return True
    return column.classification == "public" or (column.classification is None and contract.sharing == "unconditional")


def _not_applicable(agreement: Agreement, contract: Contract) -> Iterator[Objection]:
    columns = {c.name: c for c in contract.columns}
    unknown = [name for name in (*agreement.columns, *agreement.protect) if name not in columns]
    if unknown:
        yield Objection(what=f"The contract has no column '{unknown[0]}'. {did_you_mean(unknown[0], columns)}")
        return
    if not agreement.columns or len(set(agreement.columns)) != len(agreement.columns):
        yield Objection(what="The agreement must list its columns, each once.")
    yield from _not_protectable(agreement, columns)
    yield from _told_by_check_digits(agreement, contract)
    yield from _no_changes(agreement, contract)
    form = agreement.delivery.form
    if form not in FORMATS:
        yield Objection(
            what=f"There is no delivery format '{form}'. {did_you_mean(form, FORMATS)}", at=("delivery", "format")
        )
    for name in agreement.columns if form == "csv" else ():
        if name.startswith(_RUN):
            yield Objection(
                what=f"Column '{name}' has a name that a spreadsheet would run as a formula: deliver another format than CSV.",
                at=("columns", agreement.columns.index(name)),
            )
    try:
        parse(agreement.rows, columns, today=agreement.start.date())
    except RowFilterInvalid as error:
        yield Objection(what=str(error), at=("rows",))


def _not_protectable(agreement: Agreement, columns: Mapping[str, Column]) -> Iterator[Objection]:
    for name, protection in agreement.protect.items():
        if name not in agreement.columns:
            yield Objection(what=f"Column '{name}' is protected but not among the agreed columns.")
        reason = unsuitable(columns[name], protection)
        if reason:
            yield Objection(what=reason, at=("protect", name))


def _told_by_check_digits(agreement: Agreement, contract: Contract) -> Iterator[Objection]:
    """The last character of a known identifier follows from the others."""
    for rule in contract.rules:
        name = rule.columns[0] if rule.kind == "checksum" else ""
        given = agreement.protect.get(name)
        left = given and (given.keep_first + given.keep_last if given.kind == "mask" else _prefix(given))
        if left and left >= _IDENTIFIER - 1:
            yield Objection(
                what=f"Column '{name}' has check digits: what its protection hides can be worked out. Let it keep fewer characters.",
                at=("protect", name),
            )


def _prefix(given: Protection) -> int:
    number = given.to.removeprefix("prefix:")
    return int(number) if given.kind == "generalise" and number != given.to and number.isdigit() else 0


def _no_changes(agreement: Agreement, contract: Contract) -> Iterator[Objection]:
    """Changes can be told to a consumer only by keys it holds, each naming one record."""
    if agreement.delivery.mode != "changes":
        return
    if not contract.primary_key:
        yield Objection(what="Mode 'changes' needs a primary key in the contract.")
    for name in contract.primary_key:
        protection = agreement.protect.get(name)
        if name not in agreement.columns or (protection and protection.kind != "pseudonymise"):
            yield Objection(
                what=f"Mode 'changes' needs key column '{name}' among the agreed columns, clear or pseudonymised."
            )
