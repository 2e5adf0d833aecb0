"""Handing over: when it is refused, waited for, done, and done only once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from crossdock import pipeline
from crossdock.errors import ConsumerRefused, DeliveryRefused, LedgerBroken, Permanent
from crossdock.ledger.counts import count
from crossdock.storage.records import deliveries, delivery_by_id, latest_snapshot, refusals
from hamlet import REFUSED, found, permits, tax_rows, write_yaml

TAX, SCHOOL, PUBLIC = "town_hall/permits/tax", "town_hall/permits/school", "town_hall/streets/public"


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path)
    exchange = made.open()
    for name in ("town_hall/permits", "town_hall/streets"):
        pipeline.validate(exchange, pipeline.pull(exchange, name).id)
    return made


def change(file, **fields):
    """Changes top-level fields of an agreement."""
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | fields))


def test_delivered_once_then_unchanged(hamlet):
    exchange = hamlet.open()
    first, again = (pipeline.push(exchange, TAX) for _ in range(2))
    assert (first.status, again.status) == ("delivered", "unchanged")
    assert first.delivery == again.delivery
    assert first.counts == {"accepted": 88, "inserted": 88, "updated": 0, "deleted": 0, "unchanged": 0, "filtered": 0}
    assert len(deliveries(exchange.state)) == 1


@pytest.mark.parametrize("verb", [pipeline.push, pipeline.publish])
def test_without_an_agreement_nothing_leaves_and_that_is_on_record(hamlet, verb):
    exchange = hamlet.open()
    for _ in range(2):
        with pytest.raises(DeliveryRefused, match=r"no agreement 'town_hall/permits/nobody'"):
            verb(exchange, "town_hall/permits/nobody")
    (refusal,) = refusals(exchange.state)
    assert (refusal.dataset, refusal.consumer) == ("town_hall/permits", "nobody")
    assert deliveries(exchange.state) == []


def test_nothing_accepted_yet_is_waited_for(tmp_path):
    outcome = pipeline.push(found(tmp_path / "new").open(), TAX)
    assert (outcome.status, outcome.delivery) == ("waiting", None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "draft"}, "not approved"),
        ({"status": "suspended"}, "not approved"),
        ({"startTimestamp": "2099-01-01T00:00:00+08:00"}, "not valid before"),
        ({"endTimestamp": "2026-02-01T00:00:00+08:00"}, "expired"),
    ],
)
@pytest.mark.parametrize("agreement", [TAX, PUBLIC])
def test_a_refusal_is_recorded_once_and_nothing_leaves(hamlet, agreement, fields, reason):
    _, dataset, consumer = agreement.split("/")
    change(hamlet.agreement(dataset, consumer), **fields)
    exchange = hamlet.open()
    verb = pipeline.publish if agreement == PUBLIC else pipeline.push
    outcomes = [verb(exchange, agreement) for _ in range(2)]
    assert {o.status for o in outcomes} == {"refused"}
    assert reason in outcomes[0].reason
    (refusal,) = refusals(exchange.state)
    assert (refusal.agreement, refusal.reason) == (agreement, outcomes[0].reason)
    assert deliveries(exchange.state) == []
    assert list(exchange.store.list("outbox/")) == []
    assert list(exchange.store.list("open/")) == []
    assert not hamlet.tax.exists()


def test_an_agreement_ends_by_the_clock(hamlet):
    exchange = hamlet.open()
    assert pipeline.push(exchange, TAX).status == "delivered"
    later = replace(exchange, clock=lambda: datetime(2100, 1, 1, tzinfo=UTC))
    assert pipeline.push(later, TAX).status == "refused"


def test_a_dataset_that_is_not_shared_does_not_leave(hamlet):
    file = hamlet.contract("permits")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["sharing"] = {"class": "none", "basis": "A law."}
    file.write_text(yaml.safe_dump(document))
    exchange = hamlet.open()
    outcome = pipeline.push(exchange, TAX)
    assert outcome.status == "refused"
    assert "not shared" in outcome.reason


def test_rows_that_do_not_add_up_are_not_booked(hamlet, monkeypatch):
    from crossdock import handover

    honest = handover.prepare

    def lossy(*arguments, **named):
        prepared = honest(*arguments, **named)
        return replace(prepared, counts=replace(prepared.counts, inserted=prepared.counts.inserted - 1))

    monkeypatch.setattr(handover, "prepare", lossy)
    exchange = hamlet.open()
    with pytest.raises(LedgerBroken):
        pipeline.push(exchange, SCHOOL)
    assert {d.status for d in deliveries(exchange.state)} == {"intended"}
    assert count(exchange.state, exchange.store, by=()).shares == 0


def test_a_consumer_who_says_no_is_asked_again_later(hamlet):
    hamlet.tax.write_bytes(b"this is no database, and never was one" * 100)
    exchange = hamlet.open()
    with pytest.raises(ConsumerRefused):
        pipeline.push(exchange, TAX)
    assert count(exchange.state, exchange.store, by=()).shares == 0
    hamlet.tax.unlink()
    assert pipeline.push(exchange, TAX).status == "delivered"
    assert len(tax_rows(hamlet, "permits")) == 88
    (delivery,) = deliveries(exchange.state)
    assert delivery.status == "delivered"


def test_what_the_ledger_says_is_what_the_agreement_says(hamlet):
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    pipeline.publish(exchange, PUBLIC)
    groups = count(exchange.state, exchange.store, by=("dataset", "consumer", "channel", "purpose")).groups
    assert [(g["dataset"], g["consumer"], g["channel"], g["purpose"], g["shares"]) for g in groups] == [
        ("town_hall/permits", "tax", "database", "A test.", 88),
        ("town_hall/streets", "public", "open", "A test.", 9),
    ]
    assert REFUSED not in {d.agreement for d in deliveries(exchange.state)}


@pytest.mark.parametrize(
    ("agreement", "verb"), [(TAX, pipeline.push), (SCHOOL, pipeline.push), (PUBLIC, pipeline.publish)]
)
@pytest.mark.parametrize("forged", ["another value", "a row less", "a row twice"])
def test_a_snapshot_that_was_changed_after_its_verdict_does_not_leave(hamlet, agreement, verb, forged):
    exchange = hamlet.open()
    dataset = agreement.rpartition("/")[0]
    path = exchange.store.root / latest_snapshot(exchange.state, dataset).key
    rows = pq.read_table(path)
    if forged == "another value":
        last = rows.column_names[1]
        rows = rows.set_column(1, rows.schema.field(1), pa.array(["forged", *rows[last].to_pylist()[1:]]))
    else:
        rows = rows.slice(1) if forged == "a row less" else pa.concat_tables([rows, rows.slice(0, 1)])
    path.chmod(0o600)
    pq.write_table(rows, path)
    with pytest.raises(Permanent, match=r"not those which were accepted|empty or repeated"):
        verb(exchange, agreement)
    assert tax_rows_if_any(hamlet) == []
    assert not [d for d in deliveries(exchange.state) if d.status == "delivered"]


def tax_rows_if_any(hamlet):
    return tax_rows(hamlet, "permits") if hamlet.tax.exists() else []


def terms(file, **fields):
    """Changes fields of an agreement's crossdock property."""
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"] |= fields
    file.write_text(yaml.safe_dump(document))


