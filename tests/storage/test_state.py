"""State: the same on SQLite and PostgreSQL, migrated once, fenced."""

import subprocess
import sys
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from crossdock.errors import Permanent, StateDamaged, Transient, WrongUse
from crossdock.identity import RowsDigest
from crossdock.storage import acceptance, records, tables
from crossdock.storage.delivered import last_delivered
from crossdock.storage.rows import columns_of
from crossdock.storage.state import State

DIGEST = RowsDigest(3, 5, 2**64 - 1)
RACERS = 8


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return request.getfixturevalue("postgres").new_database()[1]


@pytest.fixture
def state(url):
    state = State.open(url)
    yield state
    state.engine.dispose()


def extract(number, at="2026-11-01T00:00:00.000000+00:00"):
    return records.Extract(
        id=f"e{number}", dataset="d/s", key=f"landing/{number}", rows=3, sha256="0" * 64, digest=DIGEST,
        drift={"missing": [], "extra": ["x"]}, watermark=None, incremental=False, pulled_at=at,
    )  # fmt: skip


def verdict(number, of):
    return records.Verdict(
        id=f"v{number}", extract=of.id, dataset="d/s", contract_version="1.0.0", contract_digest="c", outcome="partial", rows=3,
        accepted=2, quarantined=1, accepted_digest=DIGEST, quarantined_digest=DIGEST,
        findings=(records.Finding(rule="a.not_null", column="a", reason="It is missing.", rows=1),),
        quarantine_key="quarantine/x", result_key="results/x", validated_at=of.pulled_at,
    )  # fmt: skip


def snapshot(number, of):
    return records.Snapshot(
        id=f"s{number}", dataset="d/s", verdict=of.id, key=f"accepted/{number}", rows=2, sha256="1" * 64, digest=DIGEST,
        accepted_at=of.validated_at,
    )  # fmt: skip


def accept(state, number, at):
    pulled = extract(number, at)
    records.record_extract(state, pulled)
    judged = verdict(number, pulled)
    acceptance.record_verdict(state, judged, snapshot(number, judged))
    return judged


def delivery(**changes):
    made = records.Delivery(
        id="x1", agreement="d/s/tax", agreement_version="1", agreement_digest="a", dataset="d/s", department="d", consumer="tax",
        channel="database", mode="full", snapshot="s1", snapshot_seq=1, intended_at="2026-11-01T00:00:00.000000+00:00",
    )  # fmt: skip
    return replace(made, **changes)


def test_tables_are_what_the_migrations_make(state):
    with state.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_processes_may_open_an_empty_database_at_once(url):
    program = f"from crossdock.storage.state import State; State.open({url!r}).engine.dispose()"
    openers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [opener.wait() for opener in openers] == [0, 0, 0]


def test_records_come_back_as_they_went(state):
    judged = accept(state, 1, "2026-11-01T00:00:00.000000+00:00")
    assert records.extract_by_id(state, "e1") == extract(1)
    assert records.verdict_by_id(state, "v1") == judged
    assert records.verdicts(state, dataset="d/s") == [judged]
    found = records.latest_snapshot(state, "d/s")
    assert replace(found, seq=None) == snapshot(1, judged)
    assert records.latest_snapshot(state, "d/none") is None
    assert records.verdict_by_id(state, "none") is None
    with pytest.raises(WrongUse, match="no extract 'none'"):
        records.extract_by_id(state, "none")


def test_a_verdict_counts_once(state):
    judged = accept(state, 1, "2026-11-01T00:00:00.000000+00:00")
    acceptance.record_verdict(state, judged, snapshot(1, judged))
    with state.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.snapshot)).scalar_one() == 1


def test_a_source_that_goes_back_brings_its_old_snapshot_into_force(state):
    first = accept(state, 1, "2026-11-01T00:00:00.000000+00:00")
    accept(state, 2, "2026-11-02T00:00:00.000000+00:00")
    records.record_extract(state, extract(1, "2026-11-03T00:00:00.000000+00:00"))
    acceptance.reaccept(state, first)
    acceptance.reaccept(state, first)
    assert records.latest_snapshot(state, "d/s").id == "s1"
    assert records.latest_snapshot(state, "d/s").seq == 3


def test_a_late_judgement_does_not_bring_old_data_back(state):
    accept(state, 2, "2026-11-02T00:00:00.000000+00:00")
    late = accept(state, 1, "2026-11-01T00:00:00.000000+00:00")
    acceptance.reaccept(state, late)
    assert records.latest_snapshot(state, "d/s").id == "s2"


def test_a_late_judgement_is_known_when_the_source_goes_back_to_it(state):
    accept(state, 2, "2026-11-02T00:00:00.000000+00:00")
    late = accept(state, 1, "2026-11-01T00:00:00.000000+00:00")
    records.record_extract(state, extract(1, "2026-11-03T00:00:00.000000+00:00"))
    acceptance.reaccept(state, late)
    assert records.latest_snapshot(state, "d/s").id == "s1"
    accept(state, 3, "2026-11-04T00:00:00.000000+00:00")
    assert records.latest_snapshot(state, "d/s").id == "s3"


def race(act):
    start, errors = threading.Barrier(RACERS), []

    def run():
        start.wait()
        try:
            act()
        except sa.exc.DBAPIError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_racing_writers_record_everything_once(state):
    judged = verdict(1, extract(1))
    assert race(lambda: records.record_extract(state, extract(1))) == []
    assert race(lambda: acceptance.record_verdict(state, judged, snapshot(1, judged))) == []
    assert race(lambda: records.intend_delivery(state, delivery())) == []
    with state.connect() as connection:
        counts = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (tables.extract, tables.verdict, tables.snapshot, tables.delivery)
        ]
    assert counts == [1, 1, 1, 1]


