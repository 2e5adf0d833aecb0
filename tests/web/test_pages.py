"""Every page, as everybody who may look and as each department: names in the reader's language, and nobody else's business."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml
from fastapi import Request
from starlette.testclient import TestClient

from crossdock.storage.lookups import lookups
from crossdock.storage.records import deliveries, latest_snapshot, verdict_by_id
from crossdock.web.routes import make_app
from crossdock.web.sight import Sight
from hamlet import found, write_yaml

NAMES = {
    "town_hall": ("市政厅", "Town Hall"),
    "tax": ("税务局", "Tax Office"),
    "school": ("学校", "School"),
    "court": ("法院", "Court"),
}
EVERYTHING = Sight(user="chief", looks_up=True)
SUBJECT = "R0020"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    hamlet = found(tmp_path_factory.mktemp("pages") / "hamlet")
    for name, (zh, en) in NAMES.items():
        department = {"id": name, "name": {"zh": zh, "en": en}, "contact": f"{name}@example.org"}
        write_yaml(hamlet.home / "contracts" / name / "department.yaml", department)
    assert not hamlet.sweep().failures
    return hamlet.open()


@pytest.fixture
def opened(exchange):
    """Opens the pages for a reader who may see so much."""

    def of(sight):
        def guard(request: Request) -> None:
            request.state.sight = sight

        return TestClient(make_app(guard, lambda: exchange))

    return of


@pytest.fixture
def made(exchange):
    return {each.agreement: each for each in deliveries(exchange.state)}


def ask(client, subject=SUBJECT, reason="At the counter.", **query):
    form = {"subject": subject, "reason": reason}
    return client.post("/who", params=query, data=form, headers={"Sec-Fetch-Site": "same-origin"})


@pytest.mark.parametrize("language", [0, 1], ids=["zh", "en"])
def test_departments_are_called_by_their_names(opened, made, exchange, language):
    client, code = opened(EVERYTHING), ("zh", "en")[language]
    delivery = made["town_hall/residents/tax"]
    verdict = latest_snapshot(exchange.state, "town_hall/residents").verdict
    pages = {
        f"/deliveries/{delivery.id}": ("town_hall", "tax"),
        f"/agreements/{delivery.agreement}": ("town_hall", "tax"),
        f"/datasets/{delivery.dataset}": ("town_hall", "tax", "school", "court"),
        "/": ("town_hall", "tax", "school"),
    }
    for path, departments in pages.items():
        page = client.get(path, params={"lang": code}).text
        for department in departments:
            assert NAMES[department][language] in page, path
            assert NAMES[department][1 - language] not in page, path
            assert f">{department}<" not in page, path
    assert client.get(f"/verdicts/{verdict}", params={"lang": code}).status_code == 200
    answer = ask(client, lang=code).text
    assert f">{NAMES['tax'][language]}</td>" in answer
    assert f">{NAMES['school'][language]}</td>" in answer


def test_the_public_has_a_name(opened, made):
    delivery = made["town_hall/streets/public"]
    assert "社会公众" in opened(EVERYTHING).get(f"/deliveries/{delivery.id}?lang=zh").text


def test_an_answer_says_all_that_there_is_to_say_and_names_nobody(opened, made, exchange):
    before = len(lookups(exchange.state))
    answer = ask(opened(EVERYTHING), lang="en")
    delivery = made["town_hall/residents/tax"]
    for fact in (f"agreements/{delivery.agreement}", f"deliveries/{delivery.id}", delivery.delivered_at[:10]):
        assert fact in answer.text
    agreement = exchange.agreement(delivery.agreement)
    for fact in (agreement.purpose, agreement.legal_basis, ", ".join(agreement.columns)):
        assert fact in answer.text
    assert SUBJECT not in answer.text
    assert SUBJECT not in str(answer.url)
    assert len(lookups(exchange.state)) == before + 1


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"subject": "R0020" * 20, "reason": "x"}, 422, "填写的内容不符合要求"),
        ({"subject": "R0020"}, 422, "填写的内容不符合要求"),
        ({"subject": "R0020", "reason": ""}, 422, "填写的内容不符合要求"),
        ({"subject": " \u3000", "reason": "x"}, 409, "未填写查询对象"),
    ],
)
def test_a_form_that_does_not_fit_is_refused_and_not_repeated(opened, exchange, form, status, said):
    before = len(lookups(exchange.state))
    answer = opened(EVERYTHING).post("/who?lang=zh", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == status
    assert said in answer.text
    assert "R0020" not in answer.text
    assert len(lookups(exchange.state)) == before


@pytest.mark.parametrize(
    ("path", "status", "zh", "en"),
    [
        ("/datasets/no/no", 404, "没有该编号的内容", "nothing of that id"),
        ("/nowhere", 404, "没有这个页面", "no such page"),
        ("/?from=x", 400, "月份应写作", "written as YYYY-MM"),
        ("/?department=no", 404, "没有这个部门", "no such department"),
        ("/who", 403, "您无权查询", "may not look people up"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said_in_the_readers_language(opened, path, status, zh, en):
    client, mark = opened(Sight(user="viewer")), "&" if "?" in path else "?"
    for language, said in (("zh", zh), ("en", en)):
        answer = client.get(f"{path}{mark}lang={language}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert said in answer.text


# a department sees what it provides and receives


@pytest.mark.parametrize("department", NAMES)
def test_a_department_sees_its_own_pages_and_no_others(opened, made, exchange, department):
    client = opened(Sight(user="clerk", department=department))
    for agreement in exchange.catalogue.agreements.values():
        party = department in (agreement.provider, agreement.consumer)
        assert (client.get(f"/agreements/{agreement.id}").status_code == 200) == party, agreement.id
        if delivery := made.get(agreement.id):
            for path in (f"/deliveries/{delivery.id}", f"/deliveries/{delivery.id}/proof.json"):
                assert (client.get(path).status_code in (200, 409)) == party, path  # 409: not signed yet
    for dataset in exchange.catalogue.contracts:
        parties = {a.consumer for a in exchange.catalogue.agreements.values() if a.dataset == dataset} | {"town_hall"}
        assert (client.get(f"/datasets/{dataset}").status_code == 200) == (department in parties), dataset
        verdict = verdict_by_id(exchange.state, latest_snapshot(exchange.state, dataset).verdict)
        assert (client.get(f"/verdicts/{verdict.id}").status_code == 200) == (department == "town_hall")


@pytest.mark.parametrize("query", ["", "?department=tax", "?department=town_hall", "?department=court&from=2000-01"])
def test_no_filter_shows_a_department_more(opened, exchange, query):
    page = opened(Sight(user="clerk", department="school")).get(f"/{query}").text
    for others in ("税务局", "法院", "residents/tax", "residents/court", "permits/tax", "datasets/town_hall/streets"):
        assert others not in page
    mine = {a.id for a in exchange.catalogue.agreements.values() if a.consumer == "school"}
    assert set(re.findall(r"agreements/(\w+/\w+/\w+)", page)) <= mine


def test_a_department_is_not_told_what_others_received_of_a_dataset_that_it_receives_too(opened):
    page = opened(Sight(user="clerk", department="school")).get("/datasets/town_hall/residents").text
    assert "学校" in page
    for others in ("税务局", "法院", "residents/tax", "verdicts/"):
        assert others not in page


def test_a_department_that_looks_somebody_up_is_told_of_itself(opened):
    page = ask(opened(replace(EVERYTHING, department="school")), lang="zh").text
    assert "学校" in page
    assert "税务局" not in page
    assert "以往的查询" not in page


def test_what_is_withheld_is_on_no_page_whatever_is_sent(tmp_path):
    hamlet = found(tmp_path / "hamlet")
    file = hamlet.agreement("residents", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["withheld"] = {"legalBasis": "刑事诉讼法", "until": "2099-01-01"}
    write_yaml(file, document)
    assert not hamlet.sweep().failures
    exchange = hamlet.open()

    def guard(request: Request) -> None:
        request.state.sight = EVERYTHING

    client = TestClient(make_app(guard, lambda: exchange))
    form = {"subject": SUBJECT, "reason": "An audit.", "withheld": "true"}
    page = client.post("/who?lang=en&withheld=true", data=form, headers={"Sec-Fetch-Site": "same-origin"}).text
    assert "residents/school" in page
    assert "residents/tax" not in page
    assert not lookups(exchange.state)[0].withheld