def at(exchange, *when):
    moment = datetime(*when, tzinfo=UTC)
    return replace(exchange, clock=lambda: moment)


def pulled(hamlet, exchange, **changed):
    hamlet.write_permits(permits(**changed))
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)


def test_what_is_granted_once_is_delivered_once_under_each_version(hamlet):
    file = hamlet.agreement("permits", "tax")
    terms(file, frequency="once")
    exchange = hamlet.open()
    assert [pipeline.push(exchange, TAX).status for _ in range(2)] == ["delivered", "unchanged"]
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    late = [pipeline.push(exchange, TAX) for _ in range(2)]
    assert {o.status for o in late} == {"refused"}
    assert late[0].reason.startswith("The agreement grants one delivery, and that was made on 20")
    assert len(refusals(exchange.state)) == 1
    change(file, version="1.1.0")
    assert pipeline.push(hamlet.open(), TAX).counts["updated"] == 1


def test_times_of_its_own_are_kept_whoever_asks(hamlet):
    terms(hamlet.agreement("permits", "tax"), frequency="0 6 * * 1")
    exchange = hamlet.open()
    assert pipeline.push(at(exchange, 2026, 11, 23, 9), TAX).status == "delivered"
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    waiting = pipeline.push(at(exchange, 2026, 11, 30, 5, 59), TAX)
    assert (waiting.status, waiting.reason) == (
        "waiting",
        "Its frequency is 0 6 * * 1: it is due again at 2026-11-30 06:00 UTC.",
    )
    assert refusals(exchange.state) == []
    assert pipeline.push(at(exchange, 2026, 11, 30, 6), TAX).status == "delivered"