def test_racing_writers_bring_a_snapshot_back_once(state):
    first = accept(state, 1, "2026-11-01T00:00:00.000000+00:00")
    accept(state, 2, "2026-11-02T00:00:00.000000+00:00")
    records.record_extract(state, extract(1, "2026-11-03T00:00:00.000000+00:00"))
    assert race(lambda: acceptance.reaccept(state, first)) == []
    assert records.latest_snapshot(state, "d/s").id == "s1"
    with state.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.snapshot)).scalar_one() == 3


def test_only_one_of_racing_writers_completes_a_delivery(state):
    records.intend_delivery(state, delivery())
    wins = []

    def complete():
        with state.begin() as connection:
            wins.append(records.complete_delivery(connection, delivery(counts={})))

    assert race(complete) == []
    assert sorted(wins) == [False] * (RACERS - 1) + [True]


def test_only_one_writer_completes_a_delivery(state):
    assert records.intend_delivery(state, delivery()).status == "intended"
    assert last_delivered(state, "d/s/tax") is None
    done = delivery(counts={"inserted": 2}, delivered_at="2026-11-02T00:00:00.000000+00:00")
    with state.begin() as connection:
        assert records.complete_delivery(connection, done) is True
    with state.begin() as connection:
        assert records.complete_delivery(connection, done) is False
    assert last_delivered(state, "d/s/tax").counts == {"inserted": 2}
    assert records.intend_delivery(state, delivery()).status == "delivered"
    assert records.deliveries(state) == [records.delivery_by_id(state, "x1")]


def test_a_refusal_is_recorded_once(state):
    refusal = records.Refusal(
        id="r",
        agreement="d/s/tax",
        dataset="d/s",
        consumer="tax",
        snapshot="s1",
        reason="It expired.",
        refused_at="2026-11-01",
    )
    records.record_refusal(state, refusal)
    records.record_refusal(state, refusal)
    assert records.refusals(state) == [refusal]


def test_an_error_rolls_back(state):
    def fail():
        with state.begin() as connection:
            connection.execute(tables.extract.insert().values(columns_of(extract(9))))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(WrongUse):
        records.extract_by_id(state, "e9")


FORKING = """
import os, signal, sys
import sqlalchemy as sa
from crossdock.storage.state import State

state = State.open({url!r})
with state.connect() as connection:
    connection.execute(sa.text("SELECT 1"))
child = os.fork()
signal.alarm(60)  # both processes would wait for ever for answers that the other one took
for _ in range(200):
    with state.begin() as connection:
        if connection.execute(sa.text("SELECT " + str(child))).scalar_one() != child:
            os._exit(3)
if child:
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
os._exit(0)
"""


def test_a_forked_child_uses_connections_of_its_own(url):
    run = subprocess.run([sys.executable, "-c", FORKING.format(url=url)], check=False, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_database_of_a_newer_crossdock_is_refused(url):
    state = State.open(url)
    with state.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    state.engine.dispose()
    program = f"from crossdock.storage.state import State; State.open({url!r})"
    run = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert f"{Permanent.__module__}.Permanent" in run.stderr
    assert "made by a newer crossdock" in run.stderr


@pytest.mark.parametrize("url", ["mysql://u:hidden@host/x", "hidden", "", "sqlserver+hidden://x"])
def test_what_is_no_state_database_is_refused_without_showing_it(url):
    with pytest.raises(WrongUse, match="names no state database") as caught:
        State.open(url)
    assert "hidden" not in str(caught.value)


def test_a_silent_server_may_answer_later():
    with pytest.raises(Transient, match="did not answer") as caught:
        State.open("postgresql://u:hidden@127.0.0.1:1/x")
    assert "hidden" not in str(caught.value)


def test_an_unwritable_file_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(Transient, match="unable to open"):
        State.open(f"sqlite:///{tmp_path / 'folder'}")


def test_a_writer_waits_only_so_long(state, monkeypatch):
    if state.engine.dialect.name == "sqlite":
        with state.connect() as connection:  # the pooled connection that the second writer would use
            connection.exec_driver_sql("PRAGMA busy_timeout=200")
    monkeypatch.setattr("crossdock.storage.state._PATIENCE", 0.2)
    with state.begin(), pytest.raises(Transient, match="lock"), state.begin():
        pass


def test_values_stay_out_of_database_errors(tmp_path):
    # SQLite's only: PostgreSQL itself shows the failing row of a broken constraint, and state holds no row values.
    state = State.open(f"sqlite:///{tmp_path / 'state.db'}")
    broken = columns_of(extract(1)) | {"key": None, "watermark": "canary"}
    with pytest.raises(sa.exc.IntegrityError) as caught, state.begin() as connection:
        connection.execute(tables.extract.insert().values(broken))
    assert "canary" not in str(caught.value)
    state.engine.dispose()


@pytest.mark.parametrize(
    "spoil", [lambda data: b"\xff" * len(data), lambda data: data.replace(b"CREATE TABLE", b"CREATE TABLQ")]
)
def test_a_damaged_file_is_told_without_its_content(tmp_path, spoil):
    State.open(f"sqlite:///{tmp_path / 'state.db'}").engine.dispose()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(spoil((tmp_path / "state.db").read_bytes()))
    with pytest.raises(StateDamaged, match="damaged") as caught:
        State.open(f"sqlite:///{damaged}")
    assert "TABLQ" not in str(caught.value)
