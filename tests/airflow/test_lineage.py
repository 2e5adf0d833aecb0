"""What Airflow's OpenLineage provider emits of crossdock's tasks, read back from its file transport."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from hamlet import found
from hooks import hook
from provinces import ROOT, run

RUNNER = Path(__file__).with_name("dag_runs.py")
DAGS = ["receive__town_hall", "share__tax", "publish__town_hall", "receive__town_hall"]  # the last brings nothing new


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Three DAGs over a hamlet whose permits are all wrong, and which wants to be told: events, service, results."""
    hamlet = found(tmp_path_factory.mktemp("lineage"))
    home = hamlet.home
    shutil.copytree(ROOT / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "airflow.cfg", home)
    (home / "plugins").symlink_to(ROOT / "plugins")
    hamlet.write_permits([[f"P{n}", "SECRETHOLDER", "none", ""] for n in range(20)])
    with hook() as server:
        department = home / "contracts" / "town_hall" / "department.yaml"
        department.write_text(department.read_text("utf-8") + "findings: town_hook\n", "utf-8")
        hamlet.add_connection("town_hook", {"conn_type": "http", "host": server.url})
        yield _events(home), server, json.loads((home / "result.json").read_text()), hamlet


def _events(home, dags=DAGS):
    assert run(home, "-m", "crossdock.airflow.secrets").code == 0
    transport = {"type": "file", "log_file_path": str(home / "events.jsonl"), "append": True}
    ran = run(
        home, str(RUNNER), str(home / "result.json"), *dags, AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport)
    )
    assert ran.code == 0, ran.stderr[-3000:]
    return [json.loads(line) for line in (home / "events.jsonl").read_text().splitlines()]


@pytest.fixture
def events(ran):
    return ran[0]


@pytest.fixture(scope="module")
def later(ran):
    """The next day, on which the residents are all wrong, the permits right, and the consumer's database is none: events, results."""
    hamlet = ran[-1]
    hamlet.sql("UPDATE residents SET phone = 'SECRETHOLDER', changed_at = '2026-09-01 00:00:00'")
    hamlet.write_permits([[f"P{n}", f"R{n:04}", "1.00", ""] for n in range(20)])
    hamlet.tax.write_text("SECRETHOLDER is no database. " * 1000)
    return _events(hamlet.home, DAGS[:2])[len(ran[0]) :], json.loads((hamlet.home / "result.json").read_text())


def ended(events, kind, job):
    return [e for e in events if e["eventType"] == kind and e["job"]["name"].startswith(job)]


def datasets(events, side):
    return {d["name"]: d for event in events for d in event.get(side, [])}


def test_the_way_from_source_to_consumer_is_told(events):
    edges = {
        (given["name"], made["name"])
        for event in events
        if event["eventType"] == "COMPLETE"
        for given in event.get("inputs", [])
        for made in event.get("outputs", [])
    }
    for way in (
        [
            "default/source/town_hall/residents",
            "default/landing/town_hall/residents",
            "default/accepted/town_hall/residents",
        ],
        ["default/accepted/town_hall/residents", "default/consumer/tax/town_hall/residents"],
        ["default/landing/town_hall/residents", "default/quarantine/town_hall/residents"],
        ["default/accepted/town_hall/streets", "default/open/town_hall/streets"],
    ):
        assert set(pairwise(way)) <= edges
    named = {d["namespace"] for e in events for d in [*e.get("inputs", []), *e.get("outputs", [])]}
    assert named == {"crossdock://default"}  # scheme and authority, as OpenLineage has it
    residents = datasets(ended(events, "COMPLETE", "share__tax"), "outputs")["default/consumer/tax/town_hall/residents"]
    assert [each["name"] for each in residents["facets"]["ownership"]["owners"]] == ["department:tax"]


def reached(events, name):
    """Returns what a dataset leads to, as Marquez and others draw it: a job with what it told last, be it of a run that began or failed."""
    after = {}
    for event in {event["job"]["name"]: event for event in events}.values():
        for given in event.get("inputs", []):
            after.setdefault(given["name"], set()).update(made["name"] for made in event.get("outputs", []))

    def all_after(name):
        return {name}.union(*(all_after(each) for each in after.get(name, ())))

    return all_after(name)


RESIDENTS = {
    f"default/{area}/town_hall/residents" for area in ("source", "landing", "accepted", "quarantine", "consumer/tax")
}


def test_what_each_job_told_last_leads_from_every_source_to_every_consumer(events):
    (delivered,) = (
        place
        for place, event in enumerate(events)
        if event["eventType"] == "COMPLETE" and event["job"]["name"] == "share__tax.town_hall__residents"
    )
    for seen in range(delivered + 1, len(events) + 1):  # whatever else has begun meanwhile
        assert reached(events[:seen], "default/source/town_hall/residents") == RESIDENTS
    assert "default/open/town_hall/streets" in reached(events, "default/source/town_hall/streets")


def test_a_day_on_which_all_fails_cuts_no_way(events, later):
    told, result = later
    assert {each["state"] for each in result["runs"].values()} == {"failed"}
    residents = ended(told, "FAIL", "receive__town_hall.dataset.validate.town_hall.residents")
    accepted = datasets(residents, "outputs")["default/accepted/town_hall/residents"]
    assert accepted["outputFacets"]["outputStatistics"]["rowCount"] == 0
    for seen in range(len(told) + 1):
        assert reached([*events, *told[:seen]], "default/source/town_hall/residents") == RESIDENTS


