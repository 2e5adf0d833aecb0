"""Every store keeps the same promises."""

import errno
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import S3Store as ObjectStore

from crossdock.errors import ObjectMissing, Permanent, StorageConflict, Transient, WrongUse
from crossdock.storage.local import LocalStore, open_local
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


@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "a//b",
        "a/",
        "a//",
        "",
        ".",
        "a/.b",
        ".lock",
        "a\\b",
        "a\nb",
        "a\x00b",
        "a\ud800b",
    ],
)
def test_unsafe_keys_are_refused(store, key, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x")
    acts = [
        lambda: store.put_new(key, b"x"),
        lambda: store.put_file(key, file),
        lambda: store.read(key),
        lambda: store.swap(key, b"x", expected=None),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.url(key),
    ]
    for act in acts:
        with pytest.raises(WrongUse, match="safe object key"):
            act()
    assert file.read_bytes() == b"x"


@pytest.mark.parametrize("prefix", ["../", "/etc/", "a//b", "./"])
def test_unsafe_prefixes_are_refused(store, prefix):
    with pytest.raises(WrongUse):
        list(store.list(prefix))


@pytest.mark.parametrize("key", ["人口/登记 2026.txt", "a%20b#c?d&e=f+g~h*i", "{x}[y]'\"/é"])
def test_any_printable_name_is_a_key(store, key):
    assert store.put_new(key, b"x") is True
    assert (store.read(key), list(store.list(""))) == (b"x", [key])
    filesystem, root = store.filesystem()
    with filesystem.open_input_file(f"{root}/{key}") as file:
        assert file.read() == b"x"
    store.delete(key)
    assert not store.exists(key)


def test_a_part_of_a_key_is_no_object(store):
    store.put_new("a/b/c", b"x")
    assert not store.exists("a/b")
    assert store.read_versioned("a/b") is None
    with pytest.raises(ObjectMissing):
        store.read("a/b")
    store.delete("a/b")
    assert list(store.list("")) == ["a/b/c"]


def test_a_file_that_cannot_be_put_stays_where_it_was(store, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    store.put_new("a/b", b"other")
    with pytest.raises(StorageConflict):
        store.put_file("a/b", file)
    assert file.read_bytes() == b"mine"


def test_racing_files_of_one_content_all_arrive(store, tmp_path):
    files = [tmp_path / str(number) for number in range(RACERS)]
    for file in files:
        file.write_bytes(b"same" * 100_000)
    start = threading.Barrier(RACERS)

    def put(file):
        start.wait()
        store.put_file("r", file)

    threads = [threading.Thread(target=put, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("r") == b"same" * 100_000
    assert not any(file.exists() for file in files)


def test_big_files_go_in_parts(store, tmp_path):
    file = tmp_path / "file"
    content = bytes(range(256)) * (4 * 1024 * 20)  # 20 MiB
    file.write_bytes(content)
    assert store.put_file("big", file) is True
    filesystem, root = store.filesystem()
    with filesystem.open_input_stream(f"{root}/big") as stream:
        assert sha256(stream.read()).digest() == sha256(content).digest()
    file.write_bytes(content)
    assert store.put_file("big", file) is False
    file.write_bytes(content[:-1] + b"x")
    with pytest.raises(StorageConflict):
        store.put_file("big", file)


@pytest.mark.parametrize("step", ["link", "fsync"])
def test_a_half_written_object_is_never_seen(tmp_path, monkeypatch, step):
    store = LocalStore(tmp_path / "store")

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"crossdock.storage.local.os.{step}", die)
    with pytest.raises(KeyboardInterrupt):
        store.put_new("a/b", b"x")
    with pytest.raises(KeyboardInterrupt):
        store.swap("a/p", b"x", expected=None)
    assert list(store.list("")) == []
    assert not store.exists("a/b")


KILLED = """
import os, sys
from pathlib import Path
from crossdock.storage import local
local.os.link = lambda *_: os._exit(9)
local.open_local(Path(sys.argv[1])).put_new("a/b", b"x")
"""


def test_what_a_killed_writer_leaves_is_no_object_and_goes_in_time(tmp_path, monkeypatch):
    run = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    left = list((tmp_path / ".unfinished").iterdir())
    assert (run.returncode, len(left)) == (9, 1)
    assert list(open_local(tmp_path).list("")) == []
    assert left[0].exists(), "it might be another process's, and alive"
    monkeypatch.setattr("crossdock.storage.local._ABANDONED", -1)
    open_local(tmp_path)
    assert not left[0].exists()


def test_a_file_moves_in_from_another_disk(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_bytes(b"x")

    def rename(*_):
        raise OSError(errno.EXDEV, "other disk")

    monkeypatch.setattr(Path, "rename", rename)
    store = LocalStore(tmp_path / "store")
    assert store.put_file("a", file) is True
    assert (store.read("a"), file.exists()) == (b"x", False)


def test_a_local_store_is_its_owners(tmp_path):
    store = open_store(str(tmp_path / "new" / "store"), lambda _: None)
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=2000), other=st.binary(max_size=2000))
def test_put_if_absent_for_any_content(tmp_path, data, other):
    store, key = LocalStore(tmp_path), f"k/{sha256(data).hexdigest()}"
    store.put_new(key, data)
    if other != data:
        with pytest.raises(StorageConflict):
            store.put_new(key, other)
    assert store.read(key) == data


@pytest.mark.parametrize(
    "url",
    ["ftp://somewhere", "s3:///x", "s3://bucket?conection=store", "s3://u:hidden@bucket/x?secret=hidden", "s3://b/x#y"],
)
def test_wrong_store_urls_are_refused_without_showing_secrets(url):
    with pytest.raises(WrongUse, match="names no store") as caught:
        open_store(url, lambda _: None)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket/../x", "s3://bucket/a//b", "s3://UPPER_case!?connection=store"])
def test_wrong_prefixes_and_bucket_names_are_refused(url, s3):
    with pytest.raises(WrongUse):
        open_store(url, lambda _: s3.connection)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"password": "hidden"}, Permanent, "refused"),
        ({"login": "hidden"}, Permanent, "refused"),
        ({"password": ""}, WrongUse, "no keys"),
        ({"extra": {"endpoint_url": "hidden"}}, WrongUse, "http"),
        ({"extra": {"endpoint_url": "http://127.0.0.1:1"}}, Transient, "failed"),
    ],
)
def test_a_store_that_cannot_be_opened_says_whether_to_try_again(s3, changes, error, message):
    connection = replace(s3.connection, **changes)
    with pytest.raises(error, match=message) as caught:
        open_store(f"s3://{s3.new_bucket()}?connection=store", lambda _: connection)
    assert "hidden" not in str(caught.value)


def test_refused_keys_and_lost_servers_are_told_apart(s3):
    good = open_store(f"s3://{s3.new_bucket()}?connection=store", lambda _: s3.connection)

    def objects(endpoint, secret):
        return ObjectStore(
            good.bucket, endpoint=f"http://{endpoint}", region="us-east-1", access_key_id=s3.access_key,
            secret_access_key=secret, virtual_hosted_style_request=False, client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )  # fmt: skip

    for broken, error in (
        (replace(good, objects=objects(s3.endpoint, "hidden")), Permanent),
        (replace(good, objects=objects("127.0.0.1:1", "hidden")), Transient),
    ):
        for act in (
            lambda store: store.put_new("x", b"x"),
            lambda store: store.read_versioned("x"),
            lambda store: store.swap("x", b"x", expected=None),
            lambda store: store.exists("x"),
            lambda store: list(store.list("x/")),
            lambda store: store.delete("x"),
        ):
            with pytest.raises(error) as caught:
                act(broken)
            assert "hidden" not in str(caught.value)
            assert caught.value.__suppress_context__, "the server's text stays out of logs"
