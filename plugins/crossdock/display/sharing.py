"""Sharing in the terminal: deliveries, counts, and the proofs of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.markup import escape

from crossdock.display.terminal import coloured, lasted, moment, out, sent_rows, table, worded

if TYPE_CHECKING:
    from crossdock.backlog import Owed
    from crossdock.delivery.arrival import Arrival
    from crossdock.explanation import Explanation
    from crossdock.handover import Outcome
    from crossdock.ledger.checking import Proven
    from crossdock.ledger.counts import Counts
    from crossdock.lookups import Answer
    from crossdock.pipeline import Audit
    from crossdock.reviews import Request
    from crossdock.storage.lookups import Lookup
    from crossdock.storage.recalls import Recall
    from crossdock.storage.records import Delivery, Refusal
    from crossdock.storage.rejections import Rejection


def explanation(found: Explanation) -> None:
    """Prints an agreement in words, its columns, and a masked example."""
    shown = table(f"{found.agreement} {found.version}", "", "")
    leaving = "" if found.rows_leaving is None else f": {found.rows_leaving:,} of {found.rows_in_force:,} now in force"
    words = {
        "now": f"[{'green' if found.allowed else 'yellow'}]{worded(found.now)}[/]",
        "who": escape(found.who),
        "why": escape(f"{found.purpose} {found.legal_basis}"),
        "valid": found.valid,
        "when": escape(found.when),
        "how": escape(found.how),
        "kept": escape(found.kept),
        "use": escape(f"{found.usage} {found.limitations}".strip() or "for the purpose only"),
        "secrecy": escape(found.secrecy),
        "rows": escape(found.rows + leaving),
        "told by the rows": escape(", ".join(found.told_by_filter) or "nothing that is not given"),
        "not given": escape(", ".join(found.withheld) or "nothing"),
        "last delivery": moment(found.last_delivered) or "none yet",
    }
    for name, word in words.items():
        shown.add_row(name, word)
    out.print(shown)
    columns = table("Columns", "column", "", "type", "leaves", "classified", "legal basis of its own")
    for each in found.columns:
        columns.add_row(
            *map(escape, (each.name, each.label, each.type, each.form, each.classification, each.legal_basis))
        )
    out.print(columns)
    if found.example:
        example = table("Example: 9 a digit, A a letter, 文 a character", *map(escape, found.example[0]))
        for row in found.example:
            example.add_row(*(escape(value or "") for value in row.values()))
        out.print(example)


def deliveries(made: Sequence[Delivery], refused: Sequence[Refusal], recalls: Sequence[Recall]) -> None:
    """Prints deliveries, then what was taken back, then refusals."""
    back = {each.recalled for each in recalls}
    shown = table("Deliveries", "delivery", "agreement", "channel", ">sent", ">unchanged", ">deleted", "status", "at")
    for each in made:
        sent, counted = sent_rows(each.counts), each.counts or {}
        shown.add_row(
            each.id, each.agreement, each.channel, f"{sent:,}", f"{counted.get('unchanged', 0):,}",
            f"{counted.get('deleted', 0):,}", coloured("recalled" if each.id in back else each.status), moment(each.delivered_at or each.intended_at),
        )  # fmt: skip
    out.print(shown)
    if recalls:
        taken = table("Recalled", "delivery", "by the delivery", "reason", "by", "at")
        for recall in recalls:
            words = (recall.recalled, recall.id, recall.reason, recall.recalled_by)
            taken.add_row(*map(escape, words), moment(recall.recalled_at))
        out.print(taken)
    if refused:
        no = table("Refused", "agreement", "reason", "at")
        for refusal in refused:
            no.add_row(refusal.agreement, worded(refusal.reason), moment(refusal.refused_at))
        out.print(no)


def requests(found: Sequence[Request]) -> None:
    """Prints requests with their answers."""
    shown = table("Requests", "agreement", "asked on", "answer by (UTC)", "deliver by (UTC)", "answer", "by", "reason")
    for each in found:
        said = each.review
        word = ("approved" if said.approved else "rejected") if said else "overdue" if each.overdue else "open"
        late = ", overdue" if said and each.overdue else ""
        shown.add_row(
            each.agreement, each.requested_on, moment(each.due_at), moment(each.deliver_by), coloured(word) + late,
            escape(said.reviewed_by if said else ""), escape(said.reason if said else ""),
        )  # fmt: skip
    out.print(shown if found else "Nothing is requested.")


def backlog(found: Sequence[Owed]) -> None:
    """Prints what consumers are owed."""
    shown = table("Owed", "agreement", "state", ">snapshots", ">rejected records", ">for", "since", "last delivery")
    for each in found:
        shown.add_row(
            each.agreement, coloured(each.state), f"{each.snapshots:,}", f"{each.rejected:,}", lasted(each.age_seconds),
            moment(each.since), moment(each.last_delivered),
        )  # fmt: skip
    out.print(shown if found else "[green]Nobody is owed anything.[/]")


def rejected(found: Sequence[Rejection]) -> None:
    """Prints the delivery error store: how many records are rejected, by agreement and reason."""
    shown = table("Rejected by consumers", "agreement", "reason", ">records", ">tried", "first", "last")
    groups = groupby(sorted(found, key=_kind), _kind)
    for (agreement, reason), records in groups:
        some = list(records)
        shown.add_row(
            agreement, reason, f"{len(some):,}", f"{max(each.attempts for each in some):,} times",
            moment(min(each.first_at for each in some)), moment(max(each.last_at for each in some)),
        )  # fmt: skip
    out.print(shown if found else "[green]Nothing is rejected.[/]")


def _kind(each: Rejection) -> tuple[str, str]:
    return each.agreement, each.reason


def outcomes(found: Sequence[Outcome]) -> None:
    """Prints what became of each recall."""
    shown = table("Recalls", "agreement", "delivery", "status", ">to delete")
    for each in found:
        deleted = (each.counts or {}).get("deleted")
        shown.add_row(each.agreement, each.delivery, coloured(each.status), "" if deleted is None else f"{deleted:,}")
    out.print(shown)


def arrival(found: Arrival) -> None:
    """Prints what a delivery is, and what is wrong with it."""
    for fault in found.faults:
        out.print(f"[red]wrong[/] {escape(fault)}")
    if not found.faults:
        out.print(f"[green]sound[/]: delivery {escape(found.delivery)}, signed by the exchange, {found.rows:,} rows")


def delivery(made: Delivery, manifest: Mapping[str, object] | None) -> None:
    """Prints one delivery with what its manifest proves."""
    out.print(f"[bold]{made.id}[/] {escape(made.agreement)} {coloured(made.status)} {made.delivered_at or ''}")
    out.print_json(data={"receipt": made.receipt, "manifest": manifest})


def counts(counted: Counts, groups: Sequence[str]) -> None:
    """Prints share counts by group, then the totals."""
    numbers = ("shares", "deliveries", "interfaces", *(["subjects"] if counted.subjects is not None else []))
    shown = table("Shares", *groups, *(f">{name}" for name in numbers))
    for group in counted.groups:
        shown.add_row(*(escape(str(group[g])) for g in groups), *(f"{group[name]:,}" for name in numbers))
    if groups:
        out.print(shown)
    about = "" if counted.subjects is None else f", about {counted.subjects:,} people and enterprises"
    out.print(
        f"[bold]{counted.shares:,}[/] shares in {counted.deliveries:,} deliveries by {counted.interfaces:,} interfaces{about}"
    )


def received(found: Answer) -> None:
    """Prints who received a subject's records, and who asked before."""
    items = found.received
    shown = table(
        "Received by", "when", "consumer", "dataset", "operation", "purpose", "legal basis", "columns", "agreement"
    )
    for item in items:
        shown.add_row(
            moment(item.delivered_at), item.consumer, item.dataset, item.operation, escape(item.purpose),
            escape(item.legal_basis), ", ".join(item.columns), item.agreement,
        )  # fmt: skip
    out.print(shown if items else "Nobody received a record of this subject.")
    out.print("[dim]What the law withholds for a time, such as from an investigation, is not listed before its day.[/]")
    if found.known_since:
        out.print(f"[dim]What was delivered before {found.known_since} is kept no longer, as the policy has it.[/]")
    if found.lookups:
        asked(found.lookups)


