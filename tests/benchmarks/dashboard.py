"""`make bench`: how fast the dashboard answers for a province after a year of 19 million shares.

66 departments, 2,001 datasets with three agreements each, one pull, verdict, snapshot and delivery per day and
agreement: 730 thousand verdicts, 2.2 million deliveries, 19 million shares. The state is filled by SQL, in the form
that the pipeline gives it; the rollup holds what those deliveries add up to. Where chromium is, the page is opened in it.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from measuring import Timed, machine, medians, timed

from crossdock.display import terminal
from crossdock.exchange import Exchange, open_exchange
from crossdock.ledger import rollup
from crossdock.storage import overview
from crossdock.web.dashboard import View, dashboard, this_year
from hamlet import agreement, contract, key

DEPARTMENTS, DATASETS, CONSUMERS = 66, 2_001, 3
SHARES = 19_000_000
ROUNDS = 9
FINDING = {"rule": "name.not_null", "column": "name", "reason": "It is missing", "rows": 2, "severity": "error"}


def lay_out(home: Path) -> dict[str, list[str]]:
    """Writes departments, contracts and agreements; returns each dataset's consumers."""
    dice = random.Random(19)
    names = [f"department_{number:02}" for number in range(DEPARTMENTS)]
    for name in names:
        write(home / name / "department.yaml", {"id": name, "name": {"zh": f"部门{name[-2:]}", "en": name}})
    consumers = {}
    for number in range(DATASETS):
        provider = names[number % DEPARTMENTS]
        dataset = f"{provider}/dataset_{number:04}"
        consumers[dataset] = [*dice.sample([n for n in names if n != provider], CONSUMERS - 1), "public"]
        source = {"kind": "files", "connection": "files", "path": "rows.csv", "format": "csv"}
        document = contract(f"d{number}", [key("code")], source=source)
        document |= {
            "domain": f"theme_{number % 20}",
            "slaProperties": [{"property": "frequency", "value": 1, "unit": "d"}],
        }
        write(home / dataset / "contract.odcs.yaml", document)
        for consumer in consumers[dataset]:
            folder = {"channel": "folder", "connection": "files", "mode": "full", "path": "rows"}
            more = {"licence": "CC0-1.0"} if consumer == "public" else {"delivery": folder}
            agreed = agreement(f"d{number}", consumer, ["code"], **more) | {"provider": {"department": provider}}
            write(home / dataset / "agreements" / f"{consumer}.oaas.yaml", agreed)
    return consumers


def write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")  # JSON is YAML


def fill(database: Path, consumers: dict[str, list[str]], days: list[str]) -> int:
    """Fills the state; returns how many shares there are."""
    each = SHARES // (len(consumers) * CONSUMERS * len(days))
    with sqlite3.connect(database) as state:
        state.execute("PRAGMA synchronous=OFF")
        state.execute("PRAGMA foreign_keys=OFF")
        insert(state, "extract", ((f"x{d}/{s}", s, "k", 100, "0", "0", "{}", 0, at(d)) for d in days for s in consumers),
               "id, dataset, key, rows, sha256, digest, drift, incremental, pulled_at")  # fmt: skip
        insert(state, "verdict", verdicts(consumers, days),
               "id, extract, dataset, contract_version, contract_digest, outcome, rows, accepted, quarantined, "
               "accepted_digest, quarantined_digest, findings, result_key, validated_at")  # fmt: skip
        insert(state, "quarantine", ((f"v{d}/{s}", s, 2, "open" if d == days[-1] else "superseded", at(d)) for d in days for s in consumers),
               "id, dataset, rows, status, opened_at")  # fmt: skip
        insert(state, "snapshot", ((f"s{d}/{s}", s, f"v{d}/{s}", "k", 98, "0", "0", at(d)) for d in days for s in consumers),
               "id, dataset, verdict, key, rows, sha256, digest, accepted_at")  # fmt: skip
        insert(state, "delivery", deliveries(consumers, days, each),
               "id, agreement, agreement_version, agreement_digest, dataset, department, consumer, channel, mode, snapshot, "
               "snapshot_seq, status, intended_at, delivered_at, counts, manifest_key")  # fmt: skip
        sum_up(state, consumers, days, each)
        state.execute("ANALYZE")
    state.close()
    return each * len(consumers) * CONSUMERS * len(days)


def at(day: str) -> str:
    return f"{day}T03:00:00.000000+00:00"


def verdicts(consumers: dict[str, list[str]], days: list[str]) -> Iterator[tuple[object, ...]]:
    findings = json.dumps([FINDING, FINDING | {"rule": "born.type", "reason": "It is no valid date"}])
    for day in days:
        for name in consumers:
            judged = ("1.0.0", "0", "partial", 100, 98, 2, "0", "0", findings, "k", at(day))
            yield (f"v{day}/{name}", f"x{day}/{name}", name, *judged)


def deliveries(consumers: dict[str, list[str]], days: list[str], each: int) -> Iterator[tuple[object, ...]]:
    counts = json.dumps({"accepted": each, "inserted": each, "updated": 0, "deleted": 0, "unchanged": 0, "filtered": 0})
    for day in days:
        for name, receiving in consumers.items():
            for consumer in receiving:
                how = ("folder", "full", f"s{day}/{name}", 1, "delivered", at(day), at(day), counts, "outbox/k")
                agreed = (f"{name}/{consumer}", "1.0.0", "0", name, name.partition("/")[0], consumer)
                yield (f"{day}/{name}/{consumer}", *agreed, *how)


