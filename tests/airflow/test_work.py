"""How errors are retried and connections found, in a process where Airflow lives in a home of its own."""

import json
from pathlib import Path

import pytest

from provinces import lay_out, run

SCRIPT = Path(__file__).with_name("at_work.py")
FULL = {
    "conn_type": "postgres",
    "host": "127.0.0.1",
    "port": 5432,
    "login": "出入境",
    "password": "p@ss/w:rd",
    "schema": "register",
    "extra": {"sslmode": "require"},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    home = tmp_path_factory.mktemp("work")
    lay_out(home)
    assert run(home, "-m", "crossdock.airflow.secrets").code == 0
    (home / "var" / "connections.json").write_text(json.dumps({"full": FULL, "folder": {"conn_type": "fs"}}), "utf-8")
    ran = run(home, str(SCRIPT), "full", "folder", "nowhere")
    assert ran.code == 0, ran.stderr
    return json.loads(ran.stdout[ran.stdout.index('{"permanent"') :])


def test_what_cannot_get_better_is_not_tried_again(told):
    assert told["permanent"] == ["a.csv: The file has no header. Add one.", False]


def test_what_may_pass_is_tried_again(told):
    assert told["transient"] == ["a host: The source did not answer. Wait.", True]


def test_what_is_no_error_of_ours_is_tried_again_and_not_quoted(told):
    """Airflow's logs are read by people who may see no row."""
    said, again = told["unforeseen"]
    assert said.startswith("crossdock failed where it should not: KeyError in crossdock/airflow/work.py, line ")
    assert again
    assert told["library"] == ["It failed in pyarrow.lib (ArrowInvalid). Try again.", True]


def test_a_connection_arrives_whole(told):
    assert told["connections"]["full"] == {
        "id": "full", "type": "postgres", "host": "127.0.0.1", "port": 5432, "login": "出入境",
        "password": "p@ss/w:rd", "schema": "register", "extra": {"sslmode": "require"},
    }  # fmt: skip
    assert told["connections"]["folder"] == {
        "id": "folder", "type": "fs", "host": "", "port": None, "login": "", "password": "", "schema": "", "extra": {},
    }  # fmt: skip


def test_an_unknown_connection_is_named_with_what_to_do(told):
    kind, said = told["connections"]["nowhere"]
    assert kind == "WrongUse"
    assert "'nowhere'" in said
    assert "Admin, Connections" in said
