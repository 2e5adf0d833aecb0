"""An agreement in words: what it says is what its consumer gets."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
import yaml

from crossdock import pipeline
from crossdock.cli import main
from crossdock.errors import ContractInvalid, WrongUse
from crossdock.explanation import explain, explain_to
from crossdock.language.speech import CHINESE, ENGLISH
from crossdock.storage.records import deliveries, refusals
from hamlet import found, write_yaml

TAX = "town_hall/residents/tax"


@pytest.fixture
def hamlet(tmp_path):
    return found(tmp_path)


def test_before_anything_was_accepted_there_is_no_example(hamlet):
    said = explain(hamlet.open(), TAX)
    assert (said.rows_in_force, said.rows_leaving, said.last_delivered, said.example) == (None, None, None, ())
    assert said.allowed


def test_what_is_said_is_what_is_delivered(hamlet):
    hamlet.sweep()
    exchange = hamlet.open()
    (made,) = (d for d in deliveries(exchange.state) if d.agreement == TAX)
    said = explain(exchange, TAX)
    assert said.rows_leaving == made.counts["inserted"]
    assert said.rows_in_force == made.counts["accepted"]
    assert said.last_delivered == made.delivered_at
    assert said.withheld == ("born", "note", "changed_at")
    assert [(c.name, c.form) for c in said.columns] == [
        ("resident_no", "as it is"),
        ("name", "as it is"),
        ("phone", "mask (first 2 and last 2 characters kept)"),
        ("street", "as it is"),
    ]
    assert said.example[0] == {"resident_no": "A9999", "name": "文9", "phone": "99****99", "street": "A9"}
    assert said.how == (
        "What was inserted, updated and deleted since, by database (connection tax_database, table residents)."
    )


def test_a_file_names_its_agreement(hamlet):
    assert (
        explain(hamlet.open(), str(hamlet.agreement("residents", "school"))).agreement == "town_hall/residents/school"
    )


@pytest.mark.parametrize(
    ("agreement", "words"), [("residents/court", "expired"), ("streets/public", "approved until 2099")]
)
def test_whether_it_would_leave_now_is_said_with_the_reason(hamlet, agreement, words):
    said = explain(hamlet.open(), f"town_hall/{agreement}")
    assert words in said.now
    assert said.allowed is (words != "expired")


def test_it_records_nothing_and_nothing_leaves(hamlet):
    hamlet.sweep()
    before = (len(deliveries(hamlet.open().state)), len(refusals(hamlet.open().state)))
    for name in ("residents/court", "permits/tax"):
        explain(hamlet.open(), f"town_hall/{name}")
    assert (len(deliveries(hamlet.open().state)), len(refusals(hamlet.open().state))) == before


def test_from_when_until_when_is_told_by_the_clock_in_china(hamlet):
    file = hamlet.agreement("residents", "tax")
    file.write_text(file.read_text("utf-8").replace("2026-01-01T00:00:00+08:00", "2025-12-31T17:30:00Z"), "utf-8")
    assert explain(hamlet.open(), TAX).valid == "2026-01-01 01:30 to 2099-12-31 23:59, Beijing time"


def test_what_is_not_there_or_wrong_is_said(hamlet):
    with pytest.raises(WrongUse, match=r"Known here|Did you mean"):
        explain(hamlet.open(), "town_hall/residents/taxes")
    with pytest.raises(WrongUse, match="no such file"):
        explain(hamlet.open(), "nowhere/tax.oaas.yaml")
    file = hamlet.agreement("residents", "tax")
    file.write_text(file.read_text().replace("resident_no", "resident"))
    with pytest.raises(ContractInvalid):
        explain(hamlet.open(), TAX)


def agree(hamlet, **terms):
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text("utf-8"))
    document["description"] = {"purpose": "A test.", "usage": "By hand only.", "limitations": "Never to be sold."}
    document["customProperties"][0]["value"].update(terms)
    write_yaml(file, document)


def test_every_clause_is_told(hamlet):
    agree(
        hamlet,
        columns=["permit_no", "holder"],
        rows="fee > 5 and holder != 'x' and remark is not null",
        protect={"holder": {"mask": {"keepFirst": 1}}},
        dataLife="P1Y6M",
        frequency="once",
        withheld={"legalBasis": "A law.", "until": "2099-01-01"},
    )
    said = explain(hamlet.open(), "town_hall/permits/tax")
    assert (said.usage, said.limitations) == ("By hand only.", "Never to be sold.")
    assert said.kept == "The consumer deletes it after 1 year, 6 months."
    assert said.when == "One time under each version of the agreement."
    assert said.secrecy == "Before 2099-01-01 the people concerned are not told (A law.)."
    assert said.withheld == ("fee", "remark")
    assert said.told_by_filter == ("fee", "holder", "remark")  # one leaves masked: the filter tells more of it
    assert explain(hamlet.open(), TAX).secrecy == "The people concerned are told when they ask."


GOLDEN = {
    "now": "协议 1.0.0 版已获批准，有效至 2099-12-31。",
    "who": "town_hall向tax提供",
    "valid": "2026-01-01 00:00 至 2099-12-31 23:59（北京时间）",
    "how": "交付上次以来的新增、更新和删除，方式为数据库（连接 tax_database，表 residents）。",
    "when": "每当有新数据通过检验。",
    "kept": "未约定期限。",
    "secrecy": "当事人询问时告知。",
}


def test_it_is_said_in_chinese(hamlet):
    hamlet.sweep()
    said = explain(hamlet.open(), TAX, CHINESE)
    assert {name: getattr(said, name) for name in GOLDEN} == GOLDEN
    assert [(c.type, c.form) for c in said.columns] == [
        ("文本", "原样"), ("文本", "原样"), ("文本", "掩码（保留前 2 位和后 2 位）"), ("文本", "原样"),
    ]  # fmt: skip
    assert said.example[0] == {"resident_no": "A9999", "name": "文9", "phone": "99****99", "street": "A9"}


CLAUSES = [
    {"frequency": "once", "dataLife": "P1Y6M", "rows": "fee > 5", "protect": {"holder": "pseudonymise"}},
    {"frequency": "0 3 * * *", "dataLife": "P3W", "protect": {"holder": {"generalise": "prefix:2"}}},
    {"frequency": "@daily", "dataLife": "P10D", "protect": {"holder": "dummy", "fee": {"generalise": 10}}},
    {"withheld": {"legalBasis": "《某法》", "until": "2099-01-01"}, "protect": {"holder": "drop"}},
    {"delivery": {"channel": "folder", "connection": "school_folder", "mode": "full", "path": "permits", "format": "csv"}},
]  # fmt: skip
OURS = re.compile(r"permits|tax_database|school_folder|csv|tax|town_hall|fee > 5|UTC|@daily")


@pytest.mark.parametrize("terms", CLAUSES)
def test_each_clause_has_both_languages(hamlet, terms):
    agree(hamlet, columns=["permit_no", "holder", "fee"], **terms)
    chinese, english = explain_to(hamlet.open(), "town_hall/permits/tax", (CHINESE, ENGLISH))
    for name in ("now", "who", "valid", "how", "when", "kept", "secrecy"):
        said, in_english = getattr(chinese, name), getattr(english, name)
        assert not re.search("[A-Za-z]{2,}", OURS.sub("", said)), said
        assert not re.search("[\u4e00-\u9fff]", in_english.replace("《某法》", "")), in_english
    for said, in_english in zip(chinese.columns, english.columns, strict=True):
        assert not re.search("[A-Za-z]{2,}", said.type + said.form + said.classification)
        assert re.fullmatch(r"[ -~]+", in_english.type + in_english.form)


def test_a_publication_is_told_in_both_languages(hamlet):
    chinese, english = explain_to(hamlet.open(), "town_hall/streets/public", (CHINESE, ENGLISH))
    assert (chinese.who, english.who) == ("town_hall向社会公众开放", "town_hall gives to everybody")
    assert chinese.how.startswith("在开放区发布开放版本")


def test_an_example_shows_no_value_of_any_kind(hamlet):
    values = ["ئۇيغۇر", "བོད་", "★★", "😀", "Ünal", "１２", "٣", "张三", "e\u0301"]
    hamlet.write_permits([[f"P{n}", value, "5.00", value] for n, value in enumerate(values)])
    exchange = hamlet.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    agree(hamlet, columns=["permit_no", "holder"])
    shown = {row["holder"] for row in explain(hamlet.open(), "town_hall/permits/tax").example}
    assert shown == {"文文文文文文", "文※文་", "※※", "※", "Aaaa"}


def test_nothing_in_an_agreement_or_in_a_row_steers_the_terminal(hamlet, monkeypatch, capsys):
    hamlet.write_permits([["P1", "a\x1b[31m\x9b2J\u202eb\x07", "5.00", "x"]])
    exchange = hamlet.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    agree(hamlet, rows="remark != '\x1b]0;title\x07 [bold]'")
    monkeypatch.setenv("CROSSDOCK_HOME", str(hamlet.home))
    monkeypatch.setattr("sys.argv", ["crossdock", "explain", "town_hall/permits/tax"])
    with suppress(SystemExit):
        main()
    said = capsys.readouterr().out
    assert "[bold]" in said
    assert not set(said) & {*map(chr, range(10)), *map(chr, range(11, 32)), "\x7f", "\x9b", "\u202e"}
