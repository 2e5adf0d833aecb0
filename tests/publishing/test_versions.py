from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import duckdb
import polars as pl
import pytest

from crossdock.errors import DeliveryRefused, StorageConflict, Transient
from crossdock.identity import canonical
from crossdock.publishing import versions
from crossdock.publishing import withdrawal as withdrawing
from crossdock.publishing.versions import release
from crossdock.publishing.withdrawal import Notice, withdraw_version

BASE = "open/transport/flights"
OTHER = {"carrier": ["DL"], "distance": [9], "day": [1]}


def latest(press):
    return json.loads(press.store.read(f"{BASE}/latest.json"))


def test_a_version_is_read_by_pandas_duckdb_and_polars(press):
    import pandas as pd

    version = press.release()
    path = press.store.url(f"{BASE}/{latest(press)['data']}")
    assert path == press.store.url(version.data.key)
    assert pd.read_parquet(path)["distance"].tolist() == [1400, 1416, 1089]
    assert duckdb.sql(f"SELECT sum(distance) FROM '{path}'").fetchall() == [(3905,)]
    assert pl.read_parquet(path).height == 3 == latest(press)["rows"]


def test_the_manifest_is_signed_and_lists_every_file(press):
    version = press.release()
    data = press.store.read(version.manifest_key)
    assert hashlib.sha256(data).hexdigest() == version.manifest_sha256
    manifest = json.loads(data)
    signature = bytes.fromhex(manifest.pop("signature"))
    press.keys.public().verify(signature, canonical(manifest))
    names = {key.removeprefix(f"{version.folder}/") for key in press.store.list(version.folder)}
    assert names == {f["name"] for f in manifest["files"]} | {"manifest.json"}
    for file in manifest["files"]:
        stored = press.store.read(f"{version.folder}/{file['name']}")
        assert (hashlib.sha256(stored).hexdigest(), len(stored)) == (file["sha256"], file["bytes"])
    assert manifest["version"] == version.id
    assert manifest["licence"] == "CC-BY-4.0"
    assert manifest["columns"] == ["carrier", "distance", "day"]


def test_releasing_twice_changes_nothing(press, content):
    first = press.release()
    before = content(press)
    assert press.release() == first
    assert content(press) == before


def test_a_newer_snapshot_makes_a_new_version_and_keeps_the_old(press):
    old, new = press.release(), press.release(OTHER, seq=2)
    assert old.id != new.id
    assert latest(press)["version"] == new.id
    assert press.store.exists(old.data.key)


def test_an_older_snapshot_does_not_move_the_pointer_back(press):
    press.release(OTHER, seq=2)
    late = press.release(seq=1)
    assert not late.latest
    assert latest(press)["snapshot_seq"] == 2
    assert press.store.exists(late.data.key)


def test_content_that_returns_has_its_version_again(press):
    first = press.release()
    press.release(OTHER, seq=2)
    again = press.release(seq=3)
    assert (again.id, again.latest) == (first.id, True)
    assert latest(press)["snapshot_seq"] == 3


def test_a_changed_publication_of_the_same_snapshot_wins_over_the_earlier_one(press):
    first = press.prepare()
    narrower = replace(first.publication, columns=("carrier", "day"), version="1.1.0", digest="beef")
    rows = {"carrier": ["UA"], "day": [1]}
    later = press.release(rows, publication=narrower, released_at="2026-03-01T08:00:00.000000+00:00")
    assert not release(press.store, first, sign=press.keys.sign).latest
    assert latest(press)["version"] == later.id


@pytest.mark.parametrize(
    "rows", [{"carrier": ["UA"], "distance": [1], "day": [1], "tail": ["N1"]}, {"carrier": ["UA"]}]
)
def test_other_columns_than_agreed_are_refused(press, content, rows):
    with pytest.raises(DeliveryRefused, match="agreed columns"):
        press.release(rows)
    assert content(press) == {}


def test_a_publication_without_licence_is_refused(press, content):
    unlicensed = replace(press.prepare().publication, licence="")
    with pytest.raises(DeliveryRefused, match="licence"):
        press.release(publication=unlicensed)
    assert content(press) == {}


def test_a_version_that_was_changed_by_hand_is_not_overwritten(press):
    version = press.release()
    path = press.store.root / version.folder / "README.md"
    path.write_text("changed")
    with pytest.raises(StorageConflict, match=r"README\.md"):
        press.release()
    assert path.read_text() == "changed"


@pytest.mark.parametrize("data", [b"{}", b"no json", b"[]", b"3"])
def test_a_pointer_that_is_none_is_not_overwritten(press, data):
    press.store.put_new(f"{BASE}/latest.json", data)
    with pytest.raises(StorageConflict, match=r"latest\.json"):
        press.release()


