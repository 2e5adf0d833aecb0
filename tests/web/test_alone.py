"""The pages without Airflow: one visit per token, one session, this machine only."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from crossdock.errors import WrongUse
from crossdock.web.alone import Door, app_alone, serve
from crossdock.web.routes import router
from hamlet import found
from provinces import ROOT


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    hamlet = found(tmp_path_factory.mktemp("alone") / "hamlet")
    hamlet.sweep()
    return hamlet.home


@pytest.fixture
def entrance(home):
    """The address that the command prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "AIRFLOW"))}
    environment |= {"CROSSDOCK_HOME": str(home), "PYTHONPATH": str(ROOT / "plugins")}
    command = [sys.executable, "-m", "crossdock", "dashboard"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server.stdout.readline().rpartition(" ")[2].strip()
        finally:
            server.terminate()


def test_the_token_lets_one_visitor_in_once(entrance):
    with httpx.Client(follow_redirects=True) as first:
        page = first.get(entrance)
        assert page.status_code == 200
        assert "token" not in str(page.url)
        assert "town_hall" in page.text
        cookie = page.history[0].headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert httpx.get(entrance, follow_redirects=True).status_code == 401
        root = entrance.partition("/enter")[0]
        assert first.get(f"{root}/datasets/town_hall/residents").status_code == 200
        assert first.get(f"{root}/static/style.css").status_code == 200
        assert first.get(f"{root}/datasets/no/no").status_code == 404


def test_nobody_else_gets_in(entrance):
    root = entrance.partition("/enter")[0]
    for route in router.routes:
        path = route.path.format(
            department="a", dataset="b", consumer="c", verdict_id="v", delivery_id="d", name="style.css"
        )
        for cookie in ("", "crossdock=forged"):
            assert httpx.get(f"{root}{path}", headers={"Cookie": cookie}).status_code == 401, path
    for path in ("/docs", "/openapi.json", "/redoc", "/elsewhere"):
        assert httpx.get(f"{root}{path}").status_code in (401, 404)
    for token in ("", "x", "é"):
        assert httpx.get(f"{root}/enter", params={"token": token}).status_code == 401
    assert httpx.get(entrance).status_code == 303  # what others tried did not use it up


def test_another_host_name_is_refused(entrance):
    assert httpx.get(entrance, headers={"Host": "evil.example"}).status_code == 400


def test_it_listens_on_this_machine_only(entrance):
    assert entrance.startswith("http://127.0.0.1:")
    port = int(entrance.split(":")[2].partition("/")[0])
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        with pytest.raises(OSError), socket.create_connection((address, port), timeout=2):  # noqa: PT011 - refused, or not reached
            pass


def test_a_taken_port_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(WrongUse, match="can't be had"):
            serve(lambda: None, port=taken.getsockname()[1], told=lambda _: None)


def test_an_exchange_without_a_share_has_a_dashboard(tmp_path):
    hamlet, door = found(tmp_path / "hamlet"), Door()

    async def visit():
        inside = httpx.ASGITransport(app_alone(door, hamlet.open))
        async with httpx.AsyncClient(transport=inside, base_url="http://127.0.0.1") as client:
            await client.get("/enter", params={"token": door.token})
            return {path: (await client.get(path)).status_code for path in (
                "/", "/?lang=zh&department=tax", "/?from=2027-01", "/datasets/town_hall/permits", "/agreements/town_hall/permits/tax",
            )}  # fmt: skip

    with ThreadPoolExecutor(1) as apart:  # a browser of other tests may keep this thread's event loop running
        assert set(apart.submit(lambda: asyncio.run(visit())).result().values()) == {200}
