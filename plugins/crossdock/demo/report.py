"""What the demo shows at its end: the way of the province's records, in numbers, and what to try next."""

from __future__ import annotations

from rich.markup import escape

from crossdock.display import sharing, terminal
from crossdock.exchange import Exchange
from crossdock.ledger.counts import count
from crossdock.storage.delivered import last_delivered
from crossdock.storage.records import Verdict, latest_snapshot, refusals, verdict_by_id


def report(exchange: Exchange) -> None:
    """Prints what is in force now: verdicts, deliveries, open data, refusals, share counts."""
    _datasets(exchange)
    _agreements(exchange)
    counted = count(exchange.state, exchange.store, by=("consumer",))
    sharing.counts(counted, ("consumer",))
    _next()


def _datasets(exchange: Exchange) -> None:
    columns = ("dataset", "", ">pulled", ">accepted", ">quarantined", "top reasons", ">in force")
    shown = terminal.table("Pulled and validated", *columns)
    for dataset, contract in sorted(exchange.catalogue.contracts.items()):
        snapshot = latest_snapshot(exchange.state, dataset)
        verdict = verdict_by_id(exchange.state, snapshot.verdict) if snapshot else None
        if snapshot and verdict:
            numbers = (f"{n:,}" for n in (verdict.rows, verdict.accepted, verdict.quarantined))
            shown.add_row(dataset, escape(contract.title.zh), *numbers, escape(_reasons(verdict)), f"{snapshot.rows:,}")
    terminal.out.print(shown)


def _reasons(verdict: Verdict) -> str:
    worst = sorted((f for f in verdict.findings if f.severity == "error"), key=lambda f: -f.rows)[:3]
    return ", ".join(f"{finding.rule} {finding.rows:,}" for finding in worst)


def _agreements(exchange: Exchange) -> None:
    delivered = terminal.table("Delivered", "dataset", "consumer", ">records", ">filtered", "how", "where")
    published = terminal.table("Published", "dataset", ">records", "where")
    for name, agreement in sorted(exchange.catalogue.agreements.items()):
        last = last_delivered(exchange.state, name)
        if last is None or last.counts is None:
            continue
        records, place = (
            f"{last.counts['inserted'] + last.counts['updated']:,}",
            escape(str((last.receipt or {}).get("location", ""))),
        )
        if agreement.is_publication:
            published.add_row(
                agreement.dataset, records, escape(exchange.store.url(f"open/{agreement.dataset}/latest.json"))
            )
        else:
            how = f"{last.channel}, {last.mode}"
            delivered.add_row(
                agreement.dataset, agreement.consumer, records, f"{last.counts['filtered']:,}", how, place
            )
    terminal.out.print(delivered)
    terminal.out.print(published)
    refused = terminal.table("Refused", "agreement", "why")
    for refusal in refusals(exchange.state):
        refused.add_row(refusal.agreement, terminal.worded(refusal.reason))
    terminal.out.print(refused)


def _next() -> None:
    terminal.out.print(
        "\n[bold]Try next[/]\n"
        "  .venv/bin/crossdock counts --by department,dataset,consumer\n"
        "  .venv/bin/crossdock quarantine list\n"
        "  .venv/bin/crossdock deliveries list\n"
        "  .venv/bin/crossdock ledger verify\n"
        "  make up      all of Airflow with the same DAGs, on schedules and assets"
    )
