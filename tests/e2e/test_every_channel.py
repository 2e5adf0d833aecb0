"""Every channel, in full, as changes and recalling: killed at each of its steps, or worked on by several processes at once.

The consumer ends with exactly the agreed rows, and the ledger with exactly as many share events.
"""

from __future__ import annotations

import csv
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from crossdock import pipeline, recalls
from crossdock.ledger.counts import count
from crossdock.storage.records import deliveries
from delivery.consumers import COLUMNS, KINDS, Consumer, consumer
from hamlet import Hamlet, agreement, column, contract, found, key, write_yaml
from killing import KILLED, barrier, code, push, start, steps
from receiving import receiving

PEOPLE = "town_hall/people"
AGREED = f"{PEOPLE}/tax"
OPERATIONS = ["full", "changes", "recall"]  # a recall goes as changes here; test_kill has it in full


@dataclass
class Town:
    """A hamlet with one register and one consumer of it, and what that consumer must have."""

    hamlet: Hamlet
    system: Consumer
    mode: str
    rows: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of the register, by key
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by the consumer
    shares: int = 0
    deleted: int = 0
    round: int = 0

    def register(self) -> None:
        """Lets a person come, a person change and a person go."""
        self.round += 1
        n = self.round
        for number in (n, n + 100) if n > 1 else range(1, 9):
            self.rows[f"P{number:03}"] = (f"P{number:03}", f"张{number}, no. {n}", f"1380000{number:04}")
        self.rows.pop(f"P{n + 3:03}", None)
        with (self.hamlet.sources / "people.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.rows.values()])

    def validate(self) -> None:
        exchange = self.hamlet.open()
        pipeline.validate(exchange, pipeline.pull(exchange, PEOPLE).id)

    def due(self) -> tuple[dict[str, tuple[str, ...]], set[str], set[str]]:
        """What a push is to make of the consumer: its rows then, the keys that it gets, and those that it loses."""
        brought = {k for k, row in self.rows.items() if self.mode == "full" or self.held.get(k) != row}
        return dict(self.rows), brought, self.held.keys() - self.rows.keys() if self.mode == "changes" else set()

    def arrived(self, rows: dict[str, tuple[str, ...]], brought: set[str], gone: set[str]) -> None:
        """Demands that the consumer has these rows, and that the ledger has each share event once."""
        self.held, self.shares, self.deleted = rows, self.shares + len(brought), self.deleted + len(gone)
        assert self.system.rows() == rows
        exchange = self.hamlet.open()
        assert pipeline.check(exchange).sound
        assert {d.status for d in deliveries(exchange.state)} == {"delivered"}
        counted = [count(exchange.state, exchange.store, by=(), recount=recount) for recount in (False, True)]
        assert [each.shares for each in counted] == [self.shares] * 2
        assert sum(d.counts["deleted"] for d in deliveries(exchange.state)) == self.deleted

    def last(self) -> str:
        return deliveries(self.hamlet.open().state)[0].id


@pytest.fixture
def receiver(hamlet):
    """Web services that believe the hamlet's key; see `delivery.consumers`."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(receiving(folder, hamlet.open().keys.public()))


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path / "home")
    for dataset in ("residents", "permits", "streets"):
        shutil.rmtree(made.contract(dataset).parent)
    source = {"kind": "files", "connection": "town_files", "path": "people.csv", "format": "csv"}
    columns = [key("resident_id"), column("name"), column("phone")]
    write_yaml(made.contract("people"), contract("people", columns, source=source))
    return made


@pytest.fixture(params=[kind for kind in KINDS if kind not in ("folder-parquet", "folder-csv")])
def kind(request):
    return request.param


@pytest.fixture
def town(kind, operation, hamlet, tmp_path, request):
    """A town whose consumer has a first delivery."""
    system, mode = consumer(kind, tmp_path, request), "full" if operation == "full" else "changes"
    to = system.connection
    hamlet.add_connection(
        "tax_system",
        {"conn_type": to.type, "host": to.host, "port": to.port, "login": to.login, "password": to.password,
         "schema": to.schema, "extra": dict(to.extra)},
    )  # fmt: skip
    spec = {"channel": system.channel, "connection": "tax_system", "mode": mode, **system.options}
    write_yaml(hamlet.agreement("people", "tax"), agreement("people", "tax", list(COLUMNS), delivery=spec))
    made = Town(hamlet, system, mode)
    made.register()
    due = made.due()
    assert not hamlet.sweep().failures
    made.arrived(*due)
    return made


def to_die_at(channel: str) -> list[str]:
    """The steps of a channel, and that at which a delivery is made and not yet booked."""
    own = [step for step in steps() if step.startswith(f"delivery.{channel}.")]
    return [*(step for step in own if step != "delivery.database.altered"), "handover.sent"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_each_step(town, operation, tmp_path):
    for step in to_die_at(town.system.channel):
        town.register()
        if operation == "recall":
            killed_while_recalling(town, step)
            continue
        due, before = town.due(), town.held
        assert code(start(town.hamlet.home, fault=step)) == KILLED, step
        assert town.system.rows() in (before, due[0]), step
        assert not town.hamlet.sweep().failures
        town.arrived(*due)
    assert not [path for path in (tmp_path / "consumer").glob("*/.incoming/*") if path.name != "lock"]


def killed_while_recalling(town, step):
    due = town.due()
    assert not town.hamlet.sweep().failures
    town.arrived(*due)
    rows, brought, _ = due
    rest = {k: row for k, row in rows.items() if k not in brought}
    last = town.last()
    asked = ("deliveries", "recall", last, "--reason", "A mistake.", "--by", "steward")
    assert code(start(town.hamlet.home, fault=step, arguments=asked)) == KILLED, step
    assert town.system.rows() in (rows, rest), step
    recalls.recall(town.hamlet.open(), last, reason="A mistake.", by="steward")
    town.arrived(rest, set(), brought)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_several_workers_deliver_once(town, operation):
    town.register()
    due = town.due()
    if operation == "recall":
        assert not town.hamlet.sweep().failures
        town.arrived(*due)
        asked = ("deliveries", "recall", town.last(), "--reason", "A mistake.", "--by", "steward")
        workers = [start(town.hamlet.home, arguments=asked) for _ in range(3)]
        rows, brought, _ = due
        due = {k: row for k, row in rows.items() if k not in brought}, set(), brought
    else:
        town.validate()
        gate = barrier(3)
        workers = [push(town.hamlet.home, AGREED, gate) for _ in range(3)]
    assert [code(worker) for worker in workers] == [0] * 3, (town.hamlet.home / "said.txt").read_text()
    town.arrived(*due)
