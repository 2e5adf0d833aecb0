"""What the policy no longer keeps: events go, entries and every proof that was handed out stay."""

from __future__ import annotations

import json
import os

import pytest

from crossdock.errors import LedgerBroken, WrongUse
from crossdock.ledger import archive, compaction, segment_evidence
from crossdock.ledger.archive import Archive
from crossdock.ledger.book import read_entries
from crossdock.ledger.checking import check_proof
from crossdock.ledger.compaction import compact
from crossdock.ledger.counts import count
from crossdock.ledger.heads import sign_heads
from crossdock.ledger.proofs import prove_continuation, prove_delivery, prove_record
from crossdock.ledger.retired import RETIRED, Retired, retire, retired
from crossdock.ledger.subjects import who
from crossdock.ledger.verify import verify

MARCH_2 = "2026-03-02"


@pytest.fixture
def filled(world):
    """Two deliveries a day for three days; all signed."""
    for day in range(3):
        world.deliver("a", f"b{day}", day=day)
        world.deliver("c", consumer="health", day=day)
        sign_heads(world.state, world.store, world.keys)
    return world


def check(world):
    return verify(world.state, world.store, world.keys.public())


def go(world, before):
    return retire(world.state, world.store, world.keys, before=before)


def tidy(world):
    folder = world.root / "scratch"
    folder.mkdir(exist_ok=True)
    compact(world.state, world.store, folder)


def test_events_from_before_the_day_go_and_the_rest_stays(filled):
    shares = count(filled.state, filled.store, by=("day",))
    first = next(read_entries(filled.state)).body.delivery
    record = prove_record(
        prove_delivery(filled.state, filled.store, first),
        Archive.open(filled.state, filled.store),
        filled.keys,
        ["a"],
    )
    assert go(filled, MARCH_2) == 2
    assert len(list(filled.store.list("ledger/events/"))) == 4
    assert check(filled) == []
    assert count(filled.state, filled.store, by=("day",), recount=True) == shares
    assert [r.delivered_at[:10] for r in who(filled.state, filled.store, filled.keys, "a")] == [MARCH_2, "2026-03-03"]
    assert retired(filled.store) == Retired(last_seq=2, before=MARCH_2)
    for proof in (
        record,
        prove_delivery(filled.state, filled.store, first),
        prove_continuation(filled.state, filled.store, "2026-03-01", "2026-03-03"),
    ):
        check_proof(json.dumps(proof).encode(), filled.keys.public())
    with pytest.raises(WrongUse, match="as the policy has it"):
        prove_record(
            prove_delivery(filled.state, filled.store, first),
            Archive.open(filled.state, filled.store),
            filled.keys,
            ["a"],
        )


def test_again_and_with_an_earlier_day_nothing_more_happens(filled):
    go(filled, MARCH_2)
    statement = filled.store.read(RETIRED)
    assert go(filled, MARCH_2) == go(filled, "2026-03-01") == 0
    assert filled.store.read(RETIRED) == statement


def test_all_may_go_and_what_comes_is_kept(filled):
    assert go(filled, "2027-01-01") == 6
    filled.deliver("a", day=4)
    assert check(filled) == []
    assert len(who(filled.state, filled.store, filled.keys, "a")) == 1


def test_an_empty_ledger_has_nothing_to_lose(world):
    assert go(world, MARCH_2) == 0
    assert not world.store.exists(RETIRED)


def days_told(world, subject="a"):
    return [r.delivered_at[8:10] for r in who(world.state, world.store, world.keys, subject)]


def segments(world):
    return [key.removeprefix("ledger/segments/")[:38] for key in sorted(world.store.list("ledger/segments/"))]


def test_what_is_old_is_cut_off_a_segment_and_the_rest_of_it_stays(filled):
    shares = count(filled.state, filled.store, by=("day",))
    tidy(filled)
    tidy(filled)
    assert go(filled, MARCH_2) == 0
    # said, and read by nobody any more, though it is there still
    assert (check(filled), days_told(filled)) == ([], ["02", "03"])
    assert count(filled.state, filled.store, by=("day",), recount=True) == shares
    tidy(filled)
    assert segments(filled) == ["000000000001-000000000006-000000000009", "000000000003-000000000006-000000000006"]
    assert (check(filled), days_told(filled)) == ([], ["02", "03"])
    tidy(filled)
    assert segments(filled) == ["000000000003-000000000006-000000000006"]
    assert (check(filled), days_told(filled), days_told(filled, "b0")) == ([], ["02", "03"], [])
    assert count(filled.state, filled.store, by=("day",), recount=True) == shares
    # what is left is a segment like others: it can be proven from, grow, and be cut again
    third = list(read_entries(filled.state))[2].body.delivery
    proven = prove_delivery(filled.state, filled.store, third)
    proof = prove_record(proven, Archive.open(filled.state, filled.store), filled.keys, ["a"])
    check_proof(json.dumps(proof).encode(), filled.keys.public())
    filled.deliver("a", day=4)
    filled.deliver("a", "d", "e", "f", day=4)
    tidy(filled)
    assert go(filled, "2026-03-03") == 0
    tidy(filled)
    tidy(filled)
    assert (check(filled), days_told(filled)) == ([], ["03", "05", "05"])
    assert [name[:12] for name in segments(filled)] == ["000000000005"]


