"""What the dashboard shows: counters, shares, quality, and what needs somebody, of all departments or of one.

Everything comes from the rollup, the state's indexes and the compiled index of the contracts; no event file, no
contract and no manifest is opened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from croniter import croniter

from crossdock.contracts.agreement import APPROVED
from crossdock.contracts.index import Index, IndexedAgreement, IndexedDataset
from crossdock.display.terminal import moment
from crossdock.exchange import Exchange
from crossdock.identity import instant
from crossdock.ledger import rollup
from crossdock.ledger.rollup import Period, Role, Tally
from crossdock.storage import overview
from crossdock.storage.overview import Standing
from crossdock.storage.usage import Uses, usage
from crossdock.web.names import Names, index_of, names_of

TOP = 10  # bars of a chart
FLOWS = 40  # ribbons between departments; the rest is one sum
LISTED = 20  # rows of a list
SOON = timedelta(days=90)  # an agreement that ends sooner is shown
GRACE = timedelta(hours=1)  # a pull may be that late
PATIENCE = timedelta(minutes=15)  # a delivery that takes longer is shown
RECENT = timedelta(days=30)  # how long refusals are shown


@dataclass(frozen=True, kw_only=True)
class View:
    """One look at the exchange: whose, and over which months."""

    exchange: Exchange
    party: str | None  # one department's view; None for everybody's
    period: Period

    @cached_property
    def index(self) -> Index:
        """Every department, dataset and agreement, from the compiled index."""
        return index_of(self.exchange)

    @cached_property
    def now(self) -> datetime:
        """The instant of the look."""
        return self.exchange.clock()

    @cached_property
    def names(self) -> Names:
        """What departments and datasets are called."""
        return names_of(self.index)

    @cached_property
    def datasets(self) -> tuple[IndexedDataset, ...]:
        """What is provided: by all, or by the department whose view it is."""
        shown = (d for d in self.index.departments if self.party in (None, d.id))
        return tuple(dataset for department in shown for dataset in department.datasets)

    @cached_property
    def agreements(self) -> tuple[IndexedAgreement, ...]:
        """All agreements, or those that the department is a party to."""
        return tuple(a for a in self.index.agreements if self.party in (None, a.department, a.consumer))

    @cached_property
    def in_force(self) -> tuple[IndexedAgreement, ...]:
        """Agreements under which something may be delivered now."""
        now = instant(self.now)
        return tuple(a for a in self.agreements if a.status in APPROVED and a.start <= now <= a.end)


def this_year(now: datetime) -> Period:
    """Returns the months of the running year."""
    return Period(first=f"{now.year}-01", last=f"{now.year}-12")


def dashboard(view: View) -> Mapping[str, Any]:
    """Returns what the dashboard's template shows."""
    state, period, party = view.exchange.state, view.period, view.party
    by_dataset = rollup.monthly(state, period, by=("dataset", "consumer", "department"), party=party)
    standings = overview.standings(state, [dataset.id for dataset in view.datasets])
    return {
        "view": view,
        "departments": view.index.departments,
        "counters": list(_counters(view, by_dataset)),
        "days": _days(view),
        "datasets": _summed(by_dataset, (0,))[:TOP],
        "consumers": _summed(by_dataset, (1,))[:TOP],
        "flows": _flows(by_dataset),
        "quality": _quality(view, standings),
        "late": _late(view, standings),
        "failing": _failing(view),
        "expiring": _expiring(view),
        "deliveries": overview.newest_deliveries(state, party=party, limit=LISTED),
        "moment": moment,
    }


def _counters(view: View, shared: list[Tally]) -> Iterator[tuple[str, str, int]]:
    """Yields Chinese label, English label, number."""
    if view.party:
        yield "提供条数", "shares provided", sum(t.shares for t in shared if t.key[2] == view.party)
        yield "接收条数", "shares received", sum(t.shares for t in shared if t.key[1] == view.party)
    else:
        yield "共享条数", "shares", sum(t.shares for t in shared)
    yield "交付次数", "deliveries", sum(t.deliveries for t in shared)
    providing = {dataset.id.partition("/")[0] for dataset in view.datasets}
    consuming = {agreement.consumer for agreement in view.in_force}
    if not view.party:
        yield "部门", "departments", len(view.index.departments)
        yield "提供部门", "departments that provide", len(providing)
    yield "数据集", "datasets", len(view.datasets)
    yield "主题", "themes", len({dataset.theme for dataset in view.datasets if dataset.theme})
    yield "接收方", "consumers", len(consuming)
    yield "接口（生效协议）", "interfaces (agreements in force)", len(view.in_force)
    yield "开放数据集", "open datasets", sum(a.consumer == "public" for a in view.in_force)
    uses = Uses(since=view.period.first, until=view.period.last, department=view.party or "")
    (used,) = usage(view.exchange.state, uses)
    yield "下载次数", "downloads", used.downloads
    yield "访问次数", "visits", used.visits
    yield "开放数据用户", "users of open data", used.users


