import json
import queue
import shutil
import stat
import threading
from datetime import UTC, date, datetime

import pytest

from crossdock.connections import local_lookup
from crossdock.demo import provision as module
from crossdock.demo.addresses import connect, read_connections
from crossdock.demo.provision import alone, provision

SMALL = {"people": 500, "enterprises": 300, "seed": 7}
DAY = date(2026, 6, 30)


def state(home):
    """Everything on disk: content and time of the last change."""
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(home.rglob("*")) if p.is_file()}


@pytest.fixture
def no_flights(monkeypatch):
    """Leaves the slow part out of tests that repeat the whole."""
    monkeypatch.setattr(module, "_real_data", lambda departments, told: {})  # noqa: ARG005


def test_every_dataset_is_laid_out_with_the_rows_it_is_said_to_have(province):
    assert province.rows == {
        "transport/flights": 336_776,
        "transport/airlines": 16,
        "transport/airports": 1_458,
        "transport/planes": 3_322,
        "meteorology/weather": 26_115,
        "civil_affairs/divisions": 3_212,
        "public_security/population": 3_000,
        "market_regulation/enterprises": 1_000,
    }
    assert all(path.exists() for path in province.faults.values())
    assert province.as_of == DAY


def test_every_connection_that_contracts_and_agreements_name_is_there(province):
    from pathlib import Path

    from crossdock.contracts.catalogue import load_catalogue

    repository = Path(__file__).parents[2]
    catalogue = load_catalogue(repository / "contracts", transforms=repository / "transforms")
    assert not catalogue.problems
    pulled = {name: c for name, c in catalogue.contracts.items() if c.source.kind != "ledger"}
    assert pulled.keys() == province.rows.keys()
    named = {c.source.connection for c in pulled.values()}
    named |= {a.delivery.connection for a in catalogue.agreements.values() if not a.is_publication}
    assert named == read_connections(province.connections).keys()
    lookup = local_lookup(province.connections)
    for name in named:
        connection = lookup(name)
        if connection.type == "fs":
            assert Path(str(connection.extra["path"])).is_dir()
        elif connection.type == "sqlite":
            assert Path(connection.host).parent.is_dir()
        else:
            assert (connection.type, connection.host, len(str(connection.extra["token"]))) == ("http", "127.0.0.1", 32)


def test_airflow_reads_the_connections_too(province):
    from airflow.secrets.local_filesystem import load_connections_dict

    found = load_connections_dict(str(province.connections))
    assert found["dept_meteorology"].extra_dejson["token"]
    assert found["dept_public_security"].host.endswith("registers.db")


def test_secrets_are_for_their_owner_only(province):
    assert stat.S_IMODE(province.connections.stat().st_mode) == 0o600
    assert stat.S_IMODE((province.folder / "departments" / "public_security").stat().st_mode) == 0o700


@pytest.mark.usefixtures("no_flights")
class TestRepeating:
    def test_the_second_time_changes_nothing(self, tmp_path):
        first = provision(tmp_path, **SMALL, as_of=DAY)
        before = state(tmp_path)
        assert provision(tmp_path, **SMALL, as_of=DAY) == first
        assert state(tmp_path) == before

    def test_two_homes_hold_the_same(self, tmp_path):
        one, two = (provision(tmp_path / name, **SMALL, as_of=DAY) for name in ("one", "two"))
        for dataset, path in one.faults.items():
            assert path.read_bytes() == two.faults[dataset].read_bytes()

    @pytest.mark.parametrize("change", [{"people": 600}, {"seed": 8}, {"as_of": date(2026, 7, 1)}])
    def test_other_settings_make_it_anew(self, tmp_path, change):
        provision(tmp_path, **SMALL, as_of=DAY)
        consumers = tmp_path / "var" / "demo" / "consumers" / "tax" / "tax.db"
        consumers.write_text("what was delivered")
        before = (tmp_path / "var" / "demo" / "departments" / "public_security" / "registers.db").read_bytes()
        provision(tmp_path, **{**SMALL, "as_of": DAY, **change})
        assert (tmp_path / "var" / "demo" / "departments" / "public_security" / "registers.db").read_bytes() != before
        assert consumers.read_text() == "what was delivered"

    @pytest.mark.parametrize("step", range(2))
    def test_killed_half_way_it_is_made_again_to_the_same_end(self, tmp_path, step):
        told = []

        def die(_):
            told.append(1)
            if len(told) > step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            provision(tmp_path / "killed", **SMALL, as_of=DAY, progress=die)
        assert not (tmp_path / "killed" / "var" / "demo" / "made.json").exists()
        again = provision(tmp_path / "killed", **SMALL, as_of=DAY)
        whole = provision(tmp_path / "whole", **SMALL, as_of=DAY)
        for dataset, path in again.faults.items():
            assert path.read_bytes() == whole.faults[dataset].read_bytes()
        assert {p.name for p in (tmp_path / "killed" / "var").iterdir()} == {"demo", "connections.json"}

    def test_a_lost_part_is_made_again(self, tmp_path):
        province = provision(tmp_path, **SMALL, as_of=DAY)
        shutil.rmtree(province.folder / "departments")
        provision(tmp_path, **SMALL, as_of=DAY)
        assert (province.folder / "departments" / "public_security" / "registers.db").exists()

    def test_without_a_day_the_last_one_holds_for_two_weeks(self, tmp_path, monkeypatch):
        days = iter([datetime(2026, 6, day, tzinfo=UTC) for day in (1, 14, 15)])
        monkeypatch.setattr(module, "now", lambda: next(days))
        assert [provision(tmp_path, **SMALL).as_of.day for _ in range(3)] == [1, 1, 15]


class TestConnections:
    def test_other_connections_stay_and_ours_are_replaced(self, tmp_path):
        file = tmp_path / "connections.json"
        file.write_text(json.dumps({"theirs": {"conn_type": "http"}, "ours": {"conn_type": "old"}}))
        connect(file, {"ours": {"conn_type": "fs"}})
        assert read_connections(file) == {"theirs": {"conn_type": "http"}, "ours": {"conn_type": "fs"}}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_nothing_is_written_when_nothing_is_new(self, tmp_path):
        file = tmp_path / "connections.json"
        connect(file, {"a": {"conn_type": "fs"}})
        before = file.stat()
        connect(file, {"a": {"conn_type": "fs"}})
        assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    @pytest.mark.usefixtures("no_flights")
    def test_the_web_service_keeps_port_and_token(self, tmp_path):
        province = provision(tmp_path, **SMALL, as_of=DAY)
        token = read_connections(province.connections)["dept_meteorology"]["extra"]["token"]
        moved = read_connections(province.connections)["dept_meteorology"] | {"port": 4711}
        connect(province.connections, {"dept_meteorology": moved})
        provision(tmp_path, **SMALL, as_of=DAY)
        kept = read_connections(province.connections)["dept_meteorology"]
        assert (kept["port"], kept["extra"]["token"]) == (4711, token)


def test_one_demo_at_a_time_runs_in_a_folder(tmp_path):
    (tmp_path / "var").mkdir()
    said, order = queue.Queue(), []

    def second():
        with alone(tmp_path, said.put):
            order.append("second")

    waiting = threading.Thread(target=second)
    with alone(tmp_path, said.put):
        waiting.start()
        assert "Waiting" in said.get(timeout=10)
        order.append("first")
    waiting.join(timeout=10)
    assert order == ["first", "second"]