def test_racing_releases_end_with_the_newest_and_a_whole_index(press):
    prepared = [press.prepare({"carrier": ["UA"], "distance": [n], "day": [n]}, seq=n) for n in range(1, 13)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda r: release(press.store, r, sign=press.keys.sign), prepared))
    assert latest(press)["version"] == made[-1].id
    listed = json.loads(press.store.read("open/catalogue.json"))["datasets"]
    assert [item["version"] for item in listed] == [made[-1].id]


KILLED = """
import pickle, sys
from pathlib import Path
from crossdock.keys import Keys
from crossdock.publishing import versions
from crossdock.publishing import withdrawal as withdrawing
from crossdock.publishing.versions import release
from crossdock.publishing.withdrawal import Notice, withdraw_version
store, released, keys = pickle.load(open(sys.argv[1], "rb"))
release(store, released, sign=Keys.open(keys).sign)
"""


@pytest.mark.parametrize("step", ["publish.data", "publish.papers", "publish.manifest", "publish.latest"])
def test_killed_anywhere_and_repeated_it_ends_as_if_undisturbed(press, content, tmp_path, step):
    press.release()
    before = press.store.read(f"{BASE}/latest.json")
    work = tmp_path / "work.pickle"
    work.write_bytes(pickle.dumps((press.store, press.prepare(OTHER, seq=2), tmp_path / "keys")))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, work],
        check=False,
        env={**os.environ, "CROSSDOCK_FAULT": step, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert killed.returncode == 137
    if step != "publish.latest":
        assert press.store.read(f"{BASE}/latest.json") == before
    press.release(OTHER, seq=2)
    undisturbed = replace(press, store=type(press.store)(tmp_path / "other"))
    undisturbed.release()
    undisturbed.release(OTHER, seq=2)
    assert content(press) == content(undisturbed)


def test_an_s3_store_publishes_alike(press, s3_store):
    there = replace(press, store=s3_store)
    first = there.release()
    newest = there.release(OTHER, seq=2)
    assert there.release(OTHER, seq=2) == newest
    assert not there.release().latest
    assert latest(there)["version"] == newest.id != first.id
    listed = json.loads(there.store.read("open/catalogue.json"))["datasets"]
    assert [item["version"] for item in listed] == [newest.id]


def withdrawal(press, version, *, seq=1, at="2026-04-01T00:00:00.000000+00:00", shown=True):
    notice = Notice(
        dataset="transport/flights",
        delivery="recall",
        version=version.id,
        reason="A mistake.",
        snapshot=f"snapshot-{seq}",
        snapshot_seq=seq,
        at=at,
        shown=shown,
    )
    withdraw_version(press.store, notice)


def is_whole(press):
    """What is shown can be read, and is listed."""
    pointer = latest(press)
    listed = [item["version"] for item in json.loads(press.store.read("open/catalogue.json"))["datasets"]]
    if not pointer["version"]:
        return listed == []
    return press.store.exists(f"{BASE}/{pointer['data']}") and listed == [pointer["version"]]


def test_a_release_that_comes_late_does_not_bring_back_what_was_withdrawn(press):
    version = press.release()
    withdrawal(press, version)
    with pytest.raises(DeliveryRefused, match="withdrawn after"):
        press.release()
    assert not press.store.exists(version.data.key)
    assert latest(press)["withdrawn"] == version.id
    assert is_whole(press)


@pytest.mark.parametrize("seq", [1, 2])
@pytest.mark.parametrize("step", ["publish.data", "publish.manifest", "publish.latest"])
def test_a_withdrawal_in_the_middle_of_a_release_wins(press, monkeypatch, step, seq):
    version = press.release()
    monkeypatch.setattr(versions, "reached", lambda name: withdrawal(press, version) if name == step else None)
    with pytest.raises(Transient, match="withdrawn while"):
        press.release(seq=seq)
    assert not press.store.exists(version.data.key)
    monkeypatch.undo()
    if seq == 2:
        assert press.release(seq=2).id != version.id
    assert is_whole(press)


@pytest.mark.parametrize("step", ["withdrawal.marked", "withdrawal.latest"])
@pytest.mark.parametrize("same", [True, False])
def test_a_release_in_the_middle_of_a_withdrawal_is_whole(press, monkeypatch, step, same):
    version = press.release()
    rows = {} if same else {"rows": OTHER}
    monkeypatch.setattr(withdrawing, "reached", lambda name: press.release(**rows, seq=2) if name == step else None)
    withdrawal(press, version)
    monkeypatch.undo()
    assert latest(press)["snapshot_seq"] == 2
    assert latest(press)["version"] != version.id
    assert not press.store.exists(version.data.key)
    assert is_whole(press)


def test_an_s3_store_withdraws_alike(press, s3_store):
    there = replace(press, store=s3_store)
    first = there.release()
    withdrawal(there, first)
    withdrawal(there, first)
    assert (latest(there)["withdrawn"], is_whole(there)) == (first.id, True)
    assert not there.store.exists(first.data.key)
    again = there.release(seq=2)
    assert again.id != first.id
    assert (latest(there)["version"], is_whole(there)) == (again.id, True)
