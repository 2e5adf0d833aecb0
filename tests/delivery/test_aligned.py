"""Changes found by fingerprints alone: to the byte what comes of reading every row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.contracts.agreement import Protection
from crossdock.delivery import aligned
from crossdock.delivery.aligned import Aligned
from crossdock.errors import LedgerBroken, Permanent
from crossdock.fingerprints import fingerprints
from crossdock.rowhash import row_hashes
from delivery.samples import KEYS, SCHEMA, agreement, held, person, ready

MASKED = {"name": Protection(kind="mask", keep_first=1), "phone": Protection(kind="pseudonymise")}
AGREED = agreement("resident_id", "name", "phone", mode="changes", channel="database")
FILTERED = agreement("resident_id", "name", mode="changes", channel="database", rows="children < 2")
PROTECTED = agreement("resident_id", "name", "phone", mode="changes", channel="database", protect=MASKED)
PSEUDONYMOUS = agreement(
    "resident_id", "name", mode="changes", channel="database", protect={"resident_id": Protection(kind="pseudonymise")}
)


def stored(folder, rows, *, group=10):
    """A snapshot's file, and its fingerprints."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, SCHEMA)
    pq.write_table(table, folder / "in.parquet", row_group_size=group)
    fingerprints(table, row_hashes(table), KEYS.ledger).tofile(folder / "prints")
    return pads.dataset(folder / "in.parquet"), folder / "prints"


def told(made):
    prepared, events = made
    files = (prepared.rows, prepared.deletes, prepared.received)
    return [path.read_bytes() for path in files], prepared.counts, prepared.digests, prepared.base, events.events


@pytest.fixture
def reads(monkeypatch):
    """How many snapshots were laid beside what a consumer holds, and could be."""
    found = []
    find = Aligned.find.__func__

    def spy(cls, *given):
        found.append(find(cls, *given))
        return found[-1]

    monkeypatch.setattr(Aligned, "find", classmethod(spy))
    return found


def compare(folder, agreed, before, after, *, group=10, expected=True, reads=None):
    source, _ = stored(folder / "before", before, group=group)
    first, _ = ready(folder / "1", agreed, source)
    source, prints = stored(folder / "after", after, group=group)
    plain = ready(folder / "2", agreed, source, previous=held(first))
    quick = ready(folder / "3", agreed, source, previous=held(first), prints=prints)
    assert told(quick) == told(plain)
    if reads is not None:
        assert [each is not None for each in reads] == [expected]
    return quick[0]


PEOPLE = [person(n) for n in range(40)]
STEPS = st.lists(
    st.tuples(st.sampled_from(["change", "unseen", "filter", "remove", "insert", "move"]), st.integers(0, 60)),
    max_size=8,
)


def changed(people, steps):
    after, fresh = list(people), 1000
    for what, where in steps:
        at = where % len(after)
        row = after[at]
        if what == "change":
            after[at] = row | {"name": row["name"] + "x"}
        elif what == "unseen":  # to the consumer nothing changes
            after[at] = row | {"income": None}
        elif what == "filter":
            after[at] = row | {"children": 3 - (row["children"] or 0)}
        elif what == "remove":
            del after[at]
        elif what == "insert":
            fresh += 1
            after.insert(at, person(fresh))
        else:
            after.append(after.pop(at))
    return after


@settings(max_examples=40, deadline=None)
@given(
    steps=STEPS,
    group=st.sampled_from([7, 40, 64]),
    agreed=st.sampled_from([AGREED, FILTERED, PROTECTED, PSEUDONYMOUS]),
)
def test_all_is_as_if_every_row_were_read(tmp_path_factory, steps, group, agreed):
    compare(tmp_path_factory.mktemp("aligned"), agreed, PEOPLE, changed(PEOPLE, steps), group=group)


@pytest.fixture(params=["at hand", "read twice"])
def kept(request, monkeypatch):
    if request.param == "read twice":
        monkeypatch.setattr(aligned, "_AT_HAND", 5)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("agreed", [AGREED, FILTERED, PROTECTED, PSEUDONYMOUS])
def test_few_changes_are_found_by_fingerprints(tmp_path, reads, agreed):
    after = changed(PEOPLE, [("change", 3), ("remove", 11), ("insert", 20), ("unseen", 30), ("filter", 33)])
    compare(tmp_path, agreed, PEOPLE, after, reads=reads)


def test_nothing_changed(tmp_path, reads):
    prepared = compare(tmp_path, AGREED, PEOPLE, PEOPLE, reads=reads)
    assert prepared.counts.unchanged == len(PEOPLE)


def test_many_rows_that_come_or_go_together_leave_the_rest_as_it_was(tmp_path, reads):
    people = [person(n) for n in range(400)]
    after = people[:50] + [person(1000 + n) for n in range(60)] + people[50:300] + people[340:]
    compare(tmp_path, AGREED, people, after, group=64, reads=reads)
    (found,) = reads
    assert int((~found._same).sum()) == 60


def test_another_order_is_read_anew(tmp_path, reads):
    compare(tmp_path, AGREED, PEOPLE, PEOPLE[::-1], reads=reads, expected=False)