def test_a_row_filter_that_asks_for_the_day_is_another_one_tomorrow(hamlet):
    terms(
        hamlet.agreement("residents", "tax"),
        rows="born > today() - 40 years",
        columns=["resident_no", "name", "phone", "street"],
    )
    exchange = hamlet.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/residents").id)
    born = [
        row["born"]
        for row in exchange.dataset(latest_snapshot(exchange.state, "town_hall/residents").key).to_table().to_pylist()
    ]
    agreement = "town_hall/residents/tax"
    today = pipeline.push(at(exchange, 2026, 7, 9, 16), agreement)  # midnight in China
    assert today.counts["inserted"] == sum(day > date(1986, 7, 10) for day in born if day)
    assert pipeline.push(at(exchange, 2026, 7, 10, 15, 59), agreement).status == "unchanged"
    tomorrow = pipeline.push(at(exchange, 2026, 7, 10, 16), agreement)
    left = sum(day == date(1986, 7, 11) for day in born if day)
    assert left > 0
    assert (tomorrow.status, tomorrow.counts["deleted"], tomorrow.counts["inserted"]) == ("delivered", left, 0)


def test_the_day_of_a_delivery_is_that_of_its_first_attempt(hamlet):
    exchange = hamlet.open()
    terms(hamlet.agreement("residents", "tax"), rows="born > today() - 40 years")
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/residents").id)
    made = pipeline.push(at(exchange, 2026, 7, 10, 15, 59), "town_hall/residents/tax")
    found = delivery_by_id(exchange.state, made.delivery)
    assert found.day == date(2026, 7, 10)
    assert replace(found, intended_at="2026-07-10T16:00:00.000000+00:00").day == date(2026, 7, 11)


@pytest.mark.parametrize(
    ("delivery", "words"),
    [
        ({"table": "permits; DROP TABLE permits"}, "names no proper table"),
        ({"table": "crossdock_delivery"}, "begins with crossdock_delivery"),
        ({"table": "Crossdock_Delivery_Lock"}, "begins with crossdock_delivery"),
        ({"table": "permits", "format": "csv"}, "has no option 'format'"),
        ({"channel": "folder", "connection": "school_folder", "path": "../tax"}, "no plain relative path"),
        ({"channel": "folder", "connection": "school_folder", "path": ["tax"]}, "no plain relative path"),
    ],
)
def test_what_a_channel_can_not_use_is_refused_before_anything_is_begun(tmp_path, delivery, words):
    hamlet = found(tmp_path)
    exchange = hamlet.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    file = hamlet.agreement("permits", "tax")
    right = yaml.safe_load(file.read_text())
    wrong = yaml.safe_load(file.read_text())
    given = wrong["customProperties"][0]["value"]["delivery"]
    if "channel" in delivery:
        del given["table"]
    given.update(delivery)
    write_yaml(file, wrong)
    outcome = pipeline.push(hamlet.open(), "town_hall/permits/tax")
    assert outcome.status == "refused"
    assert words in outcome.reason
    assert deliveries(exchange.state) == []
    write_yaml(file, right)
    assert pipeline.push(hamlet.open(), "town_hall/permits/tax").status == "delivered"
