"""Rows of pseudonyms leave in an order that they decide themselves: what left tells nothing of the snapshot."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.contracts.agreement import Protection
from crossdock.delivery.files import ROW_GROUP
from crossdock.delivery.own_order import OwnOrder
from crossdock.delivery.protect import protect
from crossdock.identity import keyed_hashes
from delivery.samples import CONTRACT, KEYS, SCHEMA, agreement, held, person, ready, rows_of

PSEUDONYM = Protection(kind="pseudonymise")


def written(path, rows, *, groups):
    """A snapshot of rows in row groups of some size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist(rows, SCHEMA), path, row_group_size=groups, use_dictionary=["region_code", "name"]
    )
    return pads.dataset(path)


def hiding(*hidden, mode="full", columns=("resident_id", "phone", "region_code", "children"), **more):
    """An agreement by which some columns leave as pseudonyms."""
    path = {"path": "population", "format": more.pop("form", "parquet")}
    return agreement(*columns, mode=mode, options=path, protect=dict.fromkeys(hidden, PSEUDONYM), **more)


# Numbers of few people: some without a phone, some with that of others; pseudonyms of phones are missing, or alike.
PHONES = st.lists(st.none() | st.sampled_from(["138", "139", "150"]), min_size=1, max_size=30)


def people(phones):
    return [
        person(n, phone=phone, region_code=f"52{n % 7:04d}", name=f"NAME {n % 3}") for n, phone in enumerate(phones)
    ]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), phones=PHONES, form=st.sampled_from(["parquet", "csv", "jsonl"]))
def test_what_leaves_in_full_is_the_same_whatever_order_the_snapshot_has(tmp_path_factory, data, phones, form):
    """So neither order, row groups, dictionaries nor pieces tell where in it a row stood, or what stood beside it."""
    folder = tmp_path_factory.mktemp("full")
    agreed = hiding("phone", columns=("phone", "region_code", "name"), form=form, rows="children < 3")
    left = set()
    for attempt in "12":
        rows = data.draw(st.permutations(people(phones)))
        groups = data.draw(st.integers(1, 10))
        prepared, _ = ready(
            folder / attempt, agreed, written(folder / attempt / "in" / "rows.parquet", rows, groups=groups)
        )
        left.add(tuple(file.sha256 for file in prepared.files))
    assert len(left) == 1


@settings(max_examples=25, deadline=None)
@given(data=st.data(), phones=PHONES, hidden=st.sampled_from([["resident_id"], ["phone"], ["phone", "resident_id"]]))
def test_what_changes_is_the_same_whatever_order_the_snapshots_have(tmp_path_factory, data, phones, hidden):
    folder = tmp_path_factory.mktemp("changes")
    agreed, before = hiding(*hidden, mode="changes"), people(phones)
    gone = data.draw(st.sets(st.integers(0, len(before) - 1)))
    after = [row | {"children": 9} if n % 2 else row for n, row in enumerate(before) if n not in gone]
    left = set()
    for attempt in "12":
        previous = None
        files = []
        for name, rows in (("before", before), ("after", after)):
            shuffled = data.draw(st.permutations(rows))
            source = written(folder / attempt / f"{name}.parquet", shuffled, groups=data.draw(st.integers(1, 10)))
            prepared, _ = ready(folder / attempt / name, agreed, source, previous=previous)
            previous = held(prepared)
            files += [file.sha256 for file in prepared.files]
        left.add(tuple(files))
    assert len(left) == 1


@pytest.mark.parametrize("mode", ["full", "changes"])
def test_batches_of_which_few_rows_go_link_no_two_consumers(tmp_path, mode):
    """Row groups of a hundred, of which a filter lets some three through: sorted within them, the n-th stood near the n-th."""
    rows = [person(n, children=0 if n % 33 == 0 else 1) for n in range(20_000)]
    found = []
    for consumer in ("tax", "school"):
        agreed = hiding(
            "resident_id", columns=("resident_id", "income"), mode=mode, rows="children = 0", consumer=consumer
        )
        prepared, _ = ready(tmp_path / consumer, agreed, written(tmp_path / f"{consumer}.parquet", rows, groups=100))
        found.append([int(row["income"]) for row in rows_of(prepared.rows)])  # it is the place in the snapshot
    one, other = (np.argsort(places) for places in found)
    snapshot = np.arange(len(one))
    assert len(one) == 607
    for first, second in ((one, other), (one, snapshot), (other, snapshot)):
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.2  # by chance, one in a million exceeds this
        assert np.mean(np.abs(first - second) < 4) < 0.05


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), groups=st.integers(2, 40), share=st.integers(1, 10))
def test_places_of_the_same_people_are_independent(tmp_path_factory, seed, groups, share):
    """Over random snapshots, row groups and filters."""
    folder, dice = tmp_path_factory.mktemp("independent"), random.Random(seed)
    rows = [person(n, resident_id=f"{dice.getrandbits(60)}", children=dice.randrange(10)) for n in range(400)]
    source = written(folder / "rows.parquet", rows, groups=groups)
    found = []
    for consumer in ("tax", "school"):
        agreed = hiding("resident_id", columns=("resident_id", "income"), rows=f"children < {share}", consumer=consumer)
        prepared, _ = ready(folder / consumer, agreed, source)
        found.append([int(row["income"]) for row in rows_of(prepared.rows)])
    one, other = (np.argsort(places) for places in found)
    assert abs(np.corrcoef(one, other)[0, 1]) * np.sqrt(len(one) - 1) < 5.5


class Taken:
    """Takes rows ahead."""

    def take(self, goods, rows):
        self.key_columns = goods.key_columns
        self.rows = pa.Table.from_batches(list(rows), goods.schema)


