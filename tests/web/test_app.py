"""The pages in a real API server, on what the demo left, asked by nobody, by a viewer and by an administrator."""

import json
import re
import sys

import httpx
import pytest

from airfields import copy_of, environment
from crossdock.airflow.processes import Children
from crossdock.airflow.secrets import PASSWORDS
from crossdock.exchange import open_exchange
from crossdock.ledger.counts import count
from crossdock.storage.records import deliveries, latest_snapshot, verdict_by_id
from servers import free_port, wait_until

SPITE = "<script>alert('航班')</script>"


@pytest.fixture(scope="module")
def home(demo_home, tmp_path_factory):
    """The demo's home, with a contract that has markup in its title."""
    home = copy_of(demo_home, tmp_path_factory.mktemp("web") / "home")
    contract = home / "contracts" / "transport" / "flights" / "contract.odcs.yaml"
    text, changed = re.subn(r"zh: 航班准点", f'zh: "{SPITE}"', contract.read_text("utf-8"))
    assert changed
    contract.write_text(text, "utf-8")
    return home


@pytest.fixture(scope="module")
def exchange(home):
    return open_exchange(home)


@pytest.fixture(scope="module")
def address(home):
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def answers():
        children.check()
        try:
            return httpx.get(f"{url}/api/v2/version").is_success
        except httpx.TransportError:
            return False

    with Children(home / "var" / "logs") as children:
        children.start("api-server", [sys.executable, "-m", "airflow", "api-server"], environment(home, port))
        wait_until(answers, "the API server")
        yield url


def token(home, address, user):
    words = {"username": user, "password": json.loads((home / PASSWORDS).read_text())[user]}
    return httpx.post(f"{address}/auth/token", json=words).raise_for_status().json()["access_token"]


@pytest.fixture(scope="module", params=["viewer", "admin"])
def reader(home, address, request):
    bearer = {"Authorization": f"Bearer {token(home, address, request.param)}"}
    with httpx.Client(base_url=f"{address}/crossdock", headers=bearer) as client:
        yield client


@pytest.fixture
def made(exchange):
    return {(d.dataset, d.consumer): d for d in deliveries(exchange.state)}


@pytest.fixture
def paths(exchange, made):
    snapshot = latest_snapshot(exchange.state, "transport/flights")
    return ["/", f"/verdicts/{snapshot.verdict}", f"/deliveries/{made['public_security/population', 'tax'].id}"]


def test_nobody_gets_in_without_a_user(address, paths):
    for path in [*paths, "/verdicts/none", "/deliveries/none"]:
        for headers in ({}, {"Authorization": "Bearer forged"}, {"Cookie": "_token=forged"}):
            answer = httpx.get(f"{address}/crossdock{path}", headers=headers)
            assert answer.status_code in (401, 403)
            assert "flights" not in answer.text
    assert httpx.get(f"{address}/crossdock/").status_code == 401


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_documentation_of_the_pages_is_served(address, reader, path):
    assert httpx.get(f"{address}/crossdock{path}").status_code == 404
    assert reader.get(path).status_code == 404


def test_the_session_of_the_browser_is_enough(home, address):
    cookie = {"Cookie": f"_token={token(home, address, 'viewer')}"}
    assert httpx.get(f"{address}/crossdock/", headers=cookie).status_code == 200


def test_the_overview_shows_the_counts_and_every_snapshot(reader, exchange):
    page = reader.get("/").raise_for_status().text
    counted = count(exchange.state, exchange.store, by=("consumer",))
    assert f"<strong>{counted.shares:,}</strong>" in page
    for group in counted.groups:
        assert f'<td>{group["consumer"]}</td><td class="n">{group["shares"]:,}</td>' in page
    for dataset in exchange.catalogue.contracts:
        assert f"<td>{dataset}</td>" in page
        assert f"verdicts/{latest_snapshot(exchange.state, dataset).verdict}" in page
    assert "人口登记" in page
    assert "Population register" in page


def test_a_verdict_shows_each_finding(reader, exchange):
    found = verdict_by_id(exchange.state, latest_snapshot(exchange.state, "public_security/population").verdict)
    page = reader.get(f"/verdicts/{found.id}").raise_for_status().text
    assert f"<td>{found.accepted:,}</td>" in page
    for finding in found.findings:
        assert f'<td class="n">{finding.rows:,}</td><td>{finding.rule}</td>' in page


def test_a_delivery_shows_what_its_manifest_proves_and_its_receipt(reader, exchange, made):
    delivery = made["public_security/population", "tax"]
    manifest = json.loads(exchange.store.read(delivery.manifest_key))
    page = reader.get(f"/deliveries/{delivery.id}").raise_for_status().text
    for fact in (manifest["purpose"], manifest["signature"], delivery.manifest_sha256, delivery.receipt["digest"]):
        assert fact in page
    for column in manifest["schema"]:
        assert f"<td>{column['name']}</td><td>{column['label']}</td>" in page


def test_every_delivery_and_verdict_has_a_page(reader, exchange):
    for delivery in deliveries(exchange.state):
        assert reader.get(f"/deliveries/{delivery.id}").status_code == 200


def test_markup_in_a_contract_is_shown_as_text(reader):
    answer = reader.get("/")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;alert(&#39;航班&#39;)&lt;/script&gt;" in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", ["/verdicts/none", "/deliveries/none", "/deliveries/%3Cb%3E", "/elsewhere"])
def test_what_there_is_not_is_not_found(reader, path):
    answer = reader.get(path)
    assert answer.status_code == 404
    assert "<b>" not in answer.text


def test_a_lost_manifest_is_said(reader, exchange, made):
    delivery = made["civil_affairs/divisions", "statistics"]
    (exchange.home / "var" / "store" / delivery.manifest_key).unlink(missing_ok=True)
    assert "crossdock ledger verify" in reader.get(f"/deliveries/{delivery.id}").text


def test_the_pages_are_in_the_navigation(home, address):
    bearer = {"Authorization": f"Bearer {token(home, address, 'admin')}"}
    plugins = httpx.get(f"{address}/api/v2/plugins", headers=bearer).json()["plugins"]
    views = [view for plugin in plugins if plugin["name"] == "crossdock" for view in plugin["external_views"]]
    assert [view["href"] for view in views] == ["/crossdock/"]
