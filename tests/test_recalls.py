"""Recalls: what a delivery brought is taken back, from whoever holds it, once, and that is in the books."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from crossdock import pipeline, recalls
from crossdock.delivery.manifest import verify_manifest
from crossdock.errors import ConsumerRefused, StorageConflict, WrongUse
from crossdock.identity import RowsDigest
from crossdock.ledger.book import entry_of
from crossdock.ledger.counts import count
from crossdock.ledger.subjects import who
from crossdock.ledger.verify import verify
from crossdock.storage.records import deliveries, delivery_by_id
from hamlet import found, open_rows, permits, tax_rows, write_yaml
from unblinding import unblind

TAX, SCHOOL, PUBLIC = "town_hall/permits/tax", "town_hall/permits/school", "town_hall/streets/public"


@pytest.fixture
def hamlet(tmp_path):
    made = found(tmp_path)
    exchange = made.open()
    for name in ("town_hall/permits", "town_hall/streets"):
        pipeline.validate(exchange, pipeline.pull(exchange, name).id)
    return made


def pulled(hamlet, exchange, **changed):
    hamlet.write_permits(permits(**changed))
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/permits").id)


def recalled(exchange, delivery, reason="Sent by mistake."):
    return recalls.recall(exchange, delivery, reason=reason, by="steward")


def is_sound(exchange):
    both = [count(exchange.state, exchange.store, by=(), recount=recount).shares for recount in (False, True)]
    return verify(exchange.state, exchange.store, exchange.keys.public()) == [] and both[0] == both[1]


def test_a_recall_has_digests_of_its_own_that_are_blinded_too(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    made = {name: entry_of(exchange.state, name).body.digests for name in (first, recalled(exchange, first).delivery)}
    plain = {name: unblind(digests, name, exchange.keys) for name, digests in made.items()}
    assert {text for name, text in plain[first].items() if name in ("unchanged", "filtered")} == {str(RowsDigest())}
    assert set(plain.popitem()[1].values()) == {str(RowsDigest())}  # the recall leaves nothing
    assert len({text.partition(":")[2] for digests in made.values() for text in digests.values()} | {"0" * 32}) == 9
    assert is_sound(exchange)


def test_of_changes_only_what_the_delivery_brought_is_deleted(hamlet):
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    before = tax_rows(hamlet, "permits")
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""], P0090=["P0090", "R0090", "1.00", ""])
    second = pipeline.push(exchange, TAX).delivery
    outcome = recalled(exchange, second)
    assert (outcome.status, outcome.counts["deleted"], outcome.counts["unchanged"]) == ("delivered", 1, 87)
    assert tax_rows(hamlet, "permits") == [row for row in before if row[0] != "P0002"]
    assert count(exchange.state, exchange.store, by=()).shares == 89
    assert is_sound(exchange)


@pytest.mark.parametrize("consumer", ["tax", "school"])  # changes, and in full
@pytest.mark.parametrize("subject", [True, False])
def test_records_that_are_their_own_subject_or_about_nobody_are_deleted_too(hamlet, consumer, subject):
    file = hamlet.contract("residents")
    document = yaml.safe_load(file.read_text())
    if not subject:
        del document["customProperties"][0]["value"]["subject"]
    write_yaml(file, document)
    exchange = hamlet.open()
    pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/residents").id)
    first = pipeline.push(exchange, f"town_hall/residents/{consumer}")
    assert first.counts["inserted"] > 100
    outcome = recalled(exchange, first.delivery)
    assert outcome.counts["deleted"] == first.counts["inserted"]
    if consumer == "tax":
        assert tax_rows(hamlet, "residents") == []
    if subject:
        told = [each.operation for each in who(exchange.state, exchange.store, exchange.keys, "R0020")]
        assert told == ["insert", "delete"]
    assert is_sound(exchange)


def test_the_same_does_not_go_again_until_something_changed(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    recalled(exchange, first)
    assert tax_rows(hamlet, "permits") == []
    again = pipeline.push(exchange, TAX)
    assert (again.status, again.reason.partition(":")[0]) == ("unchanged", "It was recalled")
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    assert pipeline.push(exchange, TAX).counts["inserted"] == 88
    assert len(tax_rows(hamlet, "permits")) == 88
    assert is_sound(exchange)


def test_recalling_twice_changes_nothing(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    made = [recalled(exchange, first, reason) for reason in ("One.", "Two.")]
    assert [o.status for o in made] == ["delivered", "unchanged"]
    assert made[0].delivery == made[1].delivery
    assert len(deliveries(exchange.state)) == 2


def manifests(hamlet):
    made = [json.loads(path.read_bytes()) for path in (hamlet.school / "permits").glob("*/manifest.json")]
    return sorted(made, key=lambda manifest: manifest["intended_at"])


def test_in_full_the_last_one_is_replaced_by_nothing(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, SCHOOL).delivery
    outcome = recalled(exchange, first)
    assert outcome.counts["deleted"] == 88
    manifest = manifests(hamlet)[-1]
    assert (manifest["mode"], manifest["replaces"]) == ("recall", True)
    assert manifest["recalls"] == {"delivery": first, "reason": "Sent by mistake."}
    assert [file["rows"] for file in manifest["files"]] == [0]
    signed = hamlet.school / "permits" / outcome.delivery / "manifest.json"
    assert verify_manifest(signed.read_bytes(), exchange.keys.public())
    assert is_sound(exchange)


def test_of_one_that_was_replaced_a_tombstone_tells(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, SCHOOL).delivery
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    pipeline.push(exchange, SCHOOL)
    assert recalled(exchange, first).counts["deleted"] == 0
    manifest = manifests(hamlet)[-1]
    assert (manifest["replaces"], manifest["files"]) == (False, [])
    assert manifest["recalls"]["delivery"] == first
    pulled(hamlet, exchange, P0002=["P0002", "A third", "5.00", ""])
    assert pipeline.push(exchange, SCHOOL).status == "delivered"
    assert is_sound(exchange)


def test_a_table_in_full_is_emptied_or_left(hamlet):
    file = hamlet.agreement("permits", "tax")
    document = yaml.safe_load(file.read_text())
    document["customProperties"][0]["value"]["delivery"]["mode"] = "full"
    file.write_text(yaml.safe_dump(document))
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    second = pipeline.push(exchange, TAX).delivery
    recalled(exchange, first)
    assert len(tax_rows(hamlet, "permits")) == 88
    with pytest.raises(WrongUse, match="Nobody received"):
        recalled(exchange, recalled(exchange, first).delivery)
    assert recalled(exchange, second).counts["deleted"] == 88
    assert tax_rows(hamlet, "permits") == []
    assert is_sound(exchange)


@pytest.mark.parametrize(("agreement", "deleted"), [(TAX, 88), (SCHOOL, 88)])
def test_what_was_compacted_since_can_be_recalled(hamlet, agreement, deleted):
    exchange = hamlet.open()
    first = pipeline.push(exchange, agreement).delivery
    for _ in range(2):  # the second night deletes what the first one's segment answers for
        pipeline.audit(exchange)
    assert not exchange.store.exists(entry_of(exchange.state, first).body.events.key)
    assert recalled(exchange, first).counts["deleted"] == deleted
    assert is_sound(exchange)


def test_what_was_deleted_by_policy_can_not_be_recalled(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    later = replace(exchange, clock=lambda: exchange.clock() + timedelta(days=9))
    pipeline.audit(later, keep="P3D")
    with pytest.raises(WrongUse, match="as the policy has it"):
        recalled(later, first)
    assert len(tax_rows(hamlet, "permits")) == 88


def test_an_agreement_that_ended_can_be_recalled_under(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    file = hamlet.agreement("permits", "tax")
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"status": "suspended"}))
    assert recalled(hamlet.open(), first).status == "delivered"
    assert tax_rows(hamlet, "permits") == []


def agree(hamlet, dataset, consumer, *, terms=None, **delivery):
    """Changes an agreement's terms, and how it delivers."""
    file = hamlet.agreement(dataset, consumer)
    document = yaml.safe_load(file.read_text())
    agreed = document["customProperties"][0]["value"]
    agreed.update(terms or {})
    agreed["delivery"].update(delivery)
    if agreed["delivery"]["channel"] != "database":
        agreed["delivery"].pop("table", None)
    write_yaml(file, document)


