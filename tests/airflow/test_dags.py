"""The DAGs as Airflow runs them: a hamlet in which two datasets are wrong, and the province's hand-written example.

`make demo`'s own run of every DAG over the province is in tests/e2e/test_province.py.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml

from crossdock.contracts.catalogue import load_catalogue
from crossdock.demo.provision import provision
from crossdock.exchange import open_exchange
from crossdock.storage.records import deliveries, verdicts
from hamlet import column, contract, found, key, tax_rows, write_yaml
from provinces import ROOT, lay_out, run

RUNNER = Path(__file__).with_name("dag_runs.py")
HAMLET_DAGS = ["receive__town_hall", "share__tax", "share__school", "share__court", "publish__town_hall", "audit"]


STEWARD_DAGS = ["quarantine__release", "quarantine__replay"]
TIMES = {"residents": "0 6 * * 1", "permits": "@daily"}


def set_frequency(agreement, frequency):
    document = yaml.safe_load(agreement.read_text("utf-8"))
    document["customProperties"][0]["value"]["frequency"] = frequency
    write_yaml(agreement, document)


def pulled_at(schedule):
    return {"slaProperties": [{"property": "frequency", "value": 1, "unit": "d", "schedule": schedule}]}


def starts(timetable):
    """The times and the assets that a serialised timetable starts runs at."""
    inner = timetable["__var"]
    expressions = inner.get("timetable", timetable)["__var"].get("expressions", [])
    assets = [asset["name"] for asset in inner.get("asset_condition", {}).get("objects", [])]
    return set(expressions), assets


def run_dags(home, *names, **environment):
    """Runs DAGs of a home in a process of their own; returns what came of them, and all that was logged."""
    assert run(home, "-m", "crossdock.airflow.secrets").code == 0
    ran = run(home, str(RUNNER), str(home / "result.json"), *names, **environment)
    assert ran.code == 0, ran.stderr[-5000:]
    return json.loads((home / "result.json").read_text()), ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def hamlet_run(tmp_path_factory):
    """A hamlet whose permits are nearly all wrong, and which promises a dataset that its town hall does not have."""
    hamlet = found(tmp_path_factory.mktemp("airflow"))
    shutil.copytree(ROOT / "dags", hamlet.home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "airflow.cfg", hamlet.home)
    (hamlet.home / "plugins").symlink_to(ROOT / "plugins")
    hamlet.write_permits([[f"P{n}", "SECRETHOLDER", "none", ""] for n in range(20)])
    source = {"kind": "files", "connection": "town_files", "path": "ghosts.csv", "format": "csv"}
    ghosts = contract("ghosts", [key("ghost_no"), column("name")], source=source)
    write_yaml(hamlet.contract("ghosts"), ghosts | pulled_at("@hourly"))
    write_yaml(
        hamlet.contract("permits"), yaml.safe_load(hamlet.contract("permits").read_text()) | pulled_at("0 3 * * *")
    )
    for dataset, consumer in (("residents", "tax"), ("residents", "school"), ("permits", "school")):
        set_frequency(hamlet.agreement(dataset, consumer), TIMES[dataset])
    result, log = run_dags(hamlet.home, *HAMLET_DAGS)
    return hamlet, result, log


def test_every_dag_loads(hamlet_run):
    _, result, _ = hamlet_run
    assert result["import_errors"] == {}
    assert sorted(result["dags"]) == sorted([*HAMLET_DAGS, *STEWARD_DAGS, "hand_written"])


def test_a_bad_dataset_fails_by_itself(hamlet_run):
    hamlet, result, _ = hamlet_run
    received = result["runs"]["receive__town_hall"]
    # in order: ghosts (no file), permits (rejected), streets, residents (refers to streets)
    assert received["tasks"] == {
        "due_datasets": "success",
        "dataset.pull[0]": "failed",
        "dataset.validate[0]": "upstream_failed",
        "dataset.pull[1]": "success",
        "dataset.validate[1]": "failed",
        "dataset.pull[2]": "success",
        "dataset.validate[2]": "success",
        "dataset.pull[3]": "success",
        "dataset.validate[3]": "success",
        "announce": "success",
        "all_went_well": "upstream_failed",
    }
    assert received["state"] == "failed"
    outcomes = {v.dataset: v.outcome for v in verdicts(open_exchange(hamlet.home).state)}
    assert outcomes == {
        "town_hall/permits": "rejected", "town_hall/streets": "accepted", "town_hall/residents": "partial",
    }  # fmt: skip


def test_mapped_tasks_are_labelled_with_their_dataset(hamlet_run):
    _, result, _ = hamlet_run
    labels = result["runs"]["receive__town_hall"]["labels"]
    assert labels.count("town_hall/residents") == labels.count("town_hall/streets") == 2


def test_what_may_not_leave_is_skipped_with_the_reason(hamlet_run):
    _, result, log = hamlet_run
    runs = result["runs"]
    assert runs["share__court"] == {"state": "success", "tasks": {"town_hall__residents": "skipped"}, "labels": []}
    assert runs["share__tax"]["tasks"] == {"town_hall__permits": "skipped", "town_hall__residents": "success"}
    assert "refused: The agreement expired" in log
    assert "waiting: The dataset has no accepted snapshot yet." in log


def test_what_is_right_is_delivered_published_and_audited(hamlet_run):
    hamlet, result, _ = hamlet_run
    for name in ("share__tax", "share__school", "publish__town_hall", "audit"):
        assert result["runs"][name]["state"] == "success"
    assert len(tax_rows(hamlet, "residents")) == 174
    exchange = open_exchange(hamlet.home)
    assert {d.agreement for d in deliveries(exchange.state)} == {
        "town_hall/residents/tax", "town_hall/residents/school", "town_hall/streets/public",
    }  # fmt: skip
    assert list(exchange.store.list("ledger/heads/"))  # the audit signed the day


def test_failures_say_what_and_how_to_mend_it_but_no_value(hamlet_run):
    hamlet, _, log = hamlet_run
    assert "ghosts.csv" in log
    assert "crossdock quarantine show" in log
    with sqlite3.connect(hamlet.home / "var" / "airflow.db") as database:
        dump = "\n".join(database.iterdump())
    database.close()
    logs = [f.read_text("utf-8", "replace") for f in (hamlet.home / "var" / "logs").rglob("*") if f.is_file()]
    assert not [text for text in (log, dump, *logs) if "SECRETHOLDER" in text]


def test_airflows_plugin_loader_leaves_crossdock_alone(hamlet_run):
    plugins = hamlet_run[1]["plugins"]
    assert plugins["loaded"] == ["crossdock", "OpenLineageProviderPlugin"]
    assert plugins["errors"] == {}
    assert plugins["executed"] == ["airflow_local_settings.py", "crossdock_plugin.py"]


def test_dags_run_at_every_time_of_their_agreements_and_on_changes_only_if_one_is_on_change(hamlet_run):
    schedules = {name: starts(each) for name, each in hamlet_run[1]["schedules"].items()}
    assert schedules["receive__town_hall"] == ({"0 * * * *", "0 3 * * *"}, [])
    assert schedules["share__court"] == (set(), ["town_hall"])
    assert schedules["share__tax"] == ({"0 6 * * 1"}, ["town_hall"])
    assert schedules["share__school"] == ({"0 6 * * 1", "0 0 * * *"}, [])
    assert schedules["publish__town_hall"] == (set(), ["town_hall"])


@pytest.fixture(scope="module")
def province_run(tmp_path_factory):
    home = tmp_path_factory.mktemp("province")
    lay_out(home)
    provision(home, people=300, enterprises=1_000)
    return home, *run_dags(home, "receive__civil_affairs", "hand_written")


def test_the_repositorys_dags_are_those_its_contracts_ask_for(province_run):
    _, result, _ = province_run
    catalogue = load_catalogue(ROOT / "contracts", transforms=ROOT / "transforms")
    wanted = {f"receive__{c.department}" for c in catalogue.contracts.values() if c.source}
    for each in catalogue.agreements.values():
        wanted.add(f"publish__{each.provider}" if each.is_publication else f"share__{each.consumer}")
    assert result["import_errors"] == {}
    assert set(result["dags"]) == wanted | {"audit", "hand_written", *STEWARD_DAGS}
    assert result["undocumented"] == []


def test_a_hand_written_dag_of_the_same_operators(province_run):
    home, result, _ = province_run
    assert {name: run["state"] for name, run in result["runs"].items()} == {
        "receive__civil_affairs": "success", "hand_written": "success",
    }  # fmt: skip
    assert set(result["runs"]["hand_written"]["tasks"].values()) == {"success"}
    made = {d.consumer: d.counts["inserted"] for d in deliveries(open_exchange(home).state)}
    assert made.keys() == {"tax", "human_resources"}
    assert min(made.values()) > 100


def test_a_steward_has_rows_judged_again(tmp_path):
    hamlet = found(tmp_path)
    shutil.copytree(ROOT / "dags", hamlet.home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "airflow.cfg", hamlet.home)
    (hamlet.home / "plugins").symlink_to(ROOT / "plugins")
    assert not hamlet.sweep().failures
    document = yaml.safe_load(hamlet.contract("permits").read_text("utf-8"))
    document["schema"][0]["properties"][2]["logicalTypeOptions"]["minimum"] = -5
    write_yaml(hamlet.contract("permits"), document)
    replays = [
        f"quarantine__replay={json.dumps({'dataset': f'town_hall/{name}'})}" for name in ("permits", "residents")
    ]
    events = hamlet.home / "events.jsonl"
    told = {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "file", "log_file_path": str(events), "append": True})
    }
    (result, _), (unchanged, _) = (run_dags(hamlet.home, replay, **told) for replay in replays)
    assert result["runs"]["quarantine__replay"] == {"state": "success", "tasks": {"replay": "success"}, "labels": []}
    assert unchanged["runs"]["quarantine__replay"]["tasks"] == {"replay": "skipped"}
    with sqlite3.connect(hamlet.home / "var" / "airflow.db") as database:
        told = database.execute(
            "SELECT DISTINCT a.name FROM asset_event e JOIN asset a ON a.id = e.asset_id"
        ).fetchall()
    database.close()
    assert told == [("town_hall",)]
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    told = [line for line in lines if line["job"]["name"] == "quarantine__replay.replay.town_hall.permits"]
    assert [line["eventType"] for line in told] == ["START", "COMPLETE"]
    mended = told[-1]
    assert [given["name"] for given in mended["inputs"]] == ["default/quarantine/town_hall/permits"]
    assert [made["name"] for made in mended["outputs"]] == ["default/accepted/town_hall/permits"]