def test_a_delivery_tells_what_left_and_whether_it_failed(later):
    told, _ = later
    (same,) = ended(told, "COMPLETE", "share__tax.town_hall__residents.")
    (kept,) = same["outputs"]
    assert kept["outputFacets"]["outputStatistics"]["rowCount"] == 0
    failed = ended(told, "FAIL", "share__tax.town_hall__permits.")
    assert failed
    assert [each["name"] for each in failed[0]["inputs"]] == ["default/accepted/town_hall/permits"]
    assert failed[0]["outputs"] == []  # nothing ever left


def test_a_failure_tells_no_value_of_a_row(later):
    assert "SECRETHOLDER" not in json.dumps(later[0], ensure_ascii=False)


def test_a_jobs_parent_is_the_task_that_did_it(events):
    runs = {event["run"]["runId"]: event["job"]["name"] for event in events}
    apart = [event for event in events if event["job"]["name"].startswith("receive__town_hall.dataset.pull.")]
    assert {event["job"]["name"].rpartition(".")[2] for event in apart} == {"residents", "permits", "streets"}
    for event in apart:
        parent = event["run"]["facets"]["parent"]
        assert parent["job"]["name"] == runs[parent["run"]["runId"]] == "receive__town_hall.dataset.pull"


def test_every_promise_is_an_assertion(events):
    first = next(each for each in ended(events, "COMPLETE", "receive__town_hall.dataset.validate.town_hall.residents"))
    judged = datasets([first], "inputs")["default/landing/town_hall/residents"]
    told = {each["name"]: each for each in judged["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert told["phone.pattern"]["success"] is False
    assert (told["phone.pattern"]["column"], told["phone.pattern"]["actual"]) == ("phone", "1 rows")
    assert told["resident_no.pattern"]["success"] is True
    assert told["born.type"]["success"] is False  # goes without saying in the contract
    assert judged["inputFacets"]["dataQualityMetrics"]["rowCount"] == 200


def test_a_rejected_extract_tells_why(events):
    failed = datasets(ended(events, "FAIL", "receive__town_hall"), "inputs")["default/landing/town_hall/permits"]
    broken = {a["name"] for a in failed["inputFacets"]["dataQualityAssertions"]["assertions"] if not a["success"]}
    assert {"fee.type", "tolerance"} <= broken
    made = datasets(ended(events, "FAIL", "receive__town_hall"), "outputs")
    assert "default/accepted/town_hall/permits" not in made
    assert made["default/quarantine/town_hall/permits"]["outputFacets"]["outputStatistics"]["rowCount"] == 20


def test_schemas_hold_what_left_and_nothing_else(events):
    made = datasets(ended(events, "COMPLETE", ""), "outputs")
    accepted = made["default/accepted/town_hall/residents"]["facets"]
    assert [field["name"] for field in accepted["schema"]["fields"]][:3] == ["resident_no", "name", "phone"]
    assert accepted["ownership"]["owners"][0]["name"] == "department:town_hall"
    left = made["default/consumer/tax/town_hall/residents"]
    assert [field["name"] for field in left["facets"]["schema"]["fields"]] == ["resident_no", "name", "phone", "street"]
    assert left["outputFacets"]["outputStatistics"]["rowCount"] == 174


def test_every_dataset_has_columns_and_an_alias_that_catalogues_of_tables_can_tell_apart(events):
    """They match the last two parts between dots, some by how a name ends: so none ends as another does."""
    aliases = {}
    for event in events:
        for each in [*event.get("inputs", []), *event.get("outputs", [])]:
            assert each["facets"]["schema"]["fields"], each["name"]
            (alias,) = each["facets"]["symlinks"]["identifiers"]
            assert (alias["namespace"], alias["type"]) == (each["namespace"], "CATALOG")
            aliases[each["name"]] = alias["name"]
    assert aliases["default/consumer/tax/town_hall/residents"] == "crossdock.of-town_hall-residents.consumer-tax"
    assert aliases["default/landing/town_hall/residents"] == "crossdock.of-town_hall-residents.landing"
    lasts = {name: name.split(".", 1)[1] for name in aliases.values()}
    assert len(lasts) == len(aliases)
    assert not [one for one in lasts for other, last in lasts.items() if one != other and one.endswith(last)]


def test_what_is_told_of_one_dataset_begins_and_ends_in_an_engine(events):
    apart = [event for event in events if event["producer"] == "urn:crossdock"]
    kinds = {}
    for event in apart:
        kinds.setdefault(event["run"]["runId"], []).append(event["eventType"])
        assert event["run"]["facets"]["processing_engine"]["name"] == "Airflow"
        assert event["job"]["facets"]["jobType"]["integration"] == "AIRFLOW"
    assert apart
    assert all(told[0] == "START" and told[1:] in (["COMPLETE"], ["FAIL"]) for told in kinds.values())


def test_no_value_of_a_row_and_no_address_is_told(events):
    text = json.dumps(events, ensure_ascii=False)
    for secret in ("SECRETHOLDER", "R0020", "王20", "00000020", "town.db", "tax.db"):
        assert secret not in text, secret


def test_the_department_is_told_of_its_rows_and_the_run_fails_all_the_same(ran):
    _, server, result, _ = ran
    told = {document["dataset"]: document for document in (json.loads(body) for _, body in server.taken)}
    assert told.keys() == {"town_hall/permits", "town_hall/residents"}
    assert (told["town_hall/permits"]["outcome"], len(told["town_hall/permits"]["failing"])) == ("rejected", 20)
    received = result["runs"]["receive__town_hall"]
    assert received["state"] == "failed"
    states = {state for task, state in received["tasks"].items() if task.startswith("dataset.notify")}
    assert states == {"success", "skipped"}  # the streets are all right