@pytest.mark.parametrize(("together", "large"), [(1, 3), (0, 6)])
def test_large_deliveries_that_a_segment_leaves_out_go_with_their_day(filled, monkeypatch, together, large):
    for module in (compaction, archive, segment_evidence):
        monkeypatch.setattr(module, "_TOGETHER" if module is segment_evidence else "RUN", together)
    tidy(filled)
    tidy(filled)
    assert len(list(filled.store.list("ledger/events/"))) == large
    assert go(filled, MARCH_2) == large / 3
    assert check(filled) == []
    tidy(filled)
    tidy(filled)
    assert (check(filled), days_told(filled)) == ([], ["02", "03"])
    assert len(list(filled.store.list("ledger/events/"))) == large * 2 / 3


@pytest.mark.parametrize("step", ["compaction.written", "compaction.deleted"])
def test_killed_while_it_is_cut_off_nothing_is_lost(filled, monkeypatch, step):
    tidy(filled)
    tidy(filled)
    go(filled, MARCH_2)
    if step == "compaction.deleted":
        tidy(filled)
    filled.state.engine.dispose()
    child = os.fork()
    if not child:
        monkeypatch.setenv("CROSSDOCK_FAULT", step)
        tidy(filled)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 137
    assert (check(filled), days_told(filled)) == ([], ["02", "03"])
    tidy(filled)
    tidy(filled)
    assert (check(filled), days_told(filled)) == ([], ["02", "03"])
    assert segments(filled) == ["000000000003-000000000006-000000000006"]


def test_events_of_entries_that_are_kept_are_missed_though_others_are_on_their_way_out(filled):
    tidy(filled)
    tidy(filled)
    (segment,) = filled.store.list("ledger/segments/")
    go(filled, MARCH_2)
    filled.store.delete(segment)
    assert [found.seq for found in check(filled)] == [3, 4, 5, 6]


def test_a_segment_goes_when_all_of_it_is_old_enough(filled):
    tidy(filled)
    tidy(filled)
    assert go(filled, "2026-03-04") == 1
    assert list(filled.store.list("ledger/segments/")) == []
    assert check(filled) == []
    filled.deliver("a", day=4)
    tidy(filled)
    tidy(filled)
    assert check(filled) == []
    assert len(who(filled.state, filled.store, filled.keys, "a")) == 1


def test_killed_at_any_file_the_next_call_deletes_the_rest(filled, monkeypatch):
    filled.state.engine.dispose()
    child = os.fork()
    if not child:
        monkeypatch.setenv("CROSSDOCK_FAULT", "retired.deleted")
        go(filled, MARCH_2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 137
    assert len(list(filled.store.list("ledger/events/"))) == 5
    assert check(filled) == []
    assert [r.delivered_at[:10] for r in who(filled.state, filled.store, filled.keys, "a")] == [MARCH_2, "2026-03-03"]
    assert go(filled, MARCH_2) == 1
    assert len(list(filled.store.list("ledger/events/"))) == 4


def test_events_that_are_missing_without_a_statement_are_missing(filled):
    go(filled, MARCH_2)
    filled.store.delete(RETIRED)
    assert [found.seq for found in check(filled)] == [1, 2]


def test_a_statement_that_nobody_signed_is_found(filled):
    go(filled, MARCH_2)
    said = json.loads(filled.store.read(RETIRED)) | {"last_seq": 4}
    (filled.store.root / RETIRED).write_text(json.dumps(said))
    found = check(filled)
    assert RETIRED in {each.where for each in found}
    assert [each.seq for each in found if each.where != RETIRED] == [1, 2]


def test_a_statement_about_entries_that_do_not_exist_is_found(filled, worlds):
    other = worlds()
    for _ in range(9):
        other.deliver("x")
    other.keys = filled.keys
    go(other, "2027-01-01")
    (filled.store.root / RETIRED).write_bytes(other.store.read(RETIRED))
    assert [(each.seq, each.where) for each in check(filled)] == [(7, RETIRED)]


def test_a_statement_that_cannot_be_read_stops_who_relies_on_it(filled):
    (filled.store.root / RETIRED).write_text("{")
    with pytest.raises(LedgerBroken, match="statement"):
        who(filled.state, filled.store, filled.keys, "a")
