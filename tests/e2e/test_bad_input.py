"""What is wrong is named with its file and its fix, fails by itself, and stops nothing else."""

from __future__ import annotations

import json
import shutil

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from crossdock import pipeline
from crossdock.cli import app
from crossdock.storage import tables
from crossdock.storage.records import extract_by_id, latest_snapshot, verdicts
from hamlet import REFUSED, found, open_rows, permits, tax_rows

FINDINGS, WRONG = 1, 2


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    hamlet = found(tmp_path_factory.mktemp("begun"))
    assert not hamlet.sweep().failures
    return hamlet


@pytest.fixture
def hamlet(begun, tmp_path, monkeypatch):
    """A hamlet after its first pass, to be spoiled."""
    home = tmp_path / "home"
    shutil.copytree(begun.home, home)
    connections = home / "var" / "connections.json"
    connections.write_text(connections.read_text().replace(str(begun.home), str(home)))
    monkeypatch.setenv("CROSSDOCK_HOME", str(home))
    return type(begun)(home)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A hamlet before its first pass, to be spoiled."""
    monkeypatch.setenv("CROSSDOCK_HOME", str(tmp_path))
    return found(tmp_path)


def run_cli(*arguments):
    return CliRunner().invoke(app, [*arguments])


def replace(file, old, new):
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def flat(text):
    """What a person reads, wherever the terminal broke the lines."""
    return " ".join(text.split())


def test_a_broken_contract(fresh):
    replace(fresh.contract("permits"), "logicalType: string", "logicalType: strnig")
    ran = run_cli("run")
    assert ran.exit_code == WRONG
    told = flat(ran.stderr + ran.stdout)
    assert "permits/contract.odcs.yaml" in told.replace(" ", "")
    assert "strnig" in told
    assert "string" in told
    assert len(tax_rows(fresh, "residents")) == 174
    assert len(open_rows(fresh.open(), "town_hall/streets")) == 9


def test_a_contract_that_is_no_yaml(fresh):
    fresh.contract("permits").write_text("schema: [", "utf-8")
    lint = run_cli("lint", "--json")
    assert lint.exit_code == WRONG
    problems = json.loads(lint.stdout)["problems"]
    assert {p["file"].rpartition("permits/")[2] for p in problems} >= {"contract.odcs.yaml"}
    assert run_cli("run").exit_code == WRONG
    assert len(tax_rows(fresh, "residents")) == 174


def test_an_agreement_with_an_unknown_column(fresh):
    replace(fresh.agreement("residents", "tax"), "- phone", "- phnoe")
    replace(fresh.agreement("residents", "tax"), "phone:", "phnoe:")
    ran = run_cli("run", "--json")
    assert ran.exit_code == WRONG
    document = json.loads(ran.stdout)
    assert any("tax.oaas.yaml" in p and "phnoe" in p and "'phone'" in p for p in document["problems"])
    served = {a["agreement"]: a["status"] for a in document["agreements"]}
    assert "town_hall/residents/tax" not in served
    assert {status for name, status in served.items() if name != REFUSED} == {"delivered"}


def failed(done):
    """The one step that failed: (verb, subject, message)."""
    (step,) = done.failures
    return step.verb, step.subject, str(step.error)


def others_went_on(done, dataset):
    assert {o.agreement for o in done.outcomes} >= {"town_hall/streets/public"}
    assert {v.dataset for v in done.verdicts} == {
        f"town_hall/{name}" for name in ("streets", "permits", "residents")
    } - {dataset}


def test_a_missing_file(hamlet):
    (hamlet.sources / "permits.csv").unlink()
    before = tax_rows(hamlet, "permits")
    done = hamlet.sweep()
    verb, subject, message = failed(done)
    assert (verb, subject) == ("pull", "town_hall/permits")
    assert "permits.csv" in message
    others_went_on(done, "town_hall/permits")
    assert tax_rows(hamlet, "permits") == before


def test_a_database_that_is_not_there(hamlet):
    (hamlet.sources / "town.db").unlink()
    done = hamlet.sweep()
    verb, subject, message = failed(done)
    assert (verb, subject) == ("pull", "town_hall/residents")
    assert "town_database" in message
    others_went_on(done, "town_hall/residents")
    assert len(tax_rows(hamlet, "residents")) == 174


def test_a_database_that_is_down(hamlet):
    address = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "u", "password": "hush", "schema": "d"}
    hamlet.add_connection("town_database", address)
    done = hamlet.sweep()
    verb, subject, message = failed(done)
    assert (verb, subject) == ("pull", "town_hall/residents")
    assert "town_database" in message
    assert "hush" not in message
    others_went_on(done, "town_hall/residents")


def test_a_consumer_that_is_down(hamlet):
    shutil.rmtree(hamlet.school)
    hamlet.write_permits(permits(P0010=[]))
    done = hamlet.sweep()
    verb, subject, message = failed(done)
    assert (verb, subject) == ("push", "town_hall/permits/school")
    assert "school_folder" in message
    assert "P0010" not in {row[0] for row in tax_rows(hamlet, "permits")}
    hamlet.school.mkdir()
    done = hamlet.sweep()
    assert not done.failures
    assert {o.agreement for o in done.outcomes if o.status == "delivered"} == {"town_hall/permits/school"}
    assert pipeline.check(hamlet.open()).sound


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"permit_no,holder,fee,remark\nP1,R1,1.00,x\nP2,R2,1.00\n", "line 3"),
        (b"permit_no,holder,fee,remark\nP1,R1,1.00,x\nP2,R2,1.00,a,b\n", "line 3"),
        ("permit_no,holder,fee,remark\nP1,王,1.00,x\n".encode("gb18030"), "utf-8"),
        (b"permit_no,holder,holder,remark\nP1,R1,1.00,x\n", "holder"),
    ],
)
def test_a_file_that_is_not_as_the_contract_says(hamlet, content, named):
    (hamlet.sources / "permits.csv").write_bytes(content)
    done = hamlet.sweep()
    verb, subject, message = failed(done)
    assert (verb, subject) == ("pull", "town_hall/permits")
    assert "permits.csv" in message
    assert named in message.lower()
    others_went_on(done, "town_hall/permits")


def test_an_unknown_connection(hamlet):
    replace(hamlet.contract("permits"), "town_files", "town_fields")
    verb, subject, message = failed(hamlet.sweep())
    assert (verb, subject) == ("pull", "town_hall/permits")
    assert "town_fields" in message
    assert "Did you mean 'town_files'?" in message


def test_what_failed_is_shown_with_its_fix_and_fails_the_command(hamlet):
    replace(hamlet.contract("permits"), "town_files", "town_fields")
    ran = run_cli("run")
    assert ran.exit_code == FINDINGS
    assert "failed pull town_hall/permits" in ran.stderr
    assert "Did you mean 'town_files'?" in flat(ran.stderr)
    assert "town_hall/streets/public" in ran.stdout


@pytest.mark.usefixtures("hamlet")
def test_an_unknown_dataset():
    ran = run_cli("run", "town_hall/permit")
    assert ran.exit_code == WRONG
    assert "Did you mean 'town_hall/permits'?" in flat(ran.stderr)
    assert ran.stdout == ""


def test_a_rejected_extract_leaves_the_last_snapshot_in_force_and_stays_in_landing(hamlet):
    before = tax_rows(hamlet, "permits")
    state = hamlet.open().state
    in_force = latest_snapshot(state, "town_hall/permits")
    bad = [[f"P{n:04}", f"R{n:04}", "no fee", ""] for n in range(60)]
    hamlet.write_permits([*bad, ["P0060", "R0060", "1.00", ""]])
    done = hamlet.sweep()
    (verdict,) = (v for v in done.verdicts if v.dataset == "town_hall/permits")
    assert (verdict.outcome, verdict.accepted, verdict.quarantined) == ("rejected", 0, 61)
    assert not done.failures
    assert latest_snapshot(state, "town_hall/permits") == in_force
    assert tax_rows(hamlet, "permits") == before
    exchange = hamlet.open()
    landed = exchange.dataset(extract_by_id(state, verdict.extract).key)
    assert landed.count_rows() == 61
    assert exchange.dataset(verdict.quarantine_key).count_rows() == 61
    assert {o.status for o in done.outcomes if "permits" in o.agreement} == {"unchanged"}
    hamlet.write_permits(permits(P0010=[]))
    assert "P0010" not in {row[0] for row in tax_rows(hamlet, "permits")} or not hamlet.sweep().failures
    assert "P0010" not in {row[0] for row in tax_rows(hamlet, "permits")}


def test_what_was_pulled_is_kept_when_the_judge_fails(hamlet):
    """A transform that breaks its promise fails the judgement; the extract stays, and is judged once it is mended."""
    broken = "import pyarrow as pa\n\ndef shorten(batch: pa.RecordBatch, *, columns) -> pa.RecordBatch:\n    return batch[1:]\n"
    (hamlet.home / "transforms" / "shorten.py").write_text(broken)
    replace(hamlet.contract("permits"), "tolerance:", "transforms: [{use: shorten, columns: [holder]}]\n    tolerance:")
    hamlet.write_permits(permits(P0010=[]))
    done = hamlet.sweep()
    verb, subject, message = failed(done)
    assert (verb, subject) == ("validate", "town_hall/permits")
    assert "shorten" in message
    exchange = hamlet.open()
    with exchange.state.connect() as connection:
        keys = connection.execute(
            sa.select(tables.extract.c.key).where(tables.extract.c.dataset == "town_hall/permits")
        ).scalars().all()  # fmt: skip
    assert len(keys) == 2
    assert all(exchange.store.exists(key) for key in keys)
    (hamlet.home / "transforms" / "shorten.py").write_text(broken.replace("batch[1:]", "batch"))
    assert not hamlet.sweep().failures
    assert "P0010" not in {row[0] for row in tax_rows(hamlet, "permits")}


def test_a_dataset_whose_reference_was_never_accepted_waits(fresh):
    (fresh.sources / "streets.csv").unlink()
    done = fresh.sweep()
    failures = {(s.verb, s.subject): str(s.error) for s in done.failures}
    assert failures.keys() == {("pull", "town_hall/streets"), ("validate", "town_hall/residents")}
    assert "crossdock run town_hall/streets" in failures["validate", "town_hall/residents"]
    assert {o.status for o in done.outcomes if "residents" in o.agreement and o.agreement != REFUSED} == {"waiting"}
    assert verdicts(fresh.open().state, dataset="town_hall/residents") == []
    assert len(tax_rows(fresh, "permits")) == 88
