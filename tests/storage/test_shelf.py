"""The shelf: what was put there comes back as it was or not at all, and it stays small, young and ours."""

from __future__ import annotations

import os
import time

import pytest

from crossdock.storage import shelf as shelves
from crossdock.storage.shelf import OLDEST, Shelf


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf", most=1000)


def made(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_what_is_put_is_taken(tmp_path, shelf):
    shelf.put("name", made(tmp_path, "one", b"content"))
    (tmp_path / "one").unlink()
    for attempt in "ab":
        assert shelf.take("name", tmp_path / attempt)
        assert (tmp_path / attempt).read_bytes() == b"content"
    assert not shelf.take("other", tmp_path / "c")
    assert not (tmp_path / "c").exists()
    assert shelf.folder.stat().st_mode & 0o777 == 0o700


def test_nothing_is_on_a_shelf_that_was_never_used(tmp_path, shelf):
    assert not shelf.take("name", tmp_path / "a")
    shelf.tidy()


def test_what_is_no_more_what_it_was_is_not_taken(tmp_path, shelf):
    shelf.put("name", made(tmp_path, "one", b"content"))
    (kept,) = shelf.folder.iterdir()
    kept.unlink()
    kept.write_bytes(b"changed")
    assert not shelf.take("name", tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert not list(shelf.folder.iterdir())


def test_the_oldest_make_room(tmp_path, shelf):
    for number, name in enumerate("abc"):
        shelf.put(name, made(tmp_path, name, bytes(300)))
        for path in shelf.folder.glob(f"{name}.*"):
            os.utime(path, (time.time() - 100 + number,) * 2)
    assert shelf.take("a", tmp_path / "used")  # so b is the oldest
    shelf.put("d", made(tmp_path, "d", bytes(300)))
    assert [bool(shelf.take(name, tmp_path / f"took {name}")) for name in "abcd"] == [True, False, True, True]


def test_what_is_older_than_a_day_goes(tmp_path, shelf):
    shelf.put("old", made(tmp_path, "old", b"x"))
    (kept,) = shelf.folder.iterdir()
    os.utime(kept, (time.time() - OLDEST - 60,) * 2)
    shelf.tidy()
    assert not list(shelf.folder.iterdir())


def test_what_is_half_as_large_as_the_shelf_is_not_kept(tmp_path, shelf):
    shelf.put("big", made(tmp_path, "big", bytes(501)))
    assert not shelf.folder.exists()


def test_a_shelf_on_another_disk_holds_copies(tmp_path, shelf, monkeypatch):
    def other_disk(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(shelves.os, "link", other_disk)
    shelf.put("name", made(tmp_path, "one", b"content"))
    assert shelf.take("name", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"


def test_a_shelf_that_takes_nothing_stops_nobody(tmp_path, shelf):
    shelf.folder.write_bytes(b"")  # a file where the folder should be
    shelf.put("name", made(tmp_path, "one", b"content"))
    assert not shelf.take("name", tmp_path / "a")
