"""Records that a consumer's own constraints do not allow: the others arrive, and these are tried until they do."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
import sqlalchemy as sa
import yaml

from crossdock import pipeline
from crossdock.backlog import backlog
from crossdock.ledger.counts import count
from crossdock.ledger.subjects import who
from crossdock.retention import expire
from crossdock.storage.records import deliveries
from crossdock.storage.rejections import rejections, retry_rejections
from crossdock.storage.tables import rejection
from hamlet import found, permits, tax_rows, write_yaml
from killing import KILLED, code, start

TAX = "town_hall/permits/tax"
REJECTED = {"P0020", "P0041"}
OBJECTS = "CREATE TRIGGER objects BEFORE INSERT ON permits WHEN NEW.permit_no IN ('P0020', 'P0041') BEGIN SELECT RAISE(ABORT, 'no'); END"


def sql(hamlet, *statements):
    with closing(sqlite3.connect(hamlet.tax)) as database, database:
        for statement in statements:
            database.execute(statement)


@pytest.fixture
def hamlet(tmp_path):
    """The tax department has made its table itself, with an objection to two permits."""
    made = found(tmp_path)
    exchange = made.open()
    for dataset in ("town_hall/streets", "town_hall/residents", "town_hall/permits"):
        pipeline.validate(exchange, pipeline.pull(exchange, dataset).id)
    sql(made, "CREATE TABLE permits (permit_no TEXT PRIMARY KEY, holder TEXT, fee TEXT)", OBJECTS)
    return made


def numbers(hamlet):
    return {row[0] for row in tax_rows(hamlet, "permits")}


def shares(exchange):
    counted = [count(exchange.state, exchange.store, by=("agreement",), recount=recount) for recount in (False, True)]
    assert counted[0].groups == counted[1].groups
    return {group["agreement"]: group["shares"] for group in counted[0].groups}.get(TAX, 0)


def later(exchange, **by):
    now = exchange.clock() + timedelta(**by)
    return dataclasses.replace(exchange, clock=lambda: now)


def test_the_others_arrive_and_are_counted(hamlet):
    exchange = hamlet.open()
    outcome = pipeline.push(exchange, TAX)
    assert outcome.status == "delivered"
    assert (outcome.counts["inserted"], outcome.counts["filtered"]) == (86, 2)
    assert len(numbers(hamlet)) == 86
    assert not numbers(hamlet) & REJECTED
    assert shares(exchange) == 86
    found = rejections(exchange.state, TAX)
    assert {each.reason for each in found} == {"trigger"}
    assert len(found) == 2
    assert who(exchange.state, exchange.store, exchange.keys, "R0020") == []
    assert sorted(d.status for d in deliveries(exchange.state)) == ["delivered", "superseded"]
    assert pipeline.check(exchange).sound
    (owed,) = [each for each in backlog(exchange) if each.agreement == TAX]
    assert (owed.state, owed.rejected) == ("rejected", 2)
    assert pipeline.push(exchange, TAX).status == "unchanged"


def test_they_arrive_once_they_are_allowed(hamlet):
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    sql(hamlet, "DROP TRIGGER objects")
    assert pipeline.push(exchange, TAX).status == "unchanged"
    retry_rejections(exchange.state, TAX, exchange.clock().isoformat())
    outcome = pipeline.push(exchange, TAX)
    assert (outcome.counts["inserted"], outcome.counts["unchanged"], outcome.counts["filtered"]) == (2, 86, 0)
    assert numbers(hamlet) > REJECTED
    assert shares(exchange) == 88
    assert rejections(exchange.state, TAX) == []
    assert [each for each in backlog(exchange) if each.agreement == TAX] == []
    assert pipeline.push(exchange, TAX).status == "unchanged"
    assert pipeline.check(exchange).sound


def test_they_are_tried_again_after_a_day_and_are_older_then(hamlet):
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    tomorrow = later(exchange, days=1, minutes=1)
    outcome = pipeline.push(tomorrow, TAX)
    assert outcome.counts["inserted"] == 0
    assert {each.attempts for each in rejections(exchange.state, TAX)} == {2}
    assert shares(exchange) == 86
    assert pipeline.push(tomorrow, TAX).status == "unchanged"
    assert pipeline.check(exchange).sound


def on_record(hamlet):
    with hamlet.open().state.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(rejection)).scalar_one()


def test_they_are_forgotten_a_month_after_their_agreement_has_ended(hamlet):
    pipeline.push(hamlet.open(), TAX)
    expire(later(hamlet.open(), days=31))
    assert on_record(hamlet) == 2  # the agreement is in force: they will be tried
    hamlet.agreement("permits", "tax").unlink()
    expire(later(hamlet.open(), days=29))
    assert on_record(hamlet) == 2
    expire(later(hamlet.open(), days=31))
    assert on_record(hamlet) == 0


def test_once_they_have_arrived_they_are_forgotten_after_a_month(hamlet):
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    sql(hamlet, "DROP TRIGGER objects")
    pipeline.push(later(exchange, days=1, minutes=1), TAX)
    assert (rejections(exchange.state, TAX), on_record(hamlet)) == ([], 2)
    expire(later(exchange, days=31))
    assert on_record(hamlet) == 0


def test_what_the_consumer_holds_of_them_stays(hamlet):
    """An update is rejected: the old row is neither deleted nor counted, and the new one goes when it may."""
    exchange = hamlet.open()
    sql(hamlet, "DROP TRIGGER objects")
    pipeline.push(exchange, TAX)
    sql(hamlet, OBJECTS.replace("INSERT ON", "UPDATE ON"))
    hamlet.write_permits([*permits(P0010=[], P0020=["P0020", "R0020", "99.99", ""]), ["P9999", "R0001", "1.00", ""]])
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    before = {row[0]: row for row in tax_rows(hamlet, "permits")}
    outcome = pipeline.push(exchange, TAX)
    kinds = ("inserted", "updated", "deleted", "unchanged", "filtered")
    assert [outcome.counts[kind] for kind in kinds] == [1, 0, 1, 86, 1]
    after = {row[0]: row for row in tax_rows(hamlet, "permits")}
    assert after["P0020"] == before["P0020"]
    assert shares(exchange) == 89
    sql(hamlet, "DROP TRIGGER objects")
    outcome = pipeline.push(later(exchange, days=2), TAX)
    assert [outcome.counts[kind] for kind in kinds] == [0, 1, 0, 87, 0]
    assert {row[0]: row for row in tax_rows(hamlet, "permits")}["P0020"] == ("P0020", "R0020", "99.99")
    assert shares(exchange) == 90
    assert pipeline.check(exchange).sound


@pytest.mark.parametrize(
    "step", ["handover.rejected", "handover.prepared", "delivery.database.changed", "delivery.database.committed", "handover.sent"]
)  # fmt: skip
def test_killed_meanwhile_they_are_left_out_once(hamlet, step):
    killed = start(hamlet.home, fault=step, arguments=("run", "town_hall/permits"))
    assert code(killed) == KILLED
    code(start(hamlet.home, arguments=("run", "town_hall/permits")))
    exchange = hamlet.open()
    assert len(numbers(hamlet)) == shares(exchange) == 86
    assert len(rejections(exchange.state, TAX)) == 2
    assert pipeline.check(exchange).sound


def test_no_value_of_a_row_is_told(hamlet):
    pipeline.push(hamlet.open(), TAX)
    with closing(sqlite3.connect(hamlet.home / "var" / "state.db")) as state:
        told = "\n".join(state.iterdump())
    assert "rejection" in told
    assert not any(number in told for number in REJECTED)


@pytest.mark.parametrize("kind", ["postgres", "mariadb", "mysql"])
def test_a_server_that_was_sent_rows_ahead(hamlet, kind, request):
    """Servers get rows while the delivery is made; their constraints are heeded all the same."""
    connection, url = request.getfixturevalue(kind).new_database()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as database:
        database.execute(sa.text(
            "CREATE TABLE permits (permit_no varchar(20) PRIMARY KEY, holder text CHECK (holder <> 'R0041'), "
            "fee numeric(8,2), CHECK (permit_no <> 'P0020'))"
        ))  # fmt: skip
    exchange = hamlet.open()
    lookup = lambda name: connection if name == "tax_database" else exchange.lookup(name)  # noqa: E731
    exchange = dataclasses.replace(exchange, lookup=lookup)
    outcome = pipeline.push(exchange, TAX)
    assert outcome.counts["filtered"] == len(rejections(exchange.state, TAX))
    assert {each.reason for each in rejections(exchange.state, TAX)} == {"check"}
    with engine.begin() as database:
        held = {row[0] for row in database.execute(sa.text("SELECT permit_no FROM permits"))}
    assert len(held) == outcome.counts["inserted"] == shares(exchange)
    assert "P0020" not in held
    assert pipeline.check(exchange).sound


def test_a_consumer_that_takes_hardly_anything_is_refused(hamlet, monkeypatch):
    monkeypatch.setattr("crossdock.delivery.filling.MOST", 1)
    with pytest.raises(pipeline_error(), match="refused the delivery"):
        pipeline.push(hamlet.open(), TAX)
    assert rejections(hamlet.open().state) == []


def pipeline_error():
    from crossdock.errors import ConsumerRefused

    return ConsumerRefused


def test_a_full_delivery_leaves_them_out(hamlet):
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["delivery"]["mode"] = "full"
    write_yaml(file, document)
    exchange = hamlet.open()
    outcome = pipeline.push(exchange, TAX)
    assert outcome.counts["inserted"] == len(numbers(hamlet)) == 86
    assert shares(exchange) == 86
    assert pipeline.check(exchange).sound


@pytest.mark.parametrize("foreseen", [True, False])
def test_they_are_found_where_rows_leave_in_an_order_of_their_own(hamlet, monkeypatch, foreseen):
    """Share events are in the snapshot's order, whether the push made them or they were made before."""
    for module in ("handover", "foreseen")[: 1 + foreseen]:
        monkeypatch.setattr(f"crossdock.{module}.MANY", 1)
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text())
    terms = document["customProperties"][0]["value"]
    terms["delivery"]["mode"], terms["protect"] = "full", {"permit_no": "pseudonymise"}
    write_yaml(file, document)
    sql(
        hamlet,
        "DROP TRIGGER objects",
        OBJECTS.replace("NEW.permit_no IN ('P0020', 'P0041')", "NEW.holder IN ('R0020', 'R0041')"),
    )
    exchange = hamlet.open()
    hamlet.write_permits([*permits(), ["P9999", "R0001", "1.00", ""]])
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)
    outcome = pipeline.push(exchange, TAX)
    assert (outcome.counts["inserted"], outcome.counts["filtered"]) == (87, 2)
    holders = {row[1] for row in tax_rows(hamlet, "permits")}
    assert len(holders) == 86  # one has two permits
    assert not holders & {"R0020", "R0041"}
    assert len(rejections(exchange.state, TAX)) == 2
    assert [who(exchange.state, exchange.store, exchange.keys, holder) for holder in ("R0020", "R0041")] == [[], []]
    assert pipeline.check(exchange).sound
