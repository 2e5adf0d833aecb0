"""Preparing a delivery: what leaves, what changed, what is counted, and that repeating gives the same bytes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.contracts.agreement import Protection
from crossdock.contracts.model import Subject
from crossdock.delivery.terms import used
from crossdock.errors import DeliveryRefused, Permanent
from crossdock.identity import RowsDigest, file_sha256, keyed_hashes
from crossdock.rowhash import row_hashes
from delivery.samples import AGREEMENT, CONTRACT, KEYS, SCHEMA, agreement, held, person, ready, rows_of, snapshot

PEOPLE = [person(n) for n in range(10)]
CHANGES = agreement("resident_id", "name", "phone", mode="changes", channel="database")


def test_full_delivers_agreed_columns_of_agreed_rows(tmp_path):
    prepared, events = ready(tmp_path, agreement("name", "region_code", rows="region_code under '52'"), PEOPLE)
    assert rows_of(prepared.rows) == [
        {"name": p["name"], "region_code": "520103"} for p in PEOPLE if p["region_code"] == "520103"
    ]
    assert prepared.counts.to_dict() == {
        "accepted": 10, "inserted": 5, "updated": 0, "deleted": 0, "unchanged": 0, "filtered": 5,
    }  # fmt: skip
    assert events.count("insert") == len(events.events) == 5
    assert prepared.replaces
    assert prepared.deletes is None


def test_digests_are_those_of_the_snapshot(tmp_path):
    prepared, _ = ready(tmp_path, agreement("name", rows="children < 2"), PEOPLE)
    table = pa.Table.from_pylist(PEOPLE, SCHEMA)
    kept = table.filter(pa.compute.less(table["children"], 2))
    assert prepared.digests.accepted == RowsDigest.of(row_hashes(table))
    assert prepared.digests.delivered == RowsDigest.of(row_hashes(kept))
    assert prepared.digests.accepted == prepared.digests.delivered + prepared.digests.filtered


def test_first_changes_are_everything_and_replace(tmp_path):
    prepared, events = ready(tmp_path, CHANGES, PEOPLE)
    assert prepared.counts.inserted == 10
    assert prepared.replaces
    assert prepared.base is None
    assert [f.name for f in prepared.files] == ["rows.parquet"]
    assert events.count("insert") == 10


def test_changes_are_inserts_updates_and_deletes(tmp_path):
    first, _ = ready(tmp_path / "1", CHANGES, PEOPLE)
    after = [*PEOPLE[2:], person(20)]
    after[0] = person(2, name="changed")
    after[1] = person(3, income=None)  # not an agreed column: nothing changes for the consumer
    second, events = ready(tmp_path / "2", CHANGES, after, previous=held(first))
    assert [r["name"] for r in rows_of(second.rows)] == ["changed", "姓名20"]
    assert sorted(rows_of(second.deletes), key=str) == [{"resident_id": p["resident_id"]} for p in PEOPLE[:2]]
    assert second.counts.to_dict() == {
        "accepted": 9, "inserted": 1, "updated": 1, "deleted": 2, "unchanged": 7, "filtered": 0,
    }  # fmt: skip
    assert (events.count("insert"), events.count("update"), events.count("delete")) == (1, 1, 2)
    assert second.base == "d1"
    assert not second.replaces
    third, events = ready(tmp_path / "3", CHANGES, after, previous=held(second))
    assert third.counts.unchanged == 9
    assert events.events == []


def test_a_row_that_the_filter_no_longer_lets_through_is_deleted(tmp_path):
    first, _ = ready(tmp_path / "1", CHANGES, PEOPLE)
    narrow = replace(CHANGES, rows="children = 0")
    second, events = ready(tmp_path / "2", narrow, PEOPLE, previous=held(first))
    assert second.counts.deleted == events.count("delete") == second.counts.filtered == 7
    assert second.counts.unchanged == 3


def test_another_pseudonym_key_replaces_the_old_keys(tmp_path):
    hidden = replace(CHANGES, protect={"resident_id": Protection(kind="pseudonymise")})
    first, _ = ready(tmp_path / "1", hidden, PEOPLE)
    rotated = replace(KEYS, protection=b"q" * 32)
    second, events = ready(tmp_path / "2", hidden, PEOPLE, previous=held(first), keys=rotated)
    assert {r["resident_id"] for r in rows_of(second.deletes)} == {r["resident_id"] for r in rows_of(first.rows)}
    assert second.counts.updated == events.count("update") == 10
    assert events.count("delete") == second.counts.deleted == 0


@pytest.mark.parametrize(
    "other",
    [
        replace(CHANGES, columns=("resident_id", "name")),
        replace(CHANGES, columns=("resident_id", "phone", "name")),
        replace(CHANGES, delivery=replace(CHANGES.delivery, options={"table": "elsewhere"})),
        replace(CHANGES, protect={"phone": Protection(kind="drop")}, columns=("resident_id", "name", "phone", "alive")),
    ],
)
def test_another_layout_sends_everything_again(tmp_path, other):
    first, _ = ready(tmp_path / "1", CHANGES, PEOPLE)
    second, events = ready(tmp_path / "2", other, PEOPLE[1:], previous=held(first))
    assert second.replaces
    assert second.base is None
    assert second.counts.updated == events.count("update") == 9
    assert second.counts.deleted == events.count("delete") == 1
    assert len(rows_of(second.rows)) == 9


def test_a_tighter_mask_is_an_update(tmp_path):
    loose = replace(CHANGES, protect={"phone": Protection(kind="mask", keep_first=3, keep_last=4)})
    tight = replace(CHANGES, protect={"phone": Protection(kind="mask")})
    first, _ = ready(tmp_path / "1", loose, PEOPLE)
    second, _ = ready(tmp_path / "2", tight, PEOPLE, previous=held(first))
    assert second.counts.updated == 10
    assert {r["phone"] for r in rows_of(second.rows)} == {"*" * 11}


@pytest.mark.parametrize("names", [["x1"], ["x1", "é1"], ["é1"]])
def test_people_are_known_by_the_upper_case_form_in_any_script(tmp_path, names):
    upper = pa.table({"resident_id": [name.upper() for name in names]})
    hashes = keyed_hashes(upper, ["resident_id"], key=KEYS.ledger, domain="person").to_pylist()
    _, events = ready(tmp_path, agreement("name"), [person(n, resident_id=name) for n, name in enumerate(names)])
    assert [record for record, _, _ in events.events] == hashes


def test_record_and_subject_hashes(tmp_path):
    table = pa.Table.from_pylist([person(1, resident_id="x1")], SCHEMA)
    upper = pa.table({"resident_id": ["X1"]})
    person_hash = keyed_hashes(upper, ["resident_id"], key=KEYS.ledger, domain="person").to_pylist()
    _, events = ready(tmp_path / "1", agreement("name"), table.to_pylist())
    assert events.events == [(person_hash[0], None, "insert")]
    key = replace(CONTRACT.column("name"), key_position=1)
    plain = replace(CONTRACT.column("resident_id"), key_position=None)
    by_name = replace(CONTRACT, columns=(plain, key, *CONTRACT.columns[2:]))
    _, events = ready(tmp_path / "2", agreement("name"), table.to_pylist(), contract=by_name)
    record = keyed_hashes(table, ["name"], key=KEYS.ledger, domain=CONTRACT.id).to_pylist()[0]
    assert events.events == [(record, person_hash[0], "insert")]
    keyless = replace(by_name, columns=(plain, *CONTRACT.columns[1:]), subject=None)
    _, events = ready(tmp_path / "3", agreement("name"), table.to_pylist(), contract=keyless)
    record = keyed_hashes(table, SCHEMA.names, key=KEYS.ledger, domain=CONTRACT.id).to_pylist()[0]
    assert events.events == [(record, None, "insert")]


def test_deleted_records_keep_their_subject(tmp_path):
    contract = replace(CONTRACT, subject=Subject(kind="person", column="name"))
    first, inserted = ready(tmp_path / "1", CHANGES, PEOPLE[:1], contract=contract)
    _, deleted = ready(tmp_path / "2", CHANGES, [], previous=held(first), contract=contract)
    assert deleted.events == [(*inserted.events[0][:2], "delete")]
    assert deleted.events[0][1] is not None


@pytest.mark.parametrize("ids", [["a", "a"], [None, "b"]])
def test_changes_need_a_key_that_names_one_record(tmp_path, ids):
    rows = pa.Table.from_pylist([person(i, resident_id=v) for i, v in enumerate(ids)]).cast(
        pa.schema([f.with_nullable(True) for f in SCHEMA])
    )
    with pytest.raises(Permanent, match="empty or repeated"):
        ready(tmp_path, CHANGES, snapshot(tmp_path, rows))


def test_a_snapshot_of_an_older_contract_is_refused(tmp_path):
    old = snapshot(tmp_path, pa.Table.from_pylist(PEOPLE, SCHEMA).drop_columns(["phone"]))
    with pytest.raises(DeliveryRefused, match="phone"):
        ready(tmp_path, CHANGES, old)


@pytest.mark.parametrize(
    ("changed", "rows", "columns", "said"),
    [
        ({"type": "string"}, "", ("income",), "column income is of another type"),
        ({"type": "string"}, "income under '1'", ("name",), "column income is of another type"),
        ({"precision": 14}, "income > 1", ("name",), "column income is of another type"),
        ({"precision": 14}, "", ("income",), ""),
        ({"type": "string"}, "", ("name",), ""),
    ],
)
def test_a_snapshot_of_an_older_contract_has_columns_of_other_types(changed, rows, columns, said, tmp_path):
    columns_now = tuple(
        replace(c, **({"precision": None, "scale": None} if "type" in changed else {}) | changed)
        if c.name == "income"
        else c
        for c in CONTRACT.columns
    )
    made = partial(
        ready, tmp_path, agreement(*columns, rows=rows), [person(1)], contract=replace(CONTRACT, columns=columns_now)
    )
    if not said:
        assert made()[0].counts.delivered == 1
        return
    with pytest.raises(DeliveryRefused, match=said):
        made()


@pytest.mark.parametrize("agreed", [AGREEMENT, CHANGES], ids=["full", "changes"])
def test_an_empty_snapshot_is_a_delivery_of_nothing(tmp_path, agreed):
    prepared, events = ready(tmp_path, agreed, [])
    assert prepared.counts.accepted == prepared.counts.delivered == 0
    assert events.events == []
    assert pq.read_table(prepared.rows).num_rows == 0


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_repeated_preparation_has_the_same_bytes(tmp_path, form):
    agreed = agreement(*SCHEMA.names, mode="changes", options={"path": "p", "format": form})
    first, _ = ready(tmp_path / "1", agreed, PEOPLE)
    results = []
    for attempt in "23":
        prepared, _ = ready(tmp_path / attempt, agreed, [*PEOPLE[5:], person(30)], previous=held(first))
        results.append([*((f.name, f.sha256) for f in prepared.files), file_sha256(prepared.received)])
    assert results[0] == results[1]
    assert [name for name, _ in results[0][:2]] == [f"rows.{form}", f"deletes.{form}"]


def test_nothing_of_a_dictionary_leaks(tmp_path):
    people = pa.Table.from_pylist(PEOPLE, SCHEMA)
    coded = people.set_column(1, "name", people["name"].dictionary_encode())
    coded = coded.replace_schema_metadata({"pandas": "SECRET"})
    prepared, _ = ready(tmp_path, agreement("name", rows="children = 0"), pads.dataset(coded))
    raw = prepared.rows.read_bytes()
    assert b"SECRET" not in raw
    assert pq.read_schema(prepared.rows).field("name").type == pa.string()
    assert all(p["name"] in {"姓名0", "姓名4", "姓名8"} for p in rows_of(prepared.rows))


def test_a_column_may_be_called_anything(tmp_path):
    names = ["keep", "record", "row", "key", 'a "b"', "arrival"]
    columns = tuple(replace(CONTRACT.column("name"), name=n, key_position=1 if n == "record" else None) for n in names)
    contract = replace(CONTRACT, columns=columns, subject=None)
    agreed = replace(CHANGES, columns=tuple(names))
    table = pa.table({n: [f"{n}{i}" for i in range(3)] for n in names})
    first, _ = ready(tmp_path / "1", agreed, pads.dataset(table), contract=contract)
    second, _ = ready(tmp_path / "2", agreed, pads.dataset(table.slice(1)), contract=contract, previous=held(first))
    assert rows_of(first.rows) == table.to_pylist()
    assert rows_of(second.deletes) == [{"record": "record0"}]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_holdings_follow_the_snapshots(tmp_path_factory, data):
    """Whatever the snapshots, applying each delivery to what the consumer had gives what it is entitled to."""
    folder = tmp_path_factory.mktemp("follow")
    consumer, previous = {}, None
    for round_number in range(3):
        ids = data.draw(st.sets(st.integers(0, 12)), label="ids")
        rows = [person(n, name=data.draw(st.sampled_from("AB"))) for n in sorted(ids)]
        agreed = replace(CHANGES, rows=data.draw(st.sampled_from(["", "children < 2", "name = 'A'"])))
        prepared, events = ready(folder / str(round_number), agreed, rows, previous=previous)
        if prepared.replaces:
            consumer.clear()
        else:
            for gone in rows_of(prepared.deletes):
                consumer.pop(gone["resident_id"])
        consumer |= {r["resident_id"]: r for r in rows_of(prepared.rows)}
        entitled = [
            r for r in rows
            if not agreed.rows or (r["children"] < 2 if "children" in agreed.rows else r["name"] == "A")
        ]  # fmt: skip
        assert consumer == {r["resident_id"]: {k: r[k] for k in CHANGES.columns} for r in entitled}
        counts = prepared.counts
        assert counts.accepted == counts.delivered + counts.unchanged + counts.filtered == len(rows)
        assert events.count("insert") == counts.inserted
        assert events.count("update") == counts.updated
        assert events.count("delete") == counts.deleted
        previous = held(prepared, delivery=f"d{round_number}")


def test_many_row_groups_keep_rows_and_events_together(tmp_path):
    count = 300_000
    ids = np.arange(count)
    columns = {name: pa.nulls(count, SCHEMA.field(name).type) for name in SCHEMA.names}
    columns |= {"resident_id": pa.array(ids).cast(pa.string()), "children": pa.array(ids % 3)}
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "big.parquet", row_group_size=70_001)
    source = pads.dataset(tmp_path / "big.parquet")
    agreed = replace(CHANGES, columns=("resident_id", "children"), rows="children < 2")
    first, _ = ready(tmp_path / "1", agreed, source)
    assert first.counts.inserted == 200_000
    changed = table.set_column(6, "children", pa.array(np.where(ids % 1000 == 0, 1, ids % 3)))
    second, events = ready(tmp_path / "2", agreed, pads.dataset(changed), previous=held(first))
    expected = {str(i) for i in range(0, count, 1000) if i % 3 != 1}
    assert {r["resident_id"] for r in rows_of(second.rows)} == expected
    assert {r["children"] for r in rows_of(second.rows)} == {1}
    assert len(events.events) == len(expected)


def test_a_delivered_dictionary_holds_nothing_of_other_rows(tmp_path):
    """Texts of few values leave as a dictionary and places: what stands in it leaves, whether a row has it or not."""
    rows = [person(n, name="shown" if n % 2 else "hidden", children=n % 2) for n in range(1000)]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), tmp_path / "in.parquet", use_dictionary=["name"])
    source = pads.dataset(tmp_path / "in.parquet")
    prepared, _ = ready(tmp_path / "out", agreement("name", rows="children = 1"), source)
    left = pq.read_table(prepared.rows, read_dictionary=["name"])
    assert [chunk.dictionary.to_pylist() for chunk in left["name"].chunks] == [["shown"]]
    assert pq.read_schema(prepared.rows) == pa.schema({"name": pa.string()})
    assert prepared.counts.delivered == 500


@settings(deadline=None)
@given(
    values=st.lists(st.none() | st.sampled_from(["a", "b", "c"]), max_size=8),
    chosen=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_a_dictionary_is_cut_down_to_what_is_used(values, chosen):
    encoded = pa.array([*values, "other"], pa.string()).dictionary_encode()
    some = encoded.filter(pa.array([*chosen[: len(values)], False]))
    assert used(some).to_pylist() == some.to_pylist()
    assert sorted(used(some).dictionary.to_pylist()) == sorted(
        {value for value in some.to_pylist() if value is not None}
    )


HIDDEN = {"resident_id": Protection(kind="pseudonymise")}


def by_order(folder, consumer, *, mode="full", previous=None, rows=None, contract=CONTRACT):
    """What a consumer of pseudonyms gets, and the order: the income of each row, which differs from row to row."""
    agreed = agreement("resident_id", "income", mode=mode, channel="database", protect=HIDDEN, consumer=consumer)
    rows = rows or [person(n) for n in range(200)]
    source = folder / "in"
    source.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), source / "rows.parquet", row_group_size=150)
    dataset = pads.dataset(source / "rows.parquet")
    prepared, events = ready(folder / "out", agreed, dataset, previous=previous, contract=contract)
    return prepared, events, [row["income"] for row in rows_of(prepared.rows)]


@pytest.mark.parametrize("mode", ["full", "changes"])
def test_the_order_of_pseudonymous_rows_links_no_two_consumers(tmp_path, mode):
    found = [by_order(tmp_path / name, name, mode=mode)[2] for name in ("tax", "school")]
    incomes = [person(n)["income"] for n in range(200)]
    assert sorted(found[0]) == sorted(found[1]) == sorted(incomes)
    for first, other in ((found[0], found[1]), (found[0], incomes), (found[1], incomes)):
        assert sum(a == b for a, b in zip(first, other, strict=True)) < 10


def test_it_is_told_which_event_is_of_which_row(tmp_path):
    """Events are in the snapshot's order, as other consumers'; the delivery error store finds a record by its row's place."""
    prepared, events, incomes = by_order(tmp_path, "tax")
    records = keyed_hashes(pa.Table.from_pylist([person(n) for n in range(200)], SCHEMA), ["resident_id"], key=KEYS.ledger, domain="person")  # fmt: skip
    income_of = dict(zip(records.to_pylist(), [person(n)["income"] for n in range(200)], strict=True))
    assert [record for record, _, _ in events.events] == records.to_pylist()
    places = np.fromfile(prepared.places, np.uint32)
    assert [income_of[events.events[place][0]] for place in places] == incomes


def test_what_changed_comes_in_an_order_of_its_own_too(tmp_path):
    first, *_ = by_order(tmp_path / "1", "tax", mode="changes")
    rows = [person(n, income=person(n + 1000)["income"] if n % 2 else person(n)["income"]) for n in range(150)]
    second, _, incomes = by_order(tmp_path / "2", "tax", mode="changes", previous=held(first), rows=rows)
    assert second.counts.updated == 75
    assert second.counts.deleted == 50
    assert sorted(incomes) != incomes
    gone = [row["resident_id"] for row in rows_of(second.deletes)]
    assert gone == sorted(gone)


def test_rows_that_tell_who_they_are_of_stay_in_order(tmp_path):
    classified = tuple(
        replace(column, classification="restricted") if column.name == "income" else column
        for column in CONTRACT.columns
    )
    _, _, incomes = by_order(tmp_path, "tax", contract=replace(CONTRACT, columns=classified))
    assert incomes == [person(n)["income"] for n in range(200)]
