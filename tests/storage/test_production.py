"""The whole exchange on PostgreSQL and S3, which no embedded default stands in for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import crossdock
from crossdock import pipeline
from crossdock.ledger.counts import count
from crossdock.storage.local import LocalStore
from crossdock.storage.records import deliveries
from hamlet import found, tax_rows

PLUGINS = Path(crossdock.__file__).parents[1]
RUNS = 2


@pytest.fixture
def production(postgres, s3, monkeypatch):
    connection = s3.connection
    extra = json.dumps(dict(connection.extra))
    fields = {"conn_type": "aws", "login": connection.login, "password": connection.password, "extra": extra}

    def move():
        monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(fields))
        monkeypatch.setenv("CROSSDOCK_STATE", postgres.new_database()[1])
        monkeypatch.setenv("CROSSDOCK_STORE", f"s3://{s3.new_bucket()}/exchange?connection=store")

    return move


def test_several_runs_at_once_on_servers_do_what_one_does_on_the_embedded_default(tmp_path, production, monkeypatch):
    alone = found(tmp_path / "alone")
    alone.sweep()
    embedded = alone.open()
    assert isinstance(embedded.store, LocalStore)
    wanted = count(embedded.state, embedded.store, by=("dataset", "consumer"))

    production()
    hamlet = found(tmp_path / "servers")
    monkeypatch.setenv("CROSSDOCK_HOME", str(hamlet.home))
    with (tmp_path / "said.txt").open("w") as said:
        runs = [
            subprocess.Popen([sys.executable, "-m", "crossdock", "run"], stdout=said, stderr=said, cwd=PLUGINS)
            for _ in range(RUNS)
        ]
        assert [run.wait(120) for run in runs] == [1] * RUNS, (tmp_path / "said.txt").read_text()
    exchange = hamlet.open()
    assert not isinstance(exchange.store, LocalStore)
    assert exchange.state.engine.dialect.name == "postgresql"
    assert pipeline.check(exchange).sound
    assert count(exchange.state, exchange.store, by=("dataset", "consumer")) == wanted
    assert count(exchange.state, exchange.store, by=("dataset", "consumer"), recount=True) == wanted
    assert len(deliveries(exchange.state)) == len(deliveries(embedded.state))
    for table in ("residents", "permits"):
        assert tax_rows(hamlet, table) == tax_rows(alone, table)
    assert {key.partition("/")[0] for key in exchange.store.list("")} == {
        key.partition("/")[0] for key in embedded.store.list("")
    }
