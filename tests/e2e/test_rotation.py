"""The pseudonym key is rotated: new pseudonyms at every consumer, once, and nothing of the old ones left behind."""

from __future__ import annotations

import json

import pytest
import yaml

from crossdock import pipeline
from crossdock.exchange import keys_folder
from crossdock.keys import rotate_protection
from crossdock.ledger.subjects import who
from hamlet import found, tax_rows, write_yaml

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
    rotate_protection(keys_folder(hamlet.home))
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
    rotate_protection(keys_folder(hamlet.home))
    exchange = hamlet.open()
    pipeline.push(exchange, SCHOOL)
    after = who(exchange.state, exchange.store, exchange.keys, "R0020")
    assert [each.agreement for each in after if each not in before] == [SCHOOL]


def test_agreements_without_pseudonyms_do_not_care(hamlet):
    rotate_protection(keys_folder(hamlet.home))
    assert pipeline.push(hamlet.open(), "town_hall/permits/tax").status == "unchanged"
