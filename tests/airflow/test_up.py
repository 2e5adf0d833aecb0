"""The whole of Airflow, started as `make up` starts it, beside the province that the demo left.

One agreement of the tax department is served on New Year's Day only; its others, whenever something changes.
"""

import contextlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from airfields import copy_of, environment
from crossdock.airflow.api import AirflowApi
from crossdock.airflow.secrets import password
from crossdock.exchange import open_exchange
from crossdock.reviews import requests
from crossdock.storage.quarantine import entries, waivers
from crossdock.storage.records import deliveries
from ports import free_port

PATIENCE = 240
ENTERPRISES = "market_regulation/enterprises"
YEARLY = f"{ENTERPRISES}/tax"
REQUESTED = f"{ENTERPRISES}/statistics"
REWORDED = f"{ENTERPRISES}/civil_affairs"
FOLLOWS = {"share__statistics", "publish__civil_affairs", "publish__transport"}
SUCCEEDED = re.compile(r"success\s+(\S+)")


def processes_of(home):
    """The processes whose AIRFLOW_HOME is this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"AIRFLOW_HOME={home}".encode() in words:
            found.append(folder.name)
    return found


def wait_for(condition, started, output):
    deadline = time.monotonic() + PATIENCE
    while not condition(output.read_text()):
        assert started.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.5)


def answer(api, dag, run, task, said):
    """Waits for Airflow to ask, and answers."""
    deadline = time.monotonic() + PATIENCE
    while not (asked := api._ask("GET", f"{dag}/dagRuns/{run}/hitlDetails")["hitl_details"]):
        assert time.monotonic() < deadline
        time.sleep(1)
    time.sleep(5)  # an answer in the same second would overtake what the scheduler still hears of the question
    api._ask("PATCH", f"{dag}/dagRuns/{run}/taskInstances/{task}/-1/hitlDetails", json=said)
    return asked[0]


def asked_again(api, dag, run):
    """Waits until Airflow has put a question anew."""
    until(lambda: not api._ask("GET", f"{dag}/dagRuns/{run}/hitlDetails")["hitl_details"][0]["response_received"])


def approve_request(api):
    """Says yes to what the statistics bureau asked for; the review started by itself."""
    name = f"review__{REQUESTED.replace('/', '__')}__"
    (dag,) = (f"/dags/{each['dag_id']}" for each in api.dags() if each["dag_id"].startswith(name))
    (run,) = api._ask("GET", f"{dag}/dagRuns")["dag_runs"]
    no = {"chosen_options": ["驳回 Reject"], "params_input": {"reason": ""}}
    answer(api, dag, run["dag_run_id"], "answer", no)  # a rejection needs a reason, an approval none
    asked_again(api, dag, run["dag_run_id"])
    yes = {"chosen_options": ["批准 Approve"], "params_input": {"reason": "As agreed."}}
    asked = answer(api, dag, run["dag_run_id"], "answer", yes)
    english = f"Administration for Market Regulation gives to Bureau of Statistics: {ENTERPRISES}?"
    assert asked["subject"] == f"市场监督管理局向统计局提供 {ENTERPRISES}？ {english}"
    assert "| credit_code |" in asked["body"]


def word_anew(api, home, file):
    """Changes a request that is being asked, and lets the hour pass after which its question looks again."""
    name = f"review__{REWORDED.replace('/', '__')}__"
    (dag,) = (each["dag_id"] for each in api.dags() if each["dag_id"].startswith(name))
    (run,) = api._ask("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
    asked = f"/dags/{dag}/dagRuns/{run['dag_run_id']}/taskInstances/answer"
    until(lambda: api._ask("GET", asked)["state"] == "awaiting_input")
    file.write_text(file.read_text("utf-8").replace("version: 0.1.0", "version: 0.2.0"), "utf-8")
    until(lambda: sum(each["dag_id"].startswith(name) for each in api.dags()) == 2)
    with contextlib.closing(sqlite3.connect(home / "var" / "airflow.db", timeout=60)) as database, database:
        told = database.execute(
            "update task_instance set trigger_timeout = '2026-01-01 00:00:00.000000' where dag_id = ? and state = 'awaiting_input'",
            [dag],
        )
        assert told.rowcount == 1


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1)


def approve_release(api, home):
    """Asks for a release of the enterprises' quarantined rows, waits for Airflow to ask back, and approves."""
    (entry,) = entries(open_exchange(home).state, dataset=ENTERPRISES, status="open")
    dag = "/dags/quarantine__release"
    run = api._ask("POST", f"{dag}/dagRuns", json={"logical_date": None, "conf": {"verdict": entry.id}})["dag_run_id"]
    said = {"chosen_options": ["Approve"], "params_input": {"reason": " "}}
    answer(api, dag, run, "approve", said)  # gives no reason, so the question comes again
    asked_again(api, dag, run)
    said = {"chosen_options": ["Approve"], "params_input": {"reason": "Checked by telephone."}}
    asked = answer(api, dag, run, "approve", said)
    assert asked["subject"] == f"Release {entry.rows} rows of {ENTERPRISES}?"