@pytest.mark.parametrize("mode", ["full", "changes"])
def test_rows_that_are_sent_ahead_have_the_order_of_the_file(tmp_path, mode):
    taken = Taken()
    source = written(tmp_path / "rows.parquet", people(["138", None, "139"] * 50), groups=20)
    agreed = hiding("phone", columns=("resident_id", "phone", "region_code"), mode=mode)
    prepared, _ = ready(tmp_path / "out", agreed, source, ahead=taken)
    assert taken.rows.to_pylist() == rows_of(prepared.rows)
    assert taken.rows.schema == prepared.schema
    assert taken.key_columns == prepared.key_columns


@pytest.mark.parametrize("mode", ["full", "changes"])
def test_it_is_known_which_event_is_of_which_row_where_pseudonyms_are_missing_or_alike(tmp_path, mode):
    rows = people([None, "138", "139"] * 40)
    contract = replace(CONTRACT, subject=replace(CONTRACT.subject, column="name"))
    source = written(tmp_path / "rows.parquet", rows, groups=7)
    agreed = hiding("phone", columns=("resident_id", "phone"), mode=mode)
    prepared, events = ready(tmp_path / "out", agreed, source, contract=contract)
    table = pa.Table.from_pylist(rows, SCHEMA)
    records = keyed_hashes(table, ["resident_id"], key=KEYS.ledger, domain=CONTRACT.id).to_pylist()
    subjects = keyed_hashes(table, ["name"], key=KEYS.ledger, domain="person").to_pylist()
    told = dict(zip((row["resident_id"] for row in rows), zip(records, subjects, strict=True), strict=True))
    in_order = events.events
    if mode == "full":  # there events are as other consumers' are
        assert in_order == [(record, subject, "insert") for record, subject in zip(records, subjects, strict=True)]
        in_order = [in_order[place] for place in np.fromfile(prepared.places, np.uint32)]
    assert in_order == [(*told[row["resident_id"]], "insert") for row in rows_of(prepared.rows)]


def parts_of(rows, size, dice):
    """Rows in any order, in parts of a size, each with a dictionary of its own, and their numbers beside them."""
    places = list(range(len(rows)))
    dice.shuffle(places)
    for start in range(0, len(rows), size):
        some = rows.take(pa.array(places[start : start + size]))
        leaving = some.set_column(1, "few", some["few"].dictionary_encode()).combine_chunks().to_batches()[0]
        yield leaving.drop_columns(["number"]), (None, leaving["number"])


def pseudonymous(count, different):
    """Rows with some different pseudonyms, and none; a text of few; and a number each."""
    numbers = pa.array(range(count))
    hidden = protect(pa.array([n % different or None for n in range(count)]), PSEUDONYM, key=b"k" * 32)
    few = pa.array([str(n % 97) for n in range(count)])
    return pa.table({"hidden": hidden, "few": few, "nested": [[n] for n in range(count)], "number": numbers})


def of_parts(parts):
    """The rows of parts, and the numbers beside them."""
    assert {nothing for _, (nothing, _) in parts} == {None}
    return pa.Table.from_batches([each for each, _ in parts]), pa.chunked_array([number for _, (_, number) in parts])


@pytest.mark.parametrize("different", [10**9, 50, 1], ids=["all differ", "some alike", "none there"])
@pytest.mark.parametrize("at_hand", [1, 5_000, 1 << 27])
def test_what_is_too_much_to_be_at_hand_waits_in_scratch(tmp_path, at_hand, different):
    rows, dice = pseudonymous(1_000, different), random.Random(7)
    most = 10 * ROW_GROUP  # so that there are some ranges
    found = OwnOrder(parts_of(rows, 90, dice), "hidden", tmp_path / "scratch", most=most, at_hand=at_hand)
    leaving, numbers = of_parts(list(found))
    assert leaving.append_column("number", numbers).sort_by("number").to_pylist() == rows.to_pylist()
    there = [value for value in leaving["hidden"].to_pylist() if value]
    assert different < 10**9 or there == sorted(there)
    assert (tmp_path / "scratch").exists() == (at_hand < 1 << 27)
    assert of_parts(list(found)) == (leaving, numbers)
    other = list(OwnOrder(parts_of(rows, 70, dice), "hidden", tmp_path / "other", most=most))
    assert of_parts(other) == (leaving, numbers)
    assert [len(each) for each, _ in other] == [len(each) for each, _ in found]


def test_a_range_has_the_rows_of_a_row_group(tmp_path):
    count = 3 * ROW_GROUP
    rows = pseudonymous(count, 10**9).select(["hidden"]).to_batches()
    found = [len(each) for each, _ in OwnOrder([(each, ()) for each in rows], "hidden", tmp_path, most=count)]
    assert sum(found) == count
    assert len(found) == 4
    assert max(found) <= ROW_GROUP


def test_rows_alike_stay_as_they_came(tmp_path):
    """Who gets them can't tell; and however often it is repeated, it is the same."""
    alike = pa.record_batch({"hidden": protect(pa.array(["a"] * 1_000), PSEUDONYM, key=b"k" * 32)})
    parts = [(alike, (None, pa.array(range(start, start + 1_000)))) for start in range(0, 5_000, 1_000)]
    _, numbers = of_parts(list(OwnOrder(parts, "hidden", tmp_path / "scratch", most=5_000, at_hand=1)))
    assert numbers.to_pylist() == list(range(5_000))


def test_nothing_in_order_is_nothing(tmp_path):
    assert list(OwnOrder([], "hidden", tmp_path, most=0)) == []
    empty = pseudonymous(1, 1).to_batches()[0].slice(1)
    assert list(OwnOrder([(empty, ())], "hidden", tmp_path, most=1)) == []