def asked(found: Sequence[Lookup]) -> None:
    """Prints who looked somebody up."""
    shown = table("Looked up", "when", "by", "reason", ">deliveries told")
    for each in found:
        shown.add_row(moment(each.asked_at), escape(each.asked_by), escape(each.reason), f"{each.found:,}")
    out.print(shown)


def audit(found: Audit) -> None:
    """Prints whether the ledger is sound, and each broken place."""
    for broken in found.breaks:
        out.print(
            f"[red]broken[/] entry {broken.seq}, delivery {broken.delivery}: {escape(broken.what)} [dim]{escape(broken.where)}[/]"
        )
    if found.counted != found.recounted:
        out.print(f"[red]broken[/] {found.counted:,} shares by the entries, {found.recounted:,} by the event files")
    if found.astray:
        out.print(f"[red]broken[/] the rollup is not what the entries add up to: {escape(found.astray)}")
    if found.sound:
        out.print(f"[green]sound[/]: {found.counted:,} shares, recounted from the event files")


def proven(found: Proven) -> None:
    """Prints what a proof proves."""
    shown = table("Proven", "", "")
    for name, value in found.to_dict().items():
        shown.add_row(name.replace("_", " "), escape(", ".join(value) if isinstance(value, tuple) else str(value)))
    out.print(shown)
