import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from crossdock.demo.addresses import connect, read_connections
from crossdock.demo.server import serve
from crossdock.errors import WrongUse


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with 11 records behind the service."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "var" / "demo" / "departments" / "meteorology"
    folder.mkdir(parents=True)
    lines = [f'{{"n": {n}, "speed": 10.357019999999999, "gust": null}}' for n in range(11)]
    (folder / "weather.jsonl").write_text("\n".join(lines) + "\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    fields = {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http", "extra": {"token": "t0ken"}}
    connect(home / "var" / "connections.json", {"dept_meteorology": fields})
    return home


@pytest.fixture(scope="module")
def client(home):
    with serve(home):
        address = f"http://127.0.0.1:{weather(home)['port']}"
        with httpx.Client(base_url=address, headers={"Authorization": "Bearer t0ken"}, trust_env=False) as client:
            yield client


def test_pages_hold_every_record_once_digit_for_digit(client):
    found, path = [], "/v1/weather?page=1&size=4"
    while path:
        answer = client.get(path)
        assert "10.357019999999999" in answer.text
        body = answer.json()
        assert (body["pages"], body["total"]) == (3, 11)
        found += [record["n"] for record in body["data"]]
        path = body["next"]
    assert found == list(range(11))


def test_beyond_the_last_page_there_is_nothing(client):
    assert client.get("/v1/weather?page=4&size=4").json() == {
        "data": [],
        "page": 4,
        "pages": 3,
        "total": 11,
        "next": None,
    }


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Basic t0ken", "Bearer ключ".encode()])
def test_without_the_token_nothing_is_told(client, given):
    headers = {"Authorization": given} if given else {}
    answer = httpx.get(f"{client.base_url}/v1/weather", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert "data" not in answer.json()
    assert "t0ken" not in answer.text


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "size=0", "size=10001", "page=²", "page=99999999999"])
def test_a_senseless_page_is_refused(client, query):
    assert client.get(f"/v1/weather?{query}").status_code == 400


def test_another_path_is_not_found(client):
    assert client.get("/v1/secrets").status_code == 404


def weather(home):
    return read_connections(home / "var" / "connections.json")["dept_meteorology"]


@pytest.mark.usefixtures("client")
def test_a_port_of_someone_else_is_given_way_to_and_the_connection_follows(home, tmp_path):
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    other = weather(tmp_path) | {"extra": {"token": "other"}}
    connect(tmp_path / "var" / "connections.json", {"dept_meteorology": other})
    with serve(tmp_path):
        now = weather(tmp_path)
        assert now["port"] != other["port"]
        assert now["extra"] == other["extra"]


def test_the_service_of_make_up_is_used_and_goes_on(home, client):
    """A demo beside `make up` must not lead the connection to a service that ends with the demo."""
    before = weather(home)
    with serve(home):
        assert weather(home) == before
    assert client.get("/v1/weather").status_code == 200


def test_without_the_demo_there_is_nothing_to_serve(tmp_path):
    with pytest.raises(WrongUse, match="make demo"), serve(tmp_path):
        pass


def test_it_runs_as_a_process_and_ends_on_interrupt(home):
    plugins = str(Path(__file__).parents[2] / "plugins")
    process = subprocess.Popen(
        [sys.executable, "-m", "crossdock.demo.server", str(home)],
        env=os.environ | {"PYTHONPATH": plugins},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stderr.readline().split()[-1]
        answer = httpx.get(address, headers={"Authorization": "Bearer t0ken"}, trust_env=False)
        assert len(json.loads(answer.text)["data"]) == 11
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 0