@pytest.fixture(scope="module")
def statsd():
    """A StatsD server: its port, and the lines that it has heard."""
    heard = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        ended = threading.Event()

        def listen():
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    heard.extend(server.recv(65_536).decode().splitlines())

        listener = threading.Thread(target=listen)
        listener.start()
        yield server.getsockname()[1], heard
        ended.set()
        listener.join()


def metrics_to(port):
    """Airflow's own settings; in this form StatsD keeps tags."""
    settings = {
        "STATSD_ON": "True",
        "STATSD_HOST": "127.0.0.1",
        "STATSD_PORT": str(port),
        "STATSD_INFLUXDB_ENABLED": "True",
    }
    return {f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()}


@pytest.fixture(scope="module")
def airflow(demo_home, tmp_path_factory, statsd):
    """Airflow up in a copy of the demo's home, until what it started by itself has run; then what it said and left."""
    home = copy_of(demo_home, tmp_path_factory.mktemp("up") / "home")
    agreement = home / "contracts" / YEARLY.replace("/tax", "/agreements/tax.oaas.yaml")
    agreement.write_text(agreement.read_text("utf-8").replace("frequency: on_change", "frequency: 0 0 1 1 *"), "utf-8")
    request = home / "contracts" / ENTERPRISES / "agreements" / "statistics.oaas.yaml"
    request.write_text(request.read_text("utf-8").replace("status: draft", "status: requested"), "utf-8")
    other = request.with_name(f"{REWORDED.rpartition('/')[2]}.oaas.yaml")
    other.write_text(request.read_text("utf-8").replace("statistics", "civil_affairs"), "utf-8")
    port = free_port()
    output = home.parent / "output.txt"
    receives = {f"receive__{folder.name}" for folder in (home / "contracts").iterdir() if any(folder.glob("*/"))}
    with output.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, "-m", "crossdock.airflow.up"],
            cwd=home,
            env=environment(home, port) | metrics_to(statsd[0]),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda said: "Airflow runs at" in said, started, output)
        listening = listeners(processes_of(home))
        wait_for(
            lambda said: receives | FOLLOWS <= set(SUCCEEDED.findall(said)) and "share__tax asset_triggered" in said,
            started,
            output,
        )
        with AirflowApi(f"http://127.0.0.1:{port}", "admin", password(home, "admin")) as api:
            approve_release(api, home)
            wait_for(lambda said: "share__human_resources" in said.partition("quarantine__release")[2], started, output)
            approve_request(api)
            word_anew(api, home, other)
        wait_for(lambda said: "share__statistics" in said.partition("review__")[2], started, output)
        wait_for(lambda said: f"review__{REWORDED.replace('/', '__')}" in said, started, output)
        started.send_signal(signal.SIGTERM)
        code = started.wait(60)
    finally:
        started.terminate()
        started.wait(60)  # it ends its servers
    return home, port, output.read_text(), listening, code


