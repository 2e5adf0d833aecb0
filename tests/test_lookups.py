"""Who received my data: what is told, what is withheld until its day, and that every question is on record."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from crossdock import pipeline
from crossdock.errors import ContractInvalid, WrongUse
from crossdock.lookups import look_up, spellings
from crossdock.storage.lookups import lookups
from hamlet import found, write_yaml
from provinces import ROOT

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


def test_its_day_begins_in_china(hamlet):
    hidden = ("school", "town_hall/residents")
    for minutes, is_told in ((-1, False), (0, True)):
        moment = datetime(2026, 12, 31, 16, tzinfo=UTC) + timedelta(minutes=minutes)
        exchange = dataclasses.replace(hamlet.open(), clock=lambda moment=moment: moment)
        assert (hidden in told(exchange)) == is_told


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


WRITTEN = ["R0020", " r0020 ", "Ｒ００２０", "R 00 20", "R\u200b0020\ufeff", "R-0020", "R\u00a00020", "r\u20110020\t"]


@pytest.mark.parametrize("written", WRITTEN)
def test_however_it_is_written_it_is_the_same_person(hamlet, written):
    exchange = hamlet.open()
    whole = look_up(exchange, "R0020", by="ann", reason="The first.")
    again = look_up(exchange, written, by="bob", reason="The second.")
    assert again.received == whole.received != []
    assert "The first." in {each.reason for each in again.lookups}


def test_what_looks_empty_is_empty(hamlet):
    for written in ("", " ", "\u3000", "\u200b", "-"):
        with pytest.raises(WrongUse, match="empty"):
            look_up(hamlet.open(), written, by="ann")


@pytest.mark.parametrize(
    ("given", "others"),
    [
        ("110105491231002", {"110105491231002", "11010519491231002X"}),
        ("11010519491231002x", {"110105491231002", "11010519491231002x", "11010519491231002X"}),
        ("110105200012310023", {"110105200012310023"}),  # born when there were numbers of 18 digits only
        ("91350100M000100Y43", {"91350100M000100Y43"}),
    ],
)  # fmt: skip
def test_a_number_of_18_digits_is_that_of_15_before_it(given, others):
    assert set(spellings(given)) == others
    assert spellings(given)[-1] == max(others, key=lambda each: (len(each), each.upper() == each))


@pytest.mark.parametrize("reason", ["About R0020.", "about r0020", "Ｒ００２０", "R 0020 asks", "R-0020"])
def test_a_reason_names_nobody(hamlet, reason):
    exchange = hamlet.open()
    with pytest.raises(WrongUse, match="names whom"):
        look_up(exchange, "R0020", by="ann", reason=reason)
    assert lookups(exchange.state) == []


def test_the_command_asks_unseen_or_reads_a_pipe(hamlet):
    command = [sys.executable, "-m", "crossdock", "who"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "AIRFLOW"))}
    environment |= {"CROSSDOCK_HOME": str(hamlet.home), "PYTHONPATH": str(ROOT / "plugins")}
    piped = subprocess.run(command, env=environment, input="r0020\n", capture_output=True, text=True, check=True)
    ours, theirs = pty.openpty()
    asking = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said = b""
    while not said.endswith(b": "):  # the blank comes when nothing is shown any more
        said += os.read(ours, 1_000)
    os.write(ours, b"R0020\n")
    printed = asking.communicate(timeout=60)[0].decode()
    with contextlib.suppress(OSError):  # it has ended
        said += os.read(ours, 1_000)
    os.close(ours)
    assert b"R0020" not in said
    for answer in (piped.stdout, printed):
        assert "town_hall/residents/tax" in answer
        assert "R0020" not in answer.upper()


@pytest.mark.parametrize(
    "terms",
    [{"until": "2027-01-01"}, {"legalBasis": "x"}, {"legalBasis": "", "until": "2027-01-01"}, {**COURT, "more": 1}],
)
def test_withholding_needs_a_law_and_a_day(hamlet, terms):
    withhold(hamlet, terms)
    with pytest.raises(ContractInvalid):
        hamlet.open().agreement("town_hall/residents/school")