@pytest.mark.parametrize(
    "other",
    [
        PROTECTED,
        FILTERED,
        agreement("resident_id", "name", "phone", mode="changes", channel="database", rows="children < 1"),
        agreement("resident_id", "name", "phone", mode="changes", channel="database", options={"table": "elsewhere"}),
    ],
)
def test_other_terms_are_read_anew(tmp_path, reads, other):
    source, prints = stored(tmp_path / "in", PEOPLE)
    first, _ = ready(tmp_path / "1", AGREED, source)
    plain = ready(tmp_path / "2", other, source, previous=held(first))
    quick = ready(tmp_path / "3", other, source, previous=held(first), prints=prints)
    assert told(quick) == told(plain)
    assert reads == [None]


def test_what_was_held_back_is_looked_at_again(tmp_path, reads):
    """The consumer holds such a record as it was: what its row was made of does not count."""
    source, prints = stored(tmp_path / "a", PEOPLE)
    first, events = ready(tmp_path / "1", AGREED, source)
    record = events.events[5][0]
    after = changed(PEOPLE, [("change", 5)])
    source, prints = stored(tmp_path / "b", after)
    second, _ = ready(tmp_path / "2", AGREED, source, previous=held(first), prints=prints, held_back=[record])
    assert second.kept == 1
    third, _ = ready(tmp_path / "3", AGREED, source, previous=held(second), prints=prints)
    assert (third.counts.updated, third.counts.inserted, third.counts.deleted) == (1, 0, 0)
    assert [each is not None for each in reads] == [True]


def test_a_key_that_stands_twice_is_refused(tmp_path, reads):
    source, _ = stored(tmp_path / "a", PEOPLE)
    first, _ = ready(tmp_path / "1", AGREED, source)
    source, prints = stored(tmp_path / "b", [*PEOPLE, person(7, name="twice")])
    with pytest.raises(Permanent, match="repeated"):
        ready(tmp_path / "2", AGREED, source, previous=held(first), prints=prints)
    assert reads[0] is not None


def test_other_rows_than_those_accepted_do_not_leave(tmp_path):
    source, _ = stored(tmp_path / "a", PEOPLE)
    first, _ = ready(tmp_path / "1", AGREED, source)
    _, prints = stored(tmp_path / "b", changed(PEOPLE, [("change", 3)]))
    forged, _ = stored(tmp_path / "c", changed(PEOPLE, [("change", 3), ("change", 3)]))
    with pytest.raises(LedgerBroken, match="not those that were accepted"):
        ready(tmp_path / "2", AGREED, forged, previous=held(first), prints=prints)


@pytest.mark.parametrize("damage", [b"", b"x" * 31, b"x" * 32 * 39])
def test_fingerprints_of_another_number_of_rows_are_not_used(tmp_path, reads, damage):
    source, prints = stored(tmp_path / "a", PEOPLE)
    first, _ = ready(tmp_path / "1", AGREED, source)
    prints.write_bytes(damage)
    again, _ = ready(tmp_path / "2", AGREED, source, previous=held(first), prints=prints)
    assert again.counts.unchanged == len(PEOPLE)
    assert reads == [None]


@settings(deadline=None)
@given(
    new=st.lists(st.integers(0, 30), unique=True, max_size=30),
    old=st.lists(st.integers(0, 30), unique=True, max_size=30),
)
def test_two_series_are_laid_beside_each_other(new, old):
    from crossdock.finding import align

    new_words, old_words = (np.array([[n, n * 7] for n in series], np.uint64).reshape(-1, 2) for series in (new, old))
    prints = np.hstack([~new_words, new_words])
    prints.flags.writeable = False  # as a file's are
    places = np.empty(len(new), np.int64)
    found = align(prints, old_words, places)
    matched = [(n, int(place)) for n, place in zip(new, places, strict=True) if place >= 0]
    assert found == len(matched)
    assert all(old[place] == n for n, place in matched)
    assert [place for _, place in matched] == sorted({place for _, place in matched})
    if new == old:
        assert found == len(new)


def test_too_much_to_read_is_read_anew(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(aligned, "_MOST_READ", 0.05)
    compare(tmp_path, AGREED, PEOPLE, changed(PEOPLE, [("change", n) for n in (1, 2, 3)]), reads=reads, expected=False)


def test_values_that_are_another_columns_now_are_read_anew(tmp_path, reads):
    """The same values in the same places have the same fingerprints, whatever the columns are called."""
    source, prints = stored(tmp_path / "a", PEOPLE)
    first, _ = ready(tmp_path / "1", AGREED, source)
    table = source.to_table()
    other = {"name": "phone", "phone": "name"}
    pq.write_table(table.rename_columns([other.get(name, name) for name in table.column_names]), tmp_path / "b.parquet")
    second, _ = ready(tmp_path / "2", AGREED, pads.dataset(tmp_path / "b.parquet"), previous=held(first), prints=prints)
    assert second.counts.updated == len(PEOPLE)
    assert reads == [None]
