"""Who received my data: what is told, what is withheld until its day, and that every question is on record."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from crossdock import pipeline
from crossdock.errors import ContractInvalid, WrongUse
from crossdock.lookups import look_up
from crossdock.storage.lookups import lookups
from hamlet import found, write_yaml

COURT = {"legalBasis": "刑事诉讼法 第五十四条", "until": "2027-01-01"}


@pytest.fixture
def hamlet(tmp_path):
    """What the school gets of residents is withheld from them until 2027."""
    made = found(tmp_path)
    withhold(made, COURT)
    assert not made.sweep().failures
    return made


def withhold(hamlet, terms):
    file = hamlet.agreement("residents", "school")
    document = yaml.safe_load(file.read_text())
    value = document["customProperties"][0]["value"]
    value.pop("withheld", None)
    write_yaml(file, document)
    if terms:
        value["withheld"] = terms
        write_yaml(file, document)


def at(exchange, year):
    return dataclasses.replace(exchange, clock=lambda: datetime(year, 6, 1, tzinfo=UTC))


def told(exchange, **how):
    answer = look_up(exchange, "R0020", by="clerk", **how)
    return {(each.consumer, each.dataset) for each in answer.received}


def test_it_tells_from_which_day_on_the_ledger_knows(hamlet):
    exchange = hamlet.open()
    assert look_up(exchange, "R0020", by="clerk").known_since == ""
    later = dataclasses.replace(exchange, clock=lambda: datetime.now(UTC) + timedelta(days=40))
    assert pipeline.audit(later, keep="P1M").sound
    assert pipeline.audit(later, keep="P1M").sound
    answer = look_up(exchange, "R0020", by="clerk")
    assert answer.received == []
    assert answer.known_since > datetime.now(UTC).date().isoformat()


def test_what_is_withheld_is_told_on_its_day_or_to_an_auditor(hamlet):
    hidden = ("school", "town_hall/residents")
    ordinary = told(at(hamlet.open(), 2026))
    assert ("tax", "town_hall/residents") in ordinary
    assert hidden not in ordinary
    assert told(at(hamlet.open(), 2026), withheld=True, reason="An audit.") == ordinary | {hidden}
    assert hidden in told(at(hamlet.open(), 2027))
    with pytest.raises(WrongUse, match="for a reason"):
        told(hamlet.open(), withheld=True)


def test_what_the_agreement_withholds_no_more_is_told(hamlet):
    withhold(hamlet, None)
    assert ("school", "town_hall/residents") in told(at(hamlet.open(), 2026))


def test_it_stays_withheld_when_the_agreement_is_gone(hamlet):
    hamlet.agreement("residents", "school").unlink()
    assert ("school", "town_hall/residents") not in told(at(hamlet.open(), 2026))
    assert ("school", "town_hall/residents") in told(at(hamlet.open(), 2027))


def test_every_question_is_on_record_and_names_nobody(hamlet):
    exchange = hamlet.open()
    first = look_up(exchange, "R0020", by="ann", reason="At the counter.")
    second = look_up(exchange, " r0020 ", by="bob", reason="A complaint.")
    look_up(exchange, "R0021", by="bob")
    assert first.lookups == []
    assert second.received == first.received
    assert [(each.asked_by, each.reason, each.found) for each in second.lookups] == [
        ("ann", "At the counter.", len(first.received))
    ]
    look_up(exchange, "R0020", by="auditor", reason="An investigation.", withheld=True)
    asked = look_up(exchange, "R0020", by="ann").lookups
    assert {each.asked_by for each in asked} == {"ann", "bob"}  # not that an auditor asked for what is withheld
    assert len(lookups(exchange.state)) == 5
    with closing(sqlite3.connect(hamlet.home / "var" / "state.db")) as state:
        kept = [line for line in state.iterdump() if "lookup" in line]
    assert "At the counter." in "".join(kept)
    assert "R002" not in "".join(kept).upper()


def test_a_number_of_15_digits_is_the_person_of_18(hamlet):
    exchange = hamlet.open()
    look_up(exchange, "130503670401001", by="ann", reason="Old card.")
    (before,) = look_up(exchange, "130503196704010016", by="ann").lookups
    assert before.reason == "Old card."


@pytest.mark.parametrize(
    "terms",
    [{"until": "2027-01-01"}, {"legalBasis": "x"}, {"legalBasis": "", "until": "2027-01-01"}, {**COURT, "more": 1}],
)
def test_withholding_needs_a_law_and_a_day(hamlet, terms):
    withhold(hamlet, terms)
    with pytest.raises(ContractInvalid):
        hamlet.open().agreement("town_hall/residents/school")
