"""The four verbs, each by itself: repeatable, and proving what it did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
import yaml

from crossdock import pipeline
from crossdock.errors import ContractInvalid, DeliveryRefused, LedgerBroken, WrongUse
from crossdock.intake import ReferenceMissing
from crossdock.storage.records import latest_snapshot, verdicts
from hamlet import found, permits


@pytest.fixture
def hamlet(tmp_path):
    return found(tmp_path)


@pytest.fixture
def exchange(hamlet):
    return hamlet.open()


def test_an_extract_is_named_by_its_content(hamlet, exchange):
    first, again = (pipeline.pull(exchange, "town_hall/permits") for _ in range(2))
    assert (first.id, first.key, first.rows, first.incremental) == (again.id, again.key, 90, False)
    hamlet.write_permits(permits(P0010=[]))
    assert pipeline.pull(exchange, "town_hall/permits").id != first.id
    assert exchange.dataset(first.key).count_rows() == 90  # what was pulled stays as it was


def test_a_verdict_is_kept(exchange):
    extract = pipeline.pull(exchange, "town_hall/permits")
    first, again = (pipeline.validate(exchange, extract.id) for _ in range(2))
    assert first == again == verdicts(exchange.state)[0]
    assert extract.digest == first.accepted_digest + first.quarantined_digest


def test_a_verdict_that_promises_no_freshness_does_not_age(exchange):
    extract = pipeline.pull(exchange, "town_hall/permits")
    first = pipeline.validate(exchange, extract.id)
    later = replace(exchange, clock=lambda: datetime.now(UTC) + timedelta(days=40))
    assert pipeline.validate(later, extract.id).id == first.id


def test_the_next_pull_starts_after_the_snapshot_and_not_after_what_was_rejected(exchange):
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/streets").id)
    first = pipeline.pull(exchange, "town_hall/residents")
    assert (first.incremental, first.watermark, first.rows) == (False, None, 200)
    repeated = pipeline.pull(exchange, "town_hall/residents")  # not judged yet: all of it again
    assert (repeated.id, repeated.incremental) == (first.id, False)
    pipeline.validate(exchange, first.id)
    after = pipeline.pull(exchange, "town_hall/residents")
    assert (after.incremental, after.rows) == (True, 0)


def test_a_reference_must_have_been_accepted(exchange):
    extract = pipeline.pull(exchange, "town_hall/residents")
    with pytest.raises(ReferenceMissing, match="crossdock run town_hall/streets"):
        pipeline.validate(exchange, extract.id)


def test_rows_that_went_missing_in_landing_are_noticed(hamlet, exchange):
    extract = pipeline.pull(exchange, "town_hall/permits")
    file = hamlet.home / "var" / "store" / extract.key
    table = pq.read_table(file)
    file.chmod(0o600)
    pq.write_table(table.slice(1), file)
    with pytest.raises(LedgerBroken, match="pulled = accepted \\+ quarantined"):
        pipeline.validate(exchange, extract.id)
    assert verdicts(exchange.state) == []
    assert latest_snapshot(exchange.state, "town_hall/permits") is None


@pytest.mark.parametrize(
    ("verb", "name", "near"),
    [
        (pipeline.pull, "town_hall/permit", "town_hall/permits"),
        (pipeline.push, "town_hall/permits/taxes", "town_hall/permits/tax"),
        (pipeline.publish, "town_hall/streets/publik", "town_hall/streets/public"),
    ],
)
def test_an_unknown_name(exchange, verb, name, near):
    with pytest.raises((WrongUse, DeliveryRefused), match=f"Did you mean '{near}'"):
        verb(exchange, name)


def test_an_unknown_extract(exchange):
    with pytest.raises(WrongUse, match="no extract 'x'"):
        pipeline.validate(exchange, "x")


def test_a_dataset_whose_contract_is_wrong_says_what_is_wrong(hamlet):
    file = hamlet.contract("permits")
    file.write_text(file.read_text().replace("version: 1.0.0", "versoin: 1.0.0"))
    with pytest.raises(ContractInvalid, match="versoin"):
        pipeline.pull(hamlet.open(), "town_hall/permits")


def test_a_contract_without_a_source_cannot_be_pulled(hamlet):
    document = yaml.safe_load(hamlet.contract("permits").read_text())
    del document["customProperties"][0]["value"]["source"]
    hamlet.contract("permits").write_text(yaml.safe_dump(document))
    with pytest.raises(WrongUse, match="names no source"):
        pipeline.pull(hamlet.open(), "town_hall/permits")


def test_the_audit_signs_only_what_is_sound(hamlet, exchange):
    hamlet.sweep()
    assert list(exchange.store.list("ledger/heads/")) == []
    assert pipeline.check(exchange).sound
    assert list(exchange.store.list("ledger/heads/")) == []  # a check writes nothing
    assert pipeline.audit(exchange).sound
    (head,) = exchange.store.list("ledger/heads/")
    signed = exchange.store.read(head)
    (segment,) = exchange.store.list("ledger/segments/")
    exchange.store.delete(segment)
    for key in list(exchange.store.list("ledger/events/")):
        exchange.store.delete(key)
    found = pipeline.audit(exchange)
    assert not found.sound
    assert found.breaks[0].seq == 1
    assert exchange.store.read(head) == signed
    assert list(exchange.store.list("ledger/segments/")) == []


def test_the_audit_compacts_and_keeps_no_event_for_longer_than_the_policy(hamlet, exchange):
    hamlet.sweep()
    for _ in range(2):
        assert pipeline.audit(exchange, keep="P10Y").sound
    assert list(exchange.store.list("ledger/events/")) == []
    later = replace(exchange, clock=lambda: exchange.clock() + timedelta(days=3_660))
    assert pipeline.audit(later, keep="P10Y").sound
    assert list(exchange.store.list("ledger/segments/")) == []
    assert pipeline.check(exchange).sound
    for wrong in ("10", "ten years", "P"):
        with pytest.raises(WrongUse, match="no length of time"):
            pipeline.audit(exchange, keep=wrong)
