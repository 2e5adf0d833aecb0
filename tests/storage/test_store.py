"""Every store keeps the same promises."""

import threading
from hashlib import sha256

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.errors import ObjectMissing, StorageConflict, WrongUse
from crossdock.storage.local import LocalStore
from crossdock.storage.open import open_store

RACERS = 16


@pytest.fixture(params=["local", "s3", "s3 prefix"])
def store(request, tmp_path):
    if request.param == "local":
        return open_store(str(tmp_path / "store"), lambda _: None)
    server = request.getfixturevalue("s3")
    prefix = "/inner/part" if "prefix" in request.param else ""
    return open_store(f"s3://{server.new_bucket()}{prefix}?connection=store", lambda _: server.connection)


def test_creates_once(store):
    assert store.put_new("a/b.json", b"one") is True
    assert store.put_new("a/b.json", b"one") is False
    with pytest.raises(StorageConflict, match=r"a/b\.json"):
        store.put_new("a/b.json", b"two")
    assert store.read("a/b.json") == b"one"
    assert store.exists("a/b.json")
    assert not store.exists("a/c.json")


def test_missing_objects_are_named(store):
    with pytest.raises(ObjectMissing, match=r"none\.json"):
        store.read("a/none.json")
    assert store.read_versioned("a/none.json") is None
    store.delete("a/none.json")


def test_files_move_in_and_stay_what_they_were(store, tmp_path):
    def file(value):
        path = tmp_path / "rows.parquet"
        pq.write_table(pa.table({"n": [value] * 1000}), path)
        return path

    assert store.put_file("x/rows.parquet", file(1)) is True
    assert not (tmp_path / "rows.parquet").exists()
    assert store.put_file("x/rows.parquet", file(1)) is False
    with pytest.raises(StorageConflict):
        store.put_file("x/rows.parquet", file(22222222))
    filesystem, root = store.filesystem()
    assert pads.dataset(f"{root}/x/rows.parquet", filesystem=filesystem).to_table()["n"].to_pylist() == [1] * 1000


def test_lists_below_a_prefix_sorted(store):
    for key in ("b/2.json", "b/1.json", "bc/3.json", "c.json"):
        store.put_new(key, b"x")
    assert list(store.list("b/")) == ["b/1.json", "b/2.json"]
    assert list(store.list("")) == ["b/1.json", "b/2.json", "bc/3.json", "c.json"]
    assert list(store.list("none/")) == []
    store.delete("b/1.json")
    assert list(store.list("b")) == ["b/2.json", "bc/3.json"]


def test_swap_is_lost_by_whoever_read_too_early(store):
    assert store.swap("p.json", b"1", expected=None) is True
    assert store.swap("p.json", b"2", expected=None) is False
    data, version = store.read_versioned("p.json")
    assert data == b"1"
    assert store.swap("p.json", b"2", expected=version) is True
    assert store.swap("p.json", b"3", expected=version) is False
    assert store.read("p.json") == b"2"


@pytest.mark.parametrize("act", ["create", "swap"])
def test_one_of_many_racers_wins(store, act):
    start, wins = threading.Barrier(RACERS), []

    def race(number):
        start.wait()
        try:
            won = (
                store.put_new("r", b"%d" % number)
                if act == "create"
                else store.swap("r", b"%d" % number, expected=None)
            )
        except StorageConflict:
            won = False
        if won:
            wins.append(number)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert store.read("r") == b"%d" % wins[0]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/x", "a//b", "", ".", "a\\b", "a\nb", "a\x00b"])
def test_unsafe_keys_are_refused(store, key):
    with pytest.raises(WrongUse):
        store.put_new(key, b"x")


def test_a_half_written_object_is_never_seen(tmp_path, monkeypatch):
    store = LocalStore(tmp_path)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("crossdock.storage.local.os.link", die)
    with pytest.raises(KeyboardInterrupt):
        store.put_new("a/b", b"x")
    assert list(store.list("")) == []


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=2000), other=st.binary(max_size=2000))
def test_put_if_absent_for_any_content(tmp_path, data, other):
    store, key = LocalStore(tmp_path), f"k/{sha256(data).hexdigest()}"
    store.put_new(key, data)
    if other != data:
        with pytest.raises(StorageConflict):
            store.put_new(key, other)
    assert store.read(key) == data


def test_wrong_store_urls_are_refused():
    with pytest.raises(WrongUse, match="names no store"):
        open_store("ftp://somewhere", lambda _: None)
