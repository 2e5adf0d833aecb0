"""Several processes at once do what one would have done."""

from __future__ import annotations

import pytest

from crossdock import pipeline
from crossdock.ledger.counts import count
from crossdock.storage.records import deliveries
from hamlet import found, school_files, tax_rows
from killing import barrier, code, push, start


def test_several_runs_at_once_deliver_once(tmp_path):
    hamlet = found(tmp_path)
    alone = found(tmp_path / "alone")
    runs = [start(hamlet.home) for _ in range(3)]
    assert [code(run) for run in runs] == [1, 1, 1], (hamlet.home / "said.txt").read_text()
    alone.sweep()
    for table in ("residents", "permits"):
        assert tax_rows(hamlet, table) == tax_rows(alone, table)
    exchanges = hamlet.open(), alone.open()
    assert pipeline.check(exchanges[0]).sound
    counts = [count(e.state, e.store, by=("dataset", "consumer")) for e in exchanges]
    assert counts[0] == counts[1]
    assert len(deliveries(exchanges[0].state)) == 5


@pytest.mark.parametrize("agreement", ["town_hall/residents/tax", "town_hall/permits/school"])
def test_one_agreement_pushed_by_several_processes_is_one_delivery(tmp_path, agreement):
    hamlet = found(tmp_path)
    exchange = hamlet.open()
    for dataset in ("town_hall/streets", agreement.rpartition("/")[0]):
        pipeline.validate(exchange, pipeline.pull(exchange, dataset).id)
    gate = barrier(4)
    pushes = [push(hamlet.home, agreement, gate) for _ in range(4)]
    assert [code(process) for process in pushes] == [0] * 4
    (delivery,) = deliveries(exchange.state)
    assert delivery.status == "delivered"
    counted = count(exchange.state, exchange.store, by=(), recount=True)
    assert (counted.deliveries, counted.shares) == (1, delivery.counts["inserted"])
    held = tax_rows(hamlet, "residents") if agreement.endswith("tax") else list(school_files(hamlet))
    assert len(held) == (174 if agreement.endswith("tax") else 1)
    assert pipeline.check(exchange).sound