def forget_wordings(exchange):
    """Leaves the store as it was before wordings were kept."""
    kept = [key for key in exchange.store.list("outbox/") if "/agreed/" in key]
    assert kept
    for key in kept:
        exchange.store.delete(key)


NARROWED = {"columns": ["permit_no", "fee"]}


@pytest.mark.parametrize(
    ("terms", "delivery"),
    [(NARROWED, {}), ({}, {"mode": "full"}), ({}, {"table": "elsewhere"}), ({}, {"connection": "school_folder", "channel": "folder", "path": "tax"})],
    ids=["columns", "mode", "table", "channel"],
)  # fmt: skip
def test_a_recall_goes_by_what_was_agreed_when_the_delivery_was_made(hamlet, terms, delivery):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    agree(hamlet, "permits", "tax", terms=terms, **delivery)
    assert recalled(hamlet.open(), first).counts["deleted"] == 88
    assert tax_rows(hamlet, "permits") == []
    assert pipeline.push(hamlet.open(), TAX).counts["inserted"] == 88  # under the agreement as it is now
    assert is_sound(exchange)


def test_a_recall_finds_the_place_that_the_agreement_has_left_since(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    agree(hamlet, "permits", "tax", table="elsewhere")
    moved = pipeline.push(hamlet.open(), TAX)
    assert recalled(hamlet.open(), first).counts["deleted"] == 88
    assert tax_rows(hamlet, "permits") == []
    assert len(tax_rows(hamlet, "elsewhere")) == 88
    again = pipeline.push(hamlet.open(), TAX)
    assert (again.status, again.delivery) == ("unchanged", moved.delivery)
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    assert pipeline.push(hamlet.open(), TAX).counts["updated"] == 1
    assert recalled(hamlet.open(), moved.delivery).counts["deleted"] == 88
    assert tax_rows(hamlet, "elsewhere") == []
    assert is_sound(exchange)


def test_an_agreement_that_moved_back_is_recalled_under_where_the_delivery_was(hamlet):
    exchange = hamlet.open()
    pipeline.push(exchange, TAX)
    agree(hamlet, "permits", "tax", table="elsewhere")
    moved = pipeline.push(hamlet.open(), TAX).delivery
    agree(hamlet, "permits", "tax", table="permits")
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    back = pipeline.push(hamlet.open(), TAX)
    assert recalled(hamlet.open(), moved).counts["deleted"] == 88
    assert tax_rows(hamlet, "elsewhere") == []
    assert len(tax_rows(hamlet, "permits")) == 88
    assert pipeline.push(hamlet.open(), TAX).delivery == back.delivery
    assert is_sound(exchange)


def test_a_tombstone_goes_into_the_folder_where_the_delivery_lies(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, SCHOOL).delivery
    agree(hamlet, "permits", "school", path="moved", format="parquet")
    outcome = recalled(hamlet.open(), first)
    assert not (hamlet.school / "moved").exists()
    manifest = manifests(hamlet)[-1]
    assert (manifest["delivery"], manifest["replaces"]) == (outcome.delivery, True)
    assert [file["name"] for file in manifest["files"]] == ["rows.csv"]
    assert is_sound(exchange)


def test_a_contract_that_changed_since_and_an_agreement_that_is_gone_do_not_matter(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    hamlet.agreement("permits", "tax").unlink()
    hamlet.agreement("permits", "school").unlink()
    file = hamlet.contract("permits")
    document = yaml.safe_load(file.read_text())
    document["schema"][0]["properties"] = document["schema"][0]["properties"][:2]
    write_yaml(file, document)
    pipeline.validate(hamlet.open(), pipeline.pull(hamlet.open(), "town_hall/permits").id)
    assert recalled(hamlet.open(), first).counts["deleted"] == 88
    assert tax_rows(hamlet, "permits") == []
    assert is_sound(exchange)


def test_a_connection_that_is_gone_is_named(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    file = hamlet.home / "var" / "connections.json"
    connections = json.loads(file.read_text())
    kept = connections.pop("tax_database")
    file.write_text(json.dumps(connections | {"tax_new": kept}))
    agree(hamlet, "permits", "tax", connection="tax_new")
    with pytest.raises(WrongUse, match="went through the connection 'tax_database', which can't be used any more"):
        recalled(hamlet.open(), first)
    assert len(tax_rows(hamlet, "permits")) == 88
    assert [d.id for d in deliveries(exchange.state)] == [first]


def lead(hamlet, connection, **fields):
    """Lets a connection lead elsewhere."""
    hamlet.add_connection(connection, fields)


def elsewhere(hamlet, name="other"):
    """Lets the tax department's connection lead to another database."""
    other = hamlet.tax.with_name(f"{name}.db")
    lead(hamlet, "tax_database", conn_type="sqlite", host=str(other))
    return other


@pytest.mark.parametrize("mode", ["full", "changes"])
def test_a_connection_that_leads_elsewhere_by_now_is_noticed(hamlet, mode):
    agree(hamlet, "permits", "tax", mode=mode)
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    other = elsewhere(hamlet)
    with pytest.raises(WrongUse, match="leads elsewhere") as told:
        recalled(hamlet.open(), first)
    assert str(hamlet.tax) in str(told.value)
    assert str(other) in str(told.value)
    assert other.read_bytes() == b""  # asked only
    assert [d.id for d in deliveries(exchange.state)] == [first]
    lead(hamlet, "tax_database", conn_type="sqlite", host=str(hamlet.tax))
    assert recalled(hamlet.open(), first).counts["deleted"] == 88
    assert tax_rows(hamlet, "permits") == []
    assert is_sound(exchange)


def test_a_folder_that_is_another_by_now_is_noticed(hamlet, tmp_path):
    exchange = hamlet.open()
    first = pipeline.push(exchange, SCHOOL).delivery
    other = tmp_path / "other"
    other.mkdir()
    lead(hamlet, "school_folder", conn_type="fs", extra={"path": str(other)})
    with pytest.raises(WrongUse, match="leads elsewhere"):
        recalled(hamlet.open(), first)
    assert not any(other.iterdir())


def test_changes_do_not_go_where_what_they_build_on_is_not(hamlet, tmp_path):
    agree(hamlet, "permits", "school", mode="changes")
    exchange = hamlet.open()
    pipeline.push(exchange, SCHOOL)
    other = tmp_path / "other"
    other.mkdir()
    lead(hamlet, "school_folder", conn_type="fs", extra={"path": str(other)})
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    with pytest.raises(ConsumerRefused, match="by now the connection leads to"):
        pipeline.push(hamlet.open(), SCHOOL)
    assert not any(other.iterdir())
    (hamlet.school / "permits").rename(other / "permits")  # the consumer takes along what it held
    assert pipeline.push(hamlet.open(), SCHOOL).counts["updated"] == 1
    assert is_sound(exchange)


def test_a_consumer_that_moved_and_took_along_what_it_held_is_told_there(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    other = elsewhere(hamlet)
    hamlet.tax.rename(other)
    assert recalled(hamlet.open(), first).counts["deleted"] == 88
    assert [row for row in _rows(other) if row] == []
    assert is_sound(exchange)


def _rows(file):
    with sqlite3.connect(file) as database:
        rows = database.execute("SELECT * FROM permits").fetchall()
    database.close()
    return rows


def test_a_delivery_is_recalled_where_it_went_though_a_later_one_went_elsewhere(hamlet):
    agree(hamlet, "permits", "tax", mode="full")
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    other = elsewhere(hamlet)
    pulled(hamlet, exchange, P0002=["P0002", "Another", "5.00", ""])
    second = pipeline.push(hamlet.open(), TAX).delivery
    with pytest.raises(WrongUse, match="leads elsewhere"):
        recalled(hamlet.open(), first)
    lead(hamlet, "tax_database", conn_type="sqlite", host=str(hamlet.tax))
    assert recalled(hamlet.open(), first).counts["deleted"] == 88
    assert tax_rows(hamlet, "permits") == []
    elsewhere(hamlet)
    assert len(_rows(other)) == 88
    assert recalled(hamlet.open(), second).counts["deleted"] == 88
    assert _rows(other) == []
    assert is_sound(exchange)


def test_what_was_made_before_wordings_were_kept_goes_by_the_agreement_as_it_is(hamlet):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    forget_wordings(exchange)
    agree(hamlet, "permits", "tax", terms=NARROWED)
    with pytest.raises(WrongUse, match="not on record"):
        recalled(hamlet.open(), first)
    assert len(tax_rows(hamlet, "permits")) == 88
    agree(hamlet, "permits", "tax", terms={"columns": ["permit_no", "holder", "fee"]})
    assert recalled(hamlet.open(), first).counts["deleted"] == 88


@pytest.mark.parametrize("forged", ["other", "moved"])
def test_a_wording_that_was_changed_is_not_followed(hamlet, forged):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    pipeline.push(exchange, SCHOOL)
    tax, school = (next(k for k in exchange.store.list(f"outbox/{c}/") if "/agreed/" in k) for c in ("tax", "school"))
    told = exchange.store.read(tax)
    exchange.store.delete(tax)
    other = told.replace(b'"permits"', b'"forged"')
    assert other != told
    exchange.store.put_new(tax, other if forged == "other" else exchange.store.read(school))
    with pytest.raises(StorageConflict, match="not what we signed"):
        recalled(exchange, first)
    assert len(tax_rows(hamlet, "permits")) == 88


def test_a_snapshot_names_all_it_went_into(hamlet):
    exchange = hamlet.open()
    made = {pipeline.push(exchange, name).delivery for name in (TAX, SCHOOL)}
    snapshot = {d.snapshot for d in deliveries(exchange.state) if d.id in made}
    assert set(recalls.named(exchange, *snapshot)) == made
    public = pipeline.publish(exchange, PUBLIC).delivery
    (streets,) = (d.snapshot for d in deliveries(exchange.state) if d.channel == "open")
    assert recalls.named(exchange, public) == recalls.named(exchange, streets) == [public]
    with pytest.raises(WrongUse, match="Nobody received"):
        recalls.named(exchange, "nothing")


def published(hamlet, exchange, *names):
    """Lets the town hall have these streets, publishes them, and returns the delivery and the version's folder."""
    if names:
        rows = "".join(f"S{n},{name}\n" for n, name in enumerate(names))
        (hamlet.sources / "streets.csv").write_text(f"code,name\n{rows}", "utf-8")
        pipeline.validate(exchange, pipeline.pull(exchange, "town_hall/streets").id)
    outcome = pipeline.publish(exchange, PUBLIC)
    assert outcome.status == "delivered"
    receipt = delivery_by_id(exchange.state, outcome.delivery).receipt
    return outcome.delivery, f"open/town_hall/streets/versions/{receipt['version']}"


def shown(exchange):
    pointer = json.loads(exchange.store.read("open/town_hall/streets/latest.json"))
    listed = json.loads(exchange.store.read("open/catalogue.json"))["datasets"]
    assert [item["version"] for item in listed] == [v for v in [pointer["version"]] if v]
    if pointer["version"]:
        return [row["name"] for row in open_rows(exchange, "town_hall/streets")]
    assert exchange.store.exists(f"open/town_hall/streets/{pointer['manifest']}")
    return pointer


def test_the_last_open_version_is_taken_off_and_its_data_are_gone(hamlet):
    exchange = hamlet.open()
    first, folder = published(hamlet, exchange)
    outcome = recalled(exchange, first)
    assert (outcome.status, outcome.counts["deleted"]) == ("delivered", 9)
    tombstone = shown(exchange)
    assert (tombstone["withdrawn"], tombstone["reason"]) == (folder.rpartition("/")[2], "Sent by mistake.")
    assert not exchange.store.exists(f"{folder}/data.parquet")
    notice = exchange.store.read(f"open/town_hall/streets/{tombstone['manifest']}")
    assert verify_manifest(notice, exchange.keys.public())
    assert json.loads(notice)["recalls"] == {"delivery": first, "reason": "Sent by mistake."}
    assert json.loads(notice)["files"] == []
    assert recalled(exchange, first).status == "unchanged"
    assert pipeline.publish(exchange, PUBLIC).reason.startswith("It was recalled")
    assert is_sound(exchange)
    published(hamlet, exchange, "Elm", "Oak")
    assert shown(exchange) == ["Elm", "Oak"]
    assert is_sound(exchange)


def test_of_an_open_version_that_was_replaced_only_the_data_go(hamlet):
    exchange = hamlet.open()
    first, before = published(hamlet, exchange, "Elm")
    _, after = published(hamlet, exchange, "Oak")
    assert recalled(exchange, first).counts["deleted"] == 0
    assert shown(exchange) == ["Oak"]
    assert [exchange.store.exists(f"{each}/data.parquet") for each in (before, after)] == [False, True]
    assert is_sound(exchange)


def test_a_version_that_was_released_again_is_recalled_by_its_last_delivery(hamlet):
    exchange = hamlet.open()
    first, folder = published(hamlet, exchange, "Elm")
    published(hamlet, exchange, "Oak")
    again, same = published(hamlet, exchange, "Elm")
    assert same == folder
    with pytest.raises(WrongUse, match=f"Delivery {again} has released the same version again"):
        recalled(exchange, first)
    assert shown(exchange) == ["Elm"]
    assert recalled(exchange, again).counts["deleted"] == 1
    assert not exchange.store.exists(f"{folder}/data.parquet")


def test_what_was_withdrawn_and_is_published_again_is_another_version(hamlet):
    exchange = hamlet.open()
    first, folder = published(hamlet, exchange, "Elm")
    recalled(exchange, first)
    published(hamlet, exchange, "Oak")
    again, other = published(hamlet, exchange, "Elm")
    assert (shown(exchange), other != folder) == (["Elm"], True)
    assert not exchange.store.exists(f"{folder}/data.parquet")
    recalled(exchange, again)
    assert not exchange.store.exists(f"{other}/data.parquet")
    assert is_sound(exchange)


def test_a_publication_that_changed_or_was_retired_since_is_recalled_under_too(hamlet):
    exchange = hamlet.open()
    first, folder = published(hamlet, exchange)
    file = hamlet.agreement("streets", "public")
    document = yaml.safe_load(file.read_text()) | {"status": "retired"}
    document["customProperties"][0]["value"]["columns"] = ["code"]
    write_yaml(file, document)
    assert recalled(hamlet.open(), first).counts["deleted"] == 9
    assert not exchange.store.exists(f"{folder}/data.parquet")
    assert is_sound(exchange)


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_recall_needs_a_reason(hamlet, reason):
    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    with pytest.raises(WrongUse, match="needs a reason"):
        recalled(exchange, first, reason)


def test_what_was_recalled_and_why_is_on_record(hamlet):
    from crossdock.storage.recalls import recalls as on_record

    exchange = hamlet.open()
    first = pipeline.push(exchange, TAX).delivery
    outcome = recalled(exchange, first)
    (known,) = on_record(exchange.state)
    assert (known.id, known.recalled, known.reason, known.recalled_by) == (
        outcome.delivery, first, "Sent by mistake.", "steward",
    )  # fmt: skip
    assert datetime.fromisoformat(known.recalled_at).tzinfo == UTC
