"""Who may see the pages in Airflow, and what stands on them: asked by nobody, a viewer, an administrator and a clerk."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from crossdock.ledger.checking import check_proof
from crossdock.ledger.counts import count
from crossdock.storage.lookups import lookups
from crossdock.storage.records import deliveries, verdict_by_id
from crossdock.web.assets import LIBRARY
from crossdock.web.routes import router

POPULATION, FLIGHTS = "public_security/population", "transport/flights"
TAX, HEALTH = "Tax Service", "Health Commission"
YEAR = datetime.now(UTC).year


@pytest.fixture(scope="module", params=["viewer", "admin"])
def reader(client, request):
    with client(request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def clerk(client):
    with client("clerk") as opened:
        yield opened


@pytest.fixture
def paths(made, verdict):
    """One address for each route there is."""
    delivery = made[POPULATION, "tax"].id
    given = {
        "/": "/",
        "/datasets/{department}/{dataset}": f"/datasets/{POPULATION}",
        "/agreements/{department}/{dataset}/{consumer}": f"/agreements/{POPULATION}/tax",
        "/verdicts/{verdict_id}": f"/verdicts/{verdict}",
        "/deliveries/{delivery_id}": f"/deliveries/{delivery}",
        "/deliveries/{delivery_id}/proof.json": f"/deliveries/{delivery}/proof.json",
        "/static/{name}": f"/static/{LIBRARY}",
    }
    assert {route.path for route in router.routes} == given.keys() | {"/who"}  # see who may look people up
    return list(given.values())


def test_nobody_gets_in_without_a_user(address, paths):
    for path in [*paths, "/who", "/verdicts/none", "/deliveries/none", "/static/none", "/datasets/no/no"]:
        for headers in ({}, {"Authorization": "Bearer forged"}, {"Cookie": "_token=forged"}):
            answer = httpx.get(f"{address}/crossdock{path}", headers=headers)
            assert answer.status_code in (401, 403), path
            assert "population" not in answer.text.replace(path[1:], "")  # which asked for it
    assert httpx.get(f"{address}/crossdock/").status_code == 401


def test_whoever_may_look_at_plugins_sees_every_page(reader, paths):
    for path in paths:
        assert reader.get(path).status_code == 200, path
        assert reader.post(path).status_code == 405, path


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_documentation_of_the_pages_is_served(address, reader, path):
    assert httpx.get(f"{address}/crossdock{path}").status_code == 404
    assert reader.get(path).status_code == 404


def test_the_session_of_the_browser_is_enough(address, token):
    cookie = {"Cookie": f"_token={token('viewer')}"}
    assert httpx.get(f"{address}/crossdock/", headers=cookie).status_code == 200


# who received my data


def ask(opened, subject, **headers):
    form = {"subject": subject, "reason": "At the counter."}
    return opened.post("/who?lang=en", data=form, headers={"Sec-Fetch-Site": "same-origin", **headers})


def test_those_who_are_named_look_people_up(client, somebody, exchange, web_home):
    with client("admin") as admin:
        assert "Resident ID" in admin.get("/who?lang=en").raise_for_status().text
        assert "Who received my data" in admin.get("/?lang=en").text
        answer = ask(admin, somebody)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert somebody not in answer.text
    assert all(f">{consumer}</td>" in answer.text for consumer in (TAX, HEALTH))
    newest = lookups(exchange.state)[0]
    assert (newest.asked_by, newest.reason) == ("admin", "At the counter.")
    logs = [file for file in (web_home / "var" / "logs").rglob("*") if file.is_file()]
    assert any("/crossdock/who" in file.read_text("utf-8", "replace") for file in logs)  # that it was asked is in a log
    for file in [*logs, *(web_home / "var").glob("*.db*")]:
        assert somebody.encode() not in file.read_bytes(), file  # but not about whom


def test_a_clerk_sees_what_their_department_received(clerk, somebody):
    page = ask(clerk, somebody).raise_for_status().text
    assert f">{TAX}</td>" in page
    assert f">{HEALTH}</td>" not in page


def test_others_do_not_look_people_up(client, address, somebody, exchange):
    before = len(lookups(exchange.state))
    with client("viewer") as viewer:
        assert viewer.get("/who").status_code == 403
        assert ask(viewer, somebody).status_code == 403
        assert "Who received my data" not in viewer.get("/?lang=en").text
    assert httpx.post(f"{address}/crossdock/who", data={"subject": somebody, "reason": "x"}).status_code in (401, 403)
    assert len(lookups(exchange.state)) == before


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "", "Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": ""}]
)  # fmt: skip
def test_another_site_cannot_ask_in_somebodys_name(client, somebody, exchange, headers):
    before = len(lookups(exchange.state))
    with client("admin") as admin:
        assert ask(admin, somebody, **headers).status_code == 403
    assert len(lookups(exchange.state)) == before


# a clerk sees what concerns their department


def test_a_department_sees_its_own_view(clerk, exchange):
    received = count(exchange.state, exchange.store, by=("consumer",)).groups
    shares = next(group["shares"] for group in received if group["consumer"] == "tax")
    for asked in ("", "?department=transport"):
        page = clerk.get(f"/{asked}").raise_for_status().text
        assert f'<dd data-counter="shares received">{shares:,}</dd>' in page
        assert '<dd data-counter="shares provided">0</dd>' in page
        assert "datasets/transport/flights" not in page
        assert "交通运输厅" not in page


def test_a_department_sees_no_other_ones_pages(clerk, made, verdict):
    tax, health = made[POPULATION, "tax"], made[POPULATION, "health"]
    for path in (
        f"/datasets/{POPULATION}",
        f"/agreements/{tax.agreement}",
        f"/deliveries/{tax.id}",
        f"/deliveries/{tax.id}/proof.json",
    ):
        assert clerk.get(path).status_code == 200, path
    for path in (
        f"/datasets/{FLIGHTS}",
        f"/agreements/{health.agreement}",
        f"/deliveries/{health.id}",
        f"/deliveries/{health.id}/proof.json",
        f"/verdicts/{verdict}",
    ):
        assert clerk.get(path).status_code == 404, path
    page = clerk.get(f"/datasets/{POPULATION}").text
    assert health.agreement not in page
    assert "卫生健康委员会" not in page
    assert verdict not in page


# the dashboard


def test_the_counters_are_what_was_counted(reader, exchange):
    page = reader.get("/?lang=en").raise_for_status().text
    counted = count(exchange.state, exchange.store, by=("dataset", "consumer"))
    expected = {
        "shares": counted.shares,
        "deliveries": counted.deliveries,
        "departments": len(exchange.catalogue.departments),
        "datasets": len(exchange.catalogue.contracts),
    }
    for name, number in expected.items():
        assert f'<dd data-counter="{name}">{number:,}</dd>' in page
    for department in exchange.catalogue.departments:
        assert f"?department={department}&amp;from={YEAR}-01&amp;until={YEAR}-12&amp;lang=en" in page
        mine = reader.get(f"/?department={department}&lang=en").text
        for dataset in exchange.catalogue.contracts:
            assert (f'<li><a href="/crossdock/datasets/{dataset}?lang=en' in mine) == dataset.startswith(
                f"{department}/"
            )


def test_each_flow_and_each_day_has_its_number(reader, exchange):
    page = reader.get("/?lang=en").text
    departments = exchange.catalogue.departments
    for group in count(exchange.state, exchange.store, by=("department", "consumer")).groups:
        names = [
            departments[d].name.en if d in departments else "the public"
            for d in (group["department"], group["consumer"])
        ]
        shares = group["shares"]
        if not shares:
            continue  # a delivery of nothing: the statistics of an exchange's first day
        assert f'{names[0]}</th><td>{names[1]}</td><td class="n" data-value="{shares}">{shares:,}</td>' in page
    for group in count(exchange.state, exchange.store, by=("day",)).groups:
        assert f'{group["day"]}</th><td class="n" data-value="{group["shares"]}">' in page


def test_what_needs_somebody_is_shown(reader):
    page = reader.get("/?lang=en").text
    assert "expired at" in page
    assert "status is &#39;draft&#39;" in page
    assert f"agreements/{POPULATION}/high_court?lang=en" in page
    assert "It is missing" in page


def test_a_filter_narrows_to_a_department_and_a_period(reader):
    tax = reader.get("/?department=tax&lang=en").text
    assert 'data-counter="shares received"' in tax
    assert '<option value="tax" selected>' in tax
    assert "datasets/transport/flights?" not in tax
    before = reader.get(f"/?from={YEAR - 2}-01&until={YEAR - 2}-12&lang=en").text
    assert '<dd data-counter="shares">0</dd>' in before
    assert f"{YEAR - 2}-01 – {YEAR - 2}-12" in before


@pytest.mark.parametrize(
    ("query", "status"),
    [("department=none", 404), ("from=2026", 400), ("from=2026-13", 400), ("until=%3Cb%3E", 400), ("department=%3Cb%3E", 404)],
)  # fmt: skip
def test_a_filter_that_fits_nothing_is_refused(reader, query, status):
    answer = reader.get(f"/?{query}")
    assert answer.status_code == status
    assert "<b>" not in answer.text


def test_the_language_is_the_addresss_or_else_the_browsers(reader):
    def of(query, **headers):
        return reader.get(f"/{query}", headers={"Accept-Language": "", **headers}).text

    english, chinese = '<html lang="en">', '<html lang="zh-CN">'
    assert chinese in of("")
    assert english in of("", **{"Accept-Language": "en-US,zh;q=0.3"})
    assert chinese in of("?lang=zh", **{"Accept-Language": "en-US"})
    page = of("?lang=en&department=tax")
    assert english in page
    assert "Tax Service" in page
    assert "department=tax&amp;lang=zh" in page or "lang=zh&amp;department=tax" in page
    assert "税务局" in of("?lang=zh&department=tax")


# the other pages


def test_a_dataset_leads_to_its_agreements_and_verdicts(reader, verdict):
    page = reader.get(f"/datasets/{POPULATION}?lang=en").text
    for link in (f"agreements/{POPULATION}/tax", f"verdicts/{verdict}", f"agreements/{POPULATION}/high_court"):
        assert link in page


def test_an_agreement_shows_what_may_leave_and_what_has(reader, exchange, made):
    agreement = exchange.agreement(f"{POPULATION}/tax")
    page = reader.get(f"/agreements/{agreement.id}").text
    for column in agreement.columns:
        assert f'<th scope="row">{column}</th>' in page
    assert agreement.purpose in page
    assert made[POPULATION, "tax"].id in page
    assert '<strong class="no">' in reader.get(f"/agreements/{POPULATION}/high_court").text


def test_a_verdict_shows_each_finding(reader, exchange, verdict):
    found = verdict_by_id(exchange.state, verdict)
    page = reader.get(f"/verdicts/{found.id}").raise_for_status().text
    assert f"<td>{found.accepted:,}</td>" in page
    for finding in found.findings:
        assert f'<td class="n">{finding.rows:,}</td><td>{finding.rule}</td>' in page


def test_a_delivery_shows_what_its_manifest_proves_and_its_receipt(reader, exchange, made):
    delivery = made[POPULATION, "tax"]
    manifest = json.loads(exchange.store.read(delivery.manifest_key))
    page = reader.get(f"/deliveries/{delivery.id}").raise_for_status().text
    for fact in (manifest["purpose"], manifest["signature"], delivery.manifest_sha256, delivery.receipt["digest"]):
        assert fact in page
    for column in manifest["schema"]:
        assert f'<th scope="row">{column["name"]}</th><td>{column["label"]}</td>' in page


def test_the_proof_of_a_delivery_can_be_checked_offline(reader, exchange, made):
    answer = reader.get(f"/deliveries/{made[POPULATION, 'tax'].id}/proof.json")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert made[POPULATION, "tax"].id in str(check_proof(answer.content, exchange.keys.public()))


def test_every_delivery_dataset_and_agreement_has_a_page(reader, exchange):
    for delivery in deliveries(exchange.state):
        assert reader.get(f"/deliveries/{delivery.id}").status_code == 200
    for dataset in exchange.catalogue.contracts:
        assert reader.get(f"/datasets/{dataset}").status_code == 200
    for agreement in exchange.catalogue.agreements:
        assert reader.get(f"/agreements/{agreement}").status_code == 200


def test_markup_in_a_contract_is_shown_as_text(reader):
    for path in ("/?lang=zh", f"/datasets/{FLIGHTS}?lang=zh"):
        answer = reader.get(path)
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert(&#39;航班&#39;)&lt;/script&gt;" in answer.text
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")


@pytest.mark.parametrize(
    "path",
    ["/verdicts/none", "/deliveries/none", "/deliveries/none/proof.json", "/deliveries/%3Cb%3E", "/elsewhere",
     "/datasets/no/no", "/datasets/%2e%2e/no", "/agreements/no/no/no", "/static/none", "/static/%2e%2e%2fapp.py"],
)  # fmt: skip
def test_what_there_is_not_is_not_found(reader, path):
    answer = reader.get(path)
    assert answer.status_code == 404
    assert "<b>" not in answer.text


def test_the_library_is_fetched_once_and_compressed(reader):
    answer = reader.get(f"/static/{LIBRARY}")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    assert "plotly.js" in answer.text[:100]
    plain = reader.get("/static/charts.js", headers={"Accept-Encoding": ""})
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Content-Type"].startswith("text/javascript")


def test_a_lost_manifest_is_said(reader, exchange, made):
    delivery = made["civil_affairs/divisions", "statistics"]
    (exchange.home / "var" / "store" / delivery.manifest_key).unlink(missing_ok=True)
    assert "crossdock ledger verify" in reader.get(f"/deliveries/{delivery.id}").text


def test_the_pages_are_in_the_navigation(address, token):
    bearer = {"Authorization": f"Bearer {token('admin')}"}
    plugins = httpx.get(f"{address}/api/v2/plugins", headers=bearer).json()["plugins"]
    views = [view for plugin in plugins if plugin["name"] == "crossdock" for view in plugin["external_views"]]
    assert [view["href"] for view in views] == ["/crossdock/"]