def sum_up(state: sqlite3.Connection, consumers: dict[str, list[str]], days: list[str], each: int) -> None:
    by_day: Counter[tuple[str, str]] = Counter()
    for name, receiving in consumers.items():
        by_day.update([("provider", name.partition("/")[0])] * len(receiving))
        by_day.update(("consumer", consumer) for consumer in receiving)
    rows = ((day, *party, made * each, made) for day in days for party, made in by_day.items())
    insert(state, "share_day", rows, "day, role, party, shares, deliveries")
    names = ("department", "dataset", "theme", "sharing", "consumer", "channel", "agreement", "purpose")
    for table, period, periods in (
        ("share_month", "month", Counter(day[:7] for day in days)), ("share_count", "day", Counter(days)),
    ):  # fmt: skip
        rows = (
            (f"{key}/{name}/{consumer}", key, name.partition("/")[0], name, "theme", "conditional", consumer, "folder",
             f"{name}/{consumer}", "A test.", made * each, made)
            for key, made in periods.items() for name, receiving in consumers.items() for consumer in receiving
        )  # fmt: skip
        insert(state, table, rows, f"id, {period}, {', '.join(names)}, shares, deliveries")


def insert(state: sqlite3.Connection, table: str, rows: Iterator[tuple[object, ...]], columns: str) -> None:
    places = ", ".join("?" * len(columns.split(",")))
    state.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)
    state.commit()


def measure(exchange: Exchange, times: Timed) -> None:
    """Asks each question of the dashboard, and for whole pages, several times."""
    state, year = exchange.state, this_year(exchange.clock())
    year = rollup.months(state) or year
    datasets = sorted(exchange.catalogue.contracts)
    questions = {
        "shares per day": lambda: rollup.daily(state, year, role="provider"),
        "shares by dataset and consumer": lambda: rollup.monthly(state, year, by=("dataset", "consumer", "department")),
        "how 2,001 datasets stand": lambda: overview.standings(state, datasets),
        "what quarantine holds": lambda: overview.open_findings(state),
        "newest deliveries": lambda: overview.newest_deliveries(state, party=None, limit=20),
        "newest deliveries of one department": lambda: overview.newest_deliveries(
            state, party="department_07", limit=20
        ),
        "unfinished deliveries": lambda: overview.unfinished(state, before=at("2999-01-01"), party=None, limit=20),
        "one dataset's verdicts": lambda: overview.judged(state, datasets[7], limit=60),
        "all of the dashboard": lambda: dashboard(View(exchange=open_exchange(exchange.home), party=None, period=year)),
        "one department's dashboard": lambda: dashboard(View(exchange=exchange, party="department_07", period=year)),
    }
    for _ in range(ROUNDS):
        for name, work in questions.items():
            timed(times, name, work)


def serve(home: Path, times: Timed) -> int:
    """Asks for the page as a browser's first request does; returns its bytes."""
    year = "from=2000-01&until=2999-12&lang=en"
    with subprocess.Popen(
        [sys.executable, "-m", "crossdock", "dashboard"], cwd=home, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            address = server.stdout.readline().split(": ", 1)[1].strip()
            root = address.partition("/enter")[0]
            if shutil.which("chromium"):
                open_in_browser(address, f"{root}/?{year}", times)
                return 0
            with httpx.Client(follow_redirects=True) as client:
                client.get(address)
                pages = [timed(times, "page over HTTP", lambda: client.get(f"{root}/?{year}")) for _ in range(ROUNDS)]
            return len(pages[0].raise_for_status().content)
        finally:
            server.terminate()


def open_in_browser(address: str, page: str, times: Timed) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = chromium.new_page()
        tab.goto(address)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            tab.goto(page, wait_until="commit")
            tab.wait_for_selector("h1")
            times.setdefault("in chromium, until the numbers stand", []).append(time.perf_counter() - start)
            for words, drawn in (("what is seen", ""), ("all", "=all")):
                tab.wait_for_selector(f"html[data-drawn{drawn}]")
                times.setdefault(f"in chromium, until {words} is drawn", []).append(time.perf_counter() - start)
        chromium.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    wanted = parser.parse_args()
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=back)).isoformat() for back in reversed(range(wanted.days))]
    times: Timed = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "transforms").mkdir()
        consumers = lay_out(home / "contracts")
        exchange = open_exchange(home)
        shares = fill(home / "var" / "state.db", consumers, days)
        timed(
            times,
            "compiling the index of the contracts, once",
            lambda: View(exchange=exchange, party=None, period=this_year(exchange.clock())).index,
        )
        measure(exchange, times)
        serve(home, times)
        size = (home / "var" / "state.db").stat().st_size
    title = f"{shares:,} shares, {len(consumers) * CONSUMERS * len(days):,} deliveries, {size / 1e9:.1f} GB of state; {machine('sqlalchemy', 'plotly')}"
    shown = terminal.table(title, "question", ">median ms", ">worst ms")
    for name, median in medians(times).items():
        shown.add_row(name, f"{median * 1000:,.1f}", f"{max(times[name]) * 1000:,.1f}")
    terminal.out.print(shown)


if __name__ == "__main__":
    main()
