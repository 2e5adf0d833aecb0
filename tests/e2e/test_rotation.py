"""Keys are rotated. The pseudonym key: new pseudonyms at every consumer, once, and nothing of the old ones left behind.

The ledger key: nothing goes again, newer events are under it, and people, records and counts are found across versions.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from crossdock import pipeline, recalls
from crossdock.exchange import keys_folder
from crossdock.keys import LEDGER, PROTECTION, rotate
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import entry_of
from crossdock.ledger.checking import check_proof
from crossdock.ledger.counts import count
from crossdock.ledger.distinct import with_subjects
from crossdock.ledger.proofs import prove_delivery, prove_record
from crossdock.ledger.subjects import who
from crossdock.lookups import look_up
from crossdock.routes import outbox
from crossdock.storage.lookups import lookups
from crossdock.storage.records import unfinished_deliveries
from hamlet import entries, found, tax_rows, write_yaml
from killing import KILLED, code, start

SCHOOL, TAX = "town_hall/residents/school", "town_hall/residents/tax"


@pytest.fixture
def hamlet(tmp_path):
    """Both consumers get pseudonyms: the tax department as changes, and by them it is told what changes."""
    made = found(tmp_path)
    file = made.agreement("residents", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["protect"]["resident_no"] = "pseudonymise"
    write_yaml(file, document)
    assert not made.sweep().failures
    return made


def manifests(hamlet):
    found = [json.loads(path.read_text()) for path in (hamlet.school / "residents").glob("*/manifest.json")]
    return sorted(found, key=lambda each: each["intended_at"])


def test_all_pseudonyms_are_others_once(hamlet):
    before = tax_rows(hamlet, "residents")
    rotate(keys_folder(hamlet.home), PROTECTION)
    exchange = hamlet.open()
    pushed = {name: pipeline.push(exchange, name) for name in (TAX, SCHOOL)}
    assert {outcome.status for outcome in pushed.values()} == {"delivered"}
    after = tax_rows(hamlet, "residents")
    assert len(after) == len(before)
    assert sorted(row[1:] for row in after) == sorted(row[1:] for row in before)
    assert not {row[0] for row in after} & {row[0] for row in before}
    counts = pushed[TAX].counts
    assert (counts["inserted"], counts["updated"], counts["deleted"]) == (0, len(before), 0)
    assert [each["pseudonym_key"] for each in manifests(hamlet)] == [1, 2]
    assert {pipeline.push(exchange, name).status for name in (TAX, SCHOOL)} == {"unchanged"}
    assert pipeline.check(exchange).sound


def test_people_are_found_before_and_after(hamlet):
    before = who(hamlet.open().state, hamlet.open().store, hamlet.open().keys, "R0020")
    rotate(keys_folder(hamlet.home), PROTECTION)
    exchange = hamlet.open()
    pipeline.push(exchange, SCHOOL)
    after = who(exchange.state, exchange.store, exchange.keys, "R0020")
    assert [each.agreement for each in after if each not in before] == [SCHOOL]


def test_agreements_without_pseudonyms_do_not_care(hamlet):
    rotate(keys_folder(hamlet.home), PROTECTION)
    assert pipeline.push(hamlet.open(), "town_hall/permits/tax").status == "unchanged"


def rotated(hamlet):
    """Rotates the ledger key, and has one resident change."""
    rotate(keys_folder(hamlet.home), LEDGER)
    hamlet.sql(
        "UPDATE residents SET phone = '13900000', changed_at = '2099-01-01T00:00:00' WHERE resident_no = 'R0020'"
    )
    exchange = hamlet.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/residents").id)
    return exchange


def subjects(exchange):
    counted = count(exchange.state, exchange.store, by=("consumer",))
    return with_subjects(counted, exchange.state, exchange.store, exchange.keys).to_dict()


def ask(exchange, keys=None):
    return [
        (each.agreement, each.operation) for each in who(exchange.state, exchange.store, keys or exchange.keys, "R0020")
    ]


def test_under_another_ledger_key_only_what_changed_goes(hamlet):
    exchange = hamlet.open()
    before, people = ask(exchange), subjects(exchange)
    exchange = rotated(hamlet)
    outcome = pipeline.push(exchange, TAX)
    assert (outcome.counts["inserted"], outcome.counts["updated"], outcome.counts["deleted"]) == (0, 1, 0)
    versions = [body.get("key_version", 1) for body in entries(exchange)]
    assert versions == [1] * (len(versions) - 1) + [2]
    assert ask(exchange) == [*before, (TAX, "update")]
    assert ask(exchange, replace(exchange.keys, ledger_seals={})) == before
    now = subjects(exchange)
    assert now["subjects"] == people["subjects"]
    assert [each["subjects"] for each in now["groups"]] == [each["subjects"] for each in people["groups"]]
    assert pipeline.push(exchange, TAX).status == "unchanged"
    for _ in range(2):  # into a segment with events under both
        assert pipeline.audit(exchange).sound
    assert ask(exchange) == [*before, (TAX, "update")]
    assert subjects(exchange) == now


def test_records_are_proven_under_every_ledger_key(hamlet):
    exchange = rotated(hamlet)
    deliveries = [each.delivery for each in who(exchange.state, exchange.store, exchange.keys, "R0020")]
    deliveries.append(pipeline.push(exchange, TAX).delivery)
    assert pipeline.audit(exchange).sound
    hashes = set()
    for delivery in deliveries:
        proof = prove_delivery(exchange.state, exchange.store, delivery)
        proof = prove_record(proof, Archive.open(exchange.state, exchange.store), exchange.keys, ["R0020"])
        proven = check_proof(json.dumps(proof).encode(), exchange.keys.public())
        hashes.add((entry_of(exchange.state, delivery).body.key_version, proven.record))
    assert len(dict(hashes)) == len({record for _, record in hashes}) == 2


@pytest.mark.parametrize("which", [0, 1])
def test_deliveries_under_both_ledger_keys_are_recalled(hamlet, which):
    exchange = rotated(hamlet)
    made = [
        each.delivery for each in who(exchange.state, exchange.store, exchange.keys, "R0020") if each.agreement == TAX
    ]
    made.append(pipeline.push(exchange, TAX).delivery)
    held = len(tax_rows(hamlet, "residents"))
    outcome = recalls.recall(exchange, made[which], reason="Sent by mistake.", by="steward")
    assert outcome.counts["deleted"] == (held if which == 0 else 1)
    assert len(tax_rows(hamlet, "residents")) == held - outcome.counts["deleted"]
    assert ask(exchange)[-1] == (TAX, "delete")
    assert pipeline.check(exchange).sound


@pytest.mark.parametrize("step", ["handover.prepared", "handover.sent"])
def test_a_delivery_that_was_begun_under_the_old_ledger_key_is_finished_under_it(hamlet, step):
    hamlet.sql(
        "UPDATE residents SET phone = '13900000', changed_at = '2099-01-01T00:00:00' WHERE resident_no = 'R0020'"
    )
    exchange = hamlet.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/residents").id)
    assert code(start(hamlet.home, fault=step, arguments=("run", "town_hall/residents"))) == KILLED
    known = len(entries(exchange))
    open_ones = [each for name in (TAX, SCHOOL) for each in unfinished_deliveries(exchange.state, name)]
    begun = {each.agreement for each in open_ones if exchange.store.exists(f"{outbox(each)}/entry.json")}
    assert begun  # one, or both at once
    rotate(keys_folder(hamlet.home), LEDGER)
    exchange = hamlet.open()
    outcomes = [pipeline.push(exchange, name) for name in (TAX, SCHOOL)]
    assert {outcome.status for outcome in outcomes} <= {"delivered", "unchanged"}
    booked = {body["agreement"]: body.get("key_version", 1) for body in entries(exchange)[known:]}
    assert booked == {name: 1 if name in begun else 2 for name in (TAX, SCHOOL)}
    assert {agreement for agreement, _ in ask(exchange)[-2:]} == {TAX, SCHOOL}
    assert pipeline.check(exchange).sound


def test_lookups_are_told_across_ledger_keys(hamlet):
    look_up(hamlet.open(), "R0020", by="clerk", reason="Asked.")
    rotate(keys_folder(hamlet.home), LEDGER)
    exchange = hamlet.open()
    assert [each.reason for each in look_up(exchange, "R0020", by="clerk", reason="Again.").lookups] == ["Asked."]
    assert len({each.subject for each in lookups(exchange.state)}) == 2
    assert len(look_up(exchange, "R0020", by="clerk").lookups) == 2
