"""An agreement in words: what it says is what its consumer gets."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
import yaml

from crossdock import pipeline
from crossdock.cli import main
from crossdock.errors import ContractInvalid, WrongUse
from crossdock.explanation import explain
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


def test_valid_days_are_in_utc(hamlet):
    exchange = hamlet.open()
    agreement = exchange.agreement(TAX)
    assert explain(exchange, TAX).valid.startswith(f"{agreement.start.astimezone(UTC):%Y-%m-%d %H:%M}")
    assert agreement.end > datetime(2099, 1, 1, tzinfo=UTC)


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