def listeners(numbers):
    """The addresses (hexadecimal, as the kernel writes them) on which these processes accept TCP connections."""
    sockets = set()
    for number in numbers:
        for link in Path(f"/proc/{number}/fd").glob("*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].rpartition(":")[0] for row in rows if row[3] == "0A" and row[9] in sockets}


def test_it_says_where_it_runs_and_where_the_password_is(airflow):
    home, port, said, *_ = airflow
    assert f"http://127.0.0.1:{port}" in said
    assert "var/secrets/passwords.json" in said
    secrets = [file.read_text() for file in (home / "var" / "secrets").iterdir() if file.suffix != ".json"]
    assert not any(secret in said for secret in secrets)


def test_data_flows_without_anybody_asking(airflow):
    _, _, said, *_ = airflow
    assert set(SUCCEEDED.findall(said)) >= FOLLOWS
    assert "failed" not in said


def test_an_agreement_with_times_of_its_own_is_not_served_because_of_a_change(airflow):
    home, *_ = airflow
    with sqlite3.connect(home / "var" / "airflow.db") as database:
        rows = database.execute(
            "select r.run_type, t.task_id, t.state from task_instance t join dag_run r using (dag_id, run_id)"
            " where dag_id = 'share__tax' and r.run_type != 'manual' and r.state = 'success'"
        ).fetchall()
    database.close()
    assert "asset_triggered" in {kind for kind, *_ in rows}
    enterprises = ENTERPRISES.replace("/", "__")
    assert {state for _, task, state in rows if task == enterprises} == {"skipped"}
    assert {state for _, task, state in rows if task != enterprises} == {"success"}
    exchange = open_exchange(home)
    made = [d for d in deliveries(exchange.state) if d.agreement == YEARLY]
    assert [d.agreement_digest == exchange.agreement(YEARLY).digest for d in made] == [False]  # the demo's, before


def test_a_person_releases_rows_and_who_has_an_agreement_receives_them(airflow):
    home, *_ = airflow
    exchange = open_exchange(home)
    (waiver,) = waivers(exchange.state, ENTERPRISES)
    assert (waiver.reason, waiver.released_by) == ("Checked by telephone.", "admin")
    (left,) = entries(exchange.state, dataset=ENTERPRISES, status="open")
    (before,) = entries(exchange.state, dataset=ENTERPRISES, status="replayed")
    assert (before.id, before.rows - left.rows) == (waiver.verdict, waiver.rows)
    received = [d for d in deliveries(exchange.state) if d.agreement == f"{ENTERPRISES}/human_resources"]
    assert received[0].counts["accepted"] == received[1].counts["accepted"] + waiver.rows


def test_a_person_approves_a_request_and_its_data_follows(airflow):
    home, *_ = airflow
    exchange = open_exchange(home)
    (asked,) = (each for each in requests(exchange) if each.agreement == REQUESTED)
    assert (asked.review.approved, asked.review.reason, asked.review.reviewed_by) == (True, "As agreed.", "admin")
    (made,) = (d for d in deliveries(exchange.state) if d.agreement == REQUESTED)
    assert made.status == "delivered"
    assert made.delivered_at > asked.review.reviewed_at


def test_a_question_about_a_request_that_was_worded_anew_ends(airflow):
    home, *_ = airflow
    with contextlib.closing(sqlite3.connect(home / "var" / "airflow.db")) as database:
        rows = database.execute(
            "select r.dag_id, r.state, t.task_id, t.state from task_instance t join dag_run r using (dag_id, run_id)"
            " where dag_id like ?", [f"review__{REWORDED.replace('/', '__')}__%"],
        ).fetchall()  # fmt: skip
    ended = {(dag, state): {task: of for name, _, task, of in rows if name == dag} for dag, state, *_ in rows}
    assert sorted(state for _, state in ended) == ["running", "success"]
    (tasks,) = (tasks for (_, state), tasks in ended.items() if state == "success")
    assert tasks == {"look": "success", "answer": "skipped", "record": "skipped"}
    logs = "".join(file.read_text("utf-8") for file in (home / "var" / "logs").rglob("task_id=answer/*.log"))
    assert "The request was worded anew, and is asked anew." in logs


def test_a_request_that_is_late_raises_airflows_alarm(airflow):
    home, *_ = airflow
    with sqlite3.connect(home / "var" / "airflow.db") as database:
        missed = database.execute(
            "select substr(r.dag_id, 1, 6), d.missed from deadline d join dag_run r on r.id = d.dagrun_id"
        ).fetchall()
    database.close()
    assert ("review", 1) in missed


@pytest.mark.usefixtures("airflow")
def test_airflows_metrics_tell_of_shares(statsd):
    _, heard = statsd
    ours = {line for line in heard if line.startswith("airflow.crossdock.")}
    names = {re.split("[,:]", line)[0].removeprefix("airflow.crossdock.") for line in ours}
    assert names >= {
        "rows.pulled", "rows.accepted", "rows.quarantined", "verdicts.partial", "shares", "handovers.delivered",
        "pull.duration", "validate.duration", "push.duration", "publish.duration",
    }  # fmt: skip
    tags = "department=market_regulation,dataset=enterprises,consumer=statistics"
    shared = [line for line in ours if line.startswith(f"airflow.crossdock.shares,{tags}:")]
    assert any(int(line.rpartition(":")[2].partition("|")[0]) > 0 for line in shared)


def test_it_listens_on_this_machine_only(airflow):
    *_, listening, _ = airflow
    assert listening == {"0100007F"}


def test_it_ends_everything_it_started(airflow):
    home, port, said, _, code = airflow
    assert code == 0, said
    assert processes_of(home) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_what_it_leaves_is_nobody_elses(airflow):
    home, *_ = airflow
    logs = home / "var" / "logs"
    assert {file.stat().st_mode & 0o077 for file in logs.glob("*.log") if file.name != "demo.log"} == {0}


def test_a_taken_port_is_named(demo_home, tmp_path):
    home = copy_of(demo_home, tmp_path / "home")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "crossdock.airflow.up"],
            cwd=home,
            env=environment(home, port),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert f"Port {port} is taken." in done.stderr
    assert processes_of(home) == []