def _days(view: View) -> Mapping[str, Any]:
    """Returns the series of the chart by day, and its rows: day, and one number per series."""
    roles: dict[tuple[str, str], Role] = {("提供", "provided"): "provider", ("接收", "received"): "consumer"}
    if view.party is None:
        roles = {("条数", "shares"): "provider"}
    state, period, party = view.exchange.state, view.period, view.party
    series = {label: rollup.daily(state, period, role=role, party=party) for label, role in roles.items()}
    shares = [{tally.key[0]: tally.shares for tally in tallies} for tallies in series.values()]
    rows = [(day, [each.get(day, 0) for each in shares]) for day in _every_day(set().union(*shares))]
    return {"series": list(series), "rows": rows}


def _every_day(days: set[str]) -> Iterator[str]:
    """Yields each day from the first to the last: one without shares is a zero, not a gap that a line hides."""
    if days:
        first, last = date.fromisoformat(min(days)), date.fromisoformat(max(days))
        yield from ((first + timedelta(days=each)).isoformat() for each in range((last - first).days + 1))


def _summed(tallies: list[Tally], places: tuple[int, ...]) -> list[Tally]:
    """Returns the sums by some of the keys' places, most shares first."""
    sums: defaultdict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    for whole, shares, deliveries in tallies:
        total = sums[tuple([whole[place] for place in places])]
        total[0] += shares
        total[1] += deliveries
    found = (Tally(key, *total) for key, total in sums.items())
    return sorted(found, key=lambda tally: (-tally.shares, tally.key))


def _flows(tallies: list[Tally]) -> Mapping[str, Any]:
    """Returns the largest flows from department to consumer, and what the others come to."""
    flows = [flow for flow in _summed(tallies, (2, 1)) if flow.shares]
    return {"shown": flows[:FLOWS], "others": len(flows[FLOWS:]), "rest": sum(f.shares for f in flows[FLOWS:])}


def _quality(view: View, standings: list[Standing]) -> Mapping[str, Any]:
    """Returns the pass rate of each dataset's newest verdict, what quarantine holds and why, and how old snapshots are."""
    rows, accepted = sum(s.rows or 0 for s in standings), sum(s.accepted or 0 for s in standings)
    reasons: Counter[str] = Counter()
    for _, finding in overview.open_findings(view.exchange.state, department=view.party):
        reasons[finding.reason or finding.rule] += finding.rows
    ages: Counter[int] = Counter()
    bounds = (1, 7, 30, 365)  # days
    for standing in standings:
        if standing.accepted_at:
            days = (view.now - datetime.fromisoformat(standing.accepted_at)) / timedelta(days=1)
            ages[next((place for place, bound in enumerate(bounds) if days < bound), len(bounds))] += 1
    below = [(f"{bound} 天内", f"under {bound} d") for bound in bounds]
    labels = [*below, ("一年以上", "a year or more")]
    worst = sorted((s for s in standings if s.quarantined), key=lambda s: (-(s.quarantined or 0), s.dataset))
    return {
        "rows": rows,
        "accepted": accepted,
        "rate": 100 * accepted / rows if rows else None,
        "reasons": reasons.most_common(TOP),
        "ages": [(label, ages[place]) for place, label in enumerate(labels)],
        "never": sum(standing.accepted_at is None for standing in standings),
        "rejected": sum(standing.outcome == "rejected" for standing in standings),
        "worst": worst[:TOP],
    }


def _late(view: View, standings: list[Standing]) -> Mapping[str, Any]:
    """Returns the datasets whose pull is overdue, longest first: the last time it was due passed without one."""
    asked = view.now - GRACE
    due = {
        schedule: instant(croniter(schedule, asked).get_prev(datetime))
        for schedule in {dataset.schedule for dataset in view.datasets if dataset.schedule}
    }
    schedules = {dataset.id: dataset.schedule for dataset in view.datasets if dataset.schedule}
    late = [s for s in standings if s.dataset in schedules and (s.pulled_at or "") < due[schedules[s.dataset]]]
    late.sort(key=lambda standing: (standing.pulled_at or "", standing.dataset))
    rows = [(each, schedules[each.dataset], due[schedules[each.dataset]]) for each in late[:LISTED]]
    return {"rows": rows, "count": len(late)}


def _failing(view: View) -> Mapping[str, Any]:
    """Returns deliveries that began and have not arrived, and what was refused lately."""
    state = view.exchange.state
    before, since = instant(view.now - PATIENCE), instant(view.now - RECENT)
    return {
        "unfinished": overview.unfinished(state, before=before, party=view.party, limit=LISTED),
        "refused": overview.refused(state, since=since, party=view.party, limit=LISTED),
    }


def _expiring(view: View) -> Mapping[str, Any]:
    """Returns approved agreements that have ended or end soon, the earliest first."""
    now, soon = instant(view.now), instant(view.now + SOON)
    ending = sorted((a for a in view.agreements if a.status in APPROVED and a.end <= soon), key=lambda a: (a.end, a.id))
    return {"rows": [(each, each.end < now) for each in ending[:LISTED]], "count": len(ending)}
