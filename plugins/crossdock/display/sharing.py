"""Sharing in the terminal: deliveries, counts, and the proofs of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from rich.markup import escape

from crossdock.contracts.zone import wall_clock
from crossdock.display.terminal import coloured, lasted, moment, out, sent_rows, table, worded

if TYPE_CHECKING:
    from crossdock.backlog import Owed
    from crossdock.delivery.arrival import Arrival
    from crossdock.explanation import Explanation
    from crossdock.handover import Outcome
    from crossdock.language.speech import Speech
    from crossdock.ledger.checking import Proven
    from crossdock.ledger.counts import Counts
    from crossdock.lookups import Answer
    from crossdock.pipeline import Audit
    from crossdock.reviews import Request
    from crossdock.storage.given_up import GivenUp
    from crossdock.storage.lookups import Lookup
    from crossdock.storage.recalls import Recall
    from crossdock.storage.records import Delivery, Refusal
    from crossdock.storage.rejections import Rejection


def explanation(found: Explanation, speech: Speech) -> None:
    """Prints an agreement in words, its columns, and a masked example; headings in the language of the words."""
    say = speech.say
    shown = table(f"{found.agreement} {found.version}", "", "")
    for name, word in _clauses(found, speech).items():
        shown.add_row(name, word)
    out.print(shown)
    heads = (
        say("字段", "column"),
        say("名称", "label"),
        say("类型", "type"),
        say("交付形式", "leaves"),
        say("定级", "classified"),
        say("单独依据", "legal basis of its own"),
    )
    columns = table(say("字段", "Columns"), *heads)
    for each in found.columns:
        columns.add_row(
            *map(escape, (each.name, each.label, each.type, each.form, each.classification, each.legal_basis))
        )
    out.print(columns)
    if found.example:
        key = say("示例：9 为数字，A 为字母，文为汉字", "Example: 9 a digit, A a letter, 文 a character")
        example = table(key, *map(escape, found.example[0]))
        for row in found.example:
            example.add_row(*(escape(value or "") for value in row.values()))
        out.print(example)


def _clauses(found: Explanation, speech: Speech) -> dict[str, str]:
    """Returns what an agreement says by what it is about, ready to print."""
    say = speech.say
    leaving = ""
    if found.rows_leaving is not None:
        leaving = say(
            f"：现有 {found.rows_in_force:,} 行中的 {found.rows_leaving:,} 行",
            f": {found.rows_leaving:,} of {found.rows_in_force:,} now in force",
        )
    use = f"{found.usage} {found.limitations}".strip() or say("仅限上述用途", "for the purpose only")
    return {
        say("目前", "now"): f"[{'green' if found.allowed else 'yellow'}]{escape(found.now)}[/]",
        say("双方", "who"): escape(found.who),
        say("用途与依据", "why"): escape(f"{found.purpose} {found.legal_basis}"),
        say("有效期", "valid"): found.valid,
        say("时间", "when"): escape(found.when),
        say("方式", "how"): escape(found.how),
        say("保存期限", "kept"): escape(found.kept),
        say("使用限制", "use"): escape(use),
        say("告知当事人", "secrecy"): escape(found.secrecy),
        say("行", "rows"): escape(found.rows + leaving),
        say("由筛选可知", "told by the rows"): escape(
            ", ".join(found.told_by_filter) or say("不涉及未提供的字段", "nothing that is not given")
        ),
        say("不提供", "not given"): escape(", ".join(found.withheld) or say("无", "nothing")),
        say("上次交付", "last delivery"): moment(found.last_delivered) or say("尚无", "none yet"),
    }


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


def _deadline(instant: str) -> str:
    return wall_clock(datetime.fromisoformat(instant))


def requests(found: Sequence[Request], speech: Speech) -> None:
    """Prints requests with their answers."""
    say = speech.say
    shown = table(
        say("申请", "Requests"),
        say("协议", "agreement"),
        say("申请日", "asked on"),
        say("答复期限（北京时间）", "answer by (Beijing time)"),
        say("交付期限（北京时间）", "deliver by (Beijing time)"),
        say("答复", "answer"),
        say("答复人", "by"),
        say("理由", "reason"),
    )
    words = {"approved": "已批准", "rejected": "已驳回", "overdue": "已逾期", "open": "待答复"}
    for each in found:
        said = each.review
        word = ("approved" if said.approved else "rejected") if said else "overdue" if each.overdue else "open"
        late = say("，已逾期", ", overdue") if said and each.overdue else ""
        shown.add_row(
            each.agreement, each.requested_on, _deadline(each.due_at), _deadline(each.deliver_by),
            coloured(word, say(words[word], word)) + late, escape(said.reviewed_by if said else ""), escape(said.reason if said else ""),
        )  # fmt: skip
    out.print(shown if found else say("没有申请。", "Nothing is requested."))


def backlog(found: Sequence[Owed]) -> None:
    """Prints what consumers are owed."""
    shown = table(
        "Owed",
        "agreement",
        "state",
        ">snapshots",
        ">rejected records",
        ">for",
        "since",
        "last delivery",
        "astray delivery",
        "maybe arrived at",
    )
    for each in found:
        shown.add_row(
            each.agreement, coloured(each.state), f"{each.snapshots:,}", f"{each.rejected:,}", lasted(each.age_seconds),
            moment(each.since), moment(each.last_delivered), each.delivery, escape(each.maybe_at),
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


def given_up(told: GivenUp) -> None:
    """Prints who gave a delivery up."""
    out.print(
        f"given up by {escape(told.given_up_by)} at {moment(told.given_up_at)}: {escape(told.reason)}; "
        f"it may be at {escape(told.maybe_at)}"
    )


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
    if found.mismatch:
        out.print(f"[red]broken[/] the rollup is not what the entries add up to: {escape(found.mismatch)}")
    if found.sound:
        out.print(f"[green]sound[/]: {found.counted:,} shares, recounted from the event files")


def proven(found: Proven) -> None:
    """Prints what a proof proves."""
    shown = table("Proven", "", "")
    for name, value in found.to_dict().items():
        shown.add_row(name.replace("_", " "), escape(", ".join(value) if isinstance(value, tuple) else str(value)))
    out.print(shown)
