"""The DAGs of a request: one wording, one question, and an answer for nothing else."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import yaml

from crossdock import pipeline
from crossdock.exchange import open_exchange
from crossdock.reviews import answer, request
from crossdock.storage.records import deliveries
from hamlet import found, write_yaml
from provinces import ROOT, run

TAX = "town_hall/permits/tax"
DAGS = """
import json
from crossdock.airflow.build import index
from crossdock.airflow.review import review_dags
print(json.dumps({d.dag_id: [d.is_paused_upon_creation, d.task_ids, str(d.deadline[0].reference)] for d in review_dags(index())}))
"""
SHOWN = """
import json, sys
from crossdock.airflow.review import _described
print(json.dumps(_described(sys.argv[1], sys.argv[2])))
"""
STILL = """
import sys
from crossdock.airflow.review import Question
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput
asked = Question(task_id="answer", agreement=sys.argv[1], wording=sys.argv[2], subject="s", options=["x"])
try:
    asked.execute_complete({}, {"error": "Time is up.", "error_type": "timeout"})
except TaskAwaitingInput as waits:
    print("waits", waits.method_name)
except AirflowSkipException as skipped:
    print(skipped)
"""
ANSWER = """
import sys
from crossdock.airflow.build import index
from crossdock.airflow.review import _record, _settled
(asked,) = [a for a in index().agreements if a.id == sys.argv[1]]
if sys.argv[2] == "shown":
    import dataclasses
    asked = dataclasses.replace(asked, digest=sys.argv[3])
by = {"name": "admin", "id": "1"}
said = {"responded_by_user": by, "chosen_options": [sys.argv[4]], "params_input": {"reason": sys.argv[5]} if sys.argv[5:] else {}}
print("settled", _settled(asked.id, asked.digest))
print("approved", _record(asked, said))
print("settled", _settled(asked.id, asked.digest))
"""


def ask(hamlet, **header):
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text()) | {"status": "requested"} | header
    document["customProperties"][0]["value"]["requestedOn"] = "2026-11-23"
    write_yaml(file, document)
    return hamlet.open().agreement(TAX).digest


@pytest.fixture(scope="module")
def hamlet(tmp_path_factory):
    made = found(tmp_path_factory.mktemp("review"))
    shutil.copytree(ROOT / "dags", made.home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "airflow.cfg", made.home)
    (made.home / "plugins").symlink_to(ROOT / "plugins")
    assert run(made.home, "-m", "crossdock.airflow.secrets").code == 0
    return made


def dags(hamlet):
    ran = run(hamlet.home, "-c", DAGS)
    assert ran.code == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])


def test_each_wording_has_its_dags_which_run_by_themselves_and_have_their_deadlines(hamlet):
    first = dags(hamlet) if ask(hamlet) else None
    again = dags(hamlet) if ask(hamlet, version="1.1.0") else None
    for made in (first, {name: told for name, told in again.items() if name not in first}):
        assert {name.partition("__")[0]: (paused, tasks) for name, (paused, tasks, _) in made.items()} == {
            "review": (False, ["answer", "look", "record"]),
            "fulfil": (False, ["delivered"]),
        }
        assert {name.partition("__")[0]: due for name, (*_, due) in made.items()}.keys() == {"review", "fulfil"}
        due = {name.partition("__")[0]: text for name, (*_, text) in made.items()}
        assert "2026, 11, 24, 16" in due["review"] or "2026-11-24" in due["review"]
        assert "2026, 12, 21, 16" in due["fulfil"] or "2026-12-21" in due["fulfil"]
    assert first.keys() < again.keys()  # what waits in them is to see that it is asked no more


def test_what_is_asked_is_in_both_languages_and_shows_no_value(hamlet):
    wording = ask(hamlet, version="1.1.5")
    exchange = open_exchange(hamlet.home)
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    ran = run(hamlet.home, "-c", SHOWN, TAX, wording)
    assert ran.code == 0, ran.stderr[-3000:]
    shown = json.loads(ran.stdout.splitlines()[-1])
    assert shown["subject"] == "town_hall向tax提供 town_hall/permits？ town_hall gives to tax: town_hall/permits?"
    for said in (
        "须于 2026-11-25 00:00（北京时间）前答复。",
        "The answer is due at 2026-11-25 00:00, Beijing time.",
        "交付形式",
        "leaves",
    ):
        assert shown["body"].count(said) == 1
    assert shown["body"].count("A9999") > 1
    assert not re.search(r"P\d{4}|R\d{4}|remark \d", shown["body"])


def still(hamlet, wording):
    ran = run(hamlet.home, "-c", STILL, TAX, wording)
    assert ran.code == 0, ran.stderr[-3000:]
    return ran.stdout.splitlines()[-1]


def test_a_question_waits_while_it_is_asked_and_ends_with_the_reason(hamlet):
    wording = ask(hamlet, version="1.1.6")
    assert still(hamlet, wording) == "waits execute_complete"
    file = hamlet.agreement("permits", "tax")
    written = file.read_text()
    file.write_text(written.replace("holder", "nobody"))
    assert still(hamlet, wording) == "waits execute_complete"  # a slip of the pen ends nothing
    file.write_text(written.replace("status: requested", "status: suspended"))
    assert still(hamlet, wording).startswith("申请已撤回，或已无需答复即生效。 The request was taken back")
    file.write_text(written)
    assert still(hamlet, ask(hamlet, version="1.1.6")) == "waits execute_complete"
    answer(open_exchange(hamlet.home), TAX, approved=False, reason="No.", by="ann")
    assert still(hamlet, wording) == "申请已由 ann 答复。 The request was answered already, by ann."
    ask(hamlet, version="1.1.7")
    assert still(hamlet, wording) == "申请内容已变更，将重新征求答复。 The request was worded anew, and is asked anew."


def test_an_answer_to_what_was_shown_before_it_was_worded_anew_is_not_taken(hamlet):
    shown = ask(hamlet, version="1.2.0")
    ask(hamlet, version="1.3.0")
    late = run(hamlet.home, "-c", ANSWER, TAX, "shown", shown, "批准 Approve", "As shown.")
    assert late.code != 0
    assert "worded otherwise now" in late.stderr
    assert "settled True" in late.stdout  # nobody waits for what was worded anew
    assert request(open_exchange(hamlet.home), TAX).review is None
    no = run(hamlet.home, "-c", ANSWER, TAX, "now", "", "驳回 Reject", "As shown.")
    assert no.stdout.splitlines()[-3:] == ["settled False", "approved False", "settled True"], no.stderr[-2000:]
    asked = request(open_exchange(hamlet.home), TAX)
    assert (asked.review.approved, asked.review.reviewed_by, asked.review.reason) == (False, "admin", "As shown.")
    assert deliveries(open_exchange(hamlet.home).state) == []


def test_an_approval_may_come_without_the_field_for_a_reason(hamlet):
    ask(hamlet, version="1.4.0")
    yes = run(hamlet.home, "-c", ANSWER, TAX, "now", "", "批准 Approve")
    assert "approved True" in yes.stdout, yes.stderr[-2000:]
    asked = request(open_exchange(hamlet.home), TAX)
    assert (asked.review.approved, asked.review.reviewed_by, asked.review.reason) == (True, "admin", "")
