"""The pages in a real API server, on what the demo left."""

from __future__ import annotations

import json
import re
import sys

import httpx
import pytest

from airfields import copy_of, environment
from crossdock.airflow.processes import Children
from crossdock.airflow.secrets import PASSWORDS
from crossdock.exchange import open_exchange
from crossdock.ledger.subjects import who
from crossdock.storage.records import deliveries, latest_snapshot
from ports import free_port, wait_until

SPITE = "<script>alert('航班')</script>"
CLERK = {  # a user who belongs to the tax department
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer,clerk:viewer",
    "AIRFLOW__CROSSDOCK__DEPARTMENT_USERS": "clerk:tax",
    "AIRFLOW__CROSSDOCK__LOOKUP_USERS": "admin, clerk",
}


@pytest.fixture(scope="session")
def web_home(demo_home, tmp_path_factory):
    """The demo's home, with a contract that has markup in its title, and one more user."""
    home = copy_of(demo_home, tmp_path_factory.mktemp("web") / "home")
    contract = home / "contracts" / "transport" / "flights" / "contract.odcs.yaml"
    text, changed = re.subn(r"zh: 航班准点", f'zh: "{SPITE}"', contract.read_text("utf-8"))
    assert changed
    contract.write_text(text, "utf-8")
    passwords = home / PASSWORDS
    passwords.write_text(json.dumps(json.loads(passwords.read_text()) | {"clerk": "a clerk's password"}))
    return home


@pytest.fixture(scope="session")
def exchange(web_home):
    return open_exchange(web_home)


@pytest.fixture(scope="session")
def address(web_home):
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def answers():
        children.check()
        try:
            return httpx.get(f"{url}/api/v2/version").is_success
        except httpx.TransportError:
            return False

    with Children(web_home / "var" / "logs") as children:
        children.start(
            "api-server", [sys.executable, "-m", "airflow", "api-server"], environment(web_home, port) | CLERK
        )
        wait_until(answers, "the API server")
        yield url


@pytest.fixture(scope="session")
def token(web_home, address):
    """Logs a user in and returns their token."""

    def log_in(user):
        words = {"username": user, "password": json.loads((web_home / PASSWORDS).read_text())[user]}
        return httpx.post(f"{address}/auth/token", json=words).raise_for_status().json()["access_token"]

    return log_in


@pytest.fixture(scope="session")
def client(address, token):
    """Opens the pages as a user."""

    def of(user):
        bearer = {"Authorization": f"Bearer {token(user)}"}
        return httpx.Client(base_url=f"{address}/crossdock", headers=bearer)

    return of


@pytest.fixture(scope="session")
def made(exchange):
    """Deliveries by dataset and consumer."""
    return {(d.dataset, d.consumer): d for d in deliveries(exchange.state)}


@pytest.fixture(scope="session")
def verdict(exchange):
    """The verdict of the population register."""
    return latest_snapshot(exchange.state, "public_security/population").verdict


@pytest.fixture(scope="session")
def somebody(exchange):
    """A resident of whom records were delivered to several."""
    key = latest_snapshot(exchange.state, "public_security/population").key
    for resident in exchange.dataset(key).head(200)["resident_id"].to_pylist():
        received = who(exchange.state, exchange.store, exchange.keys, resident)
        if {"tax", "health"} <= {each.consumer for each in received}:
            return resident
    raise AssertionError("nobody")
