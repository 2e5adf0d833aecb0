"""The folder channel: where it writes, where it never does, and what is left of killed attempts."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from crossdock.delivery.channels.channel import arrived, deliver
from crossdock.delivery.manifest import verify_manifest
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from delivery.carry import make
from delivery.consumers import consumer
from delivery.samples import KEYS, person, shipment

PEOPLE = [person(n) for n in range(3)]


@pytest.fixture
def system(tmp_path, request):
    return consumer("folder-parquet", tmp_path, request)


def at(system, path):
    agreed = system.agreed()
    return replace(agreed, delivery=replace(agreed.delivery, options={"path": path}))


def test_a_folder_per_delivery(system, tmp_path):
    sent = shipment(tmp_path / "1", at(system, "from/police"), PEOPLE)
    receipt = deliver(sent, system.connection)
    place = tmp_path / "consumer" / "from" / "police" / "d1"
    assert receipt.location == str(place)
    assert {p.name for p in place.iterdir()} == {"rows.parquet", "manifest.json"}
    assert verify_manifest((place / "manifest.json").read_bytes(), KEYS.public())
    assert (place / "rows.parquet").read_bytes() == sent.prepared.rows.read_bytes()


@pytest.mark.parametrize("path", ["", "/etc", "../out", "a/../../out", "a/./b/..", ".hidden", "a\\b", "a\nb", None])
def test_improper_paths_are_refused(system, tmp_path, path):
    with pytest.raises(ConsumerRefused, match="path"):
        deliver(shipment(tmp_path / "1", at(system, path), PEOPLE), system.connection)


def test_a_link_does_not_lead_out(system, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "consumer" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(ConsumerRefused, match="leads out"):
        deliver(shipment(tmp_path / "1", at(system, "link"), PEOPLE), system.connection)
    assert list((tmp_path / "outside").iterdir()) == []


def test_an_absent_folder_is_not_made(system, tmp_path):
    (tmp_path / "consumer").rmdir()
    with pytest.raises(ConsumerUnavailable, match="not there"):
        deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    assert not (tmp_path / "consumer").exists()


def test_a_relative_folder_is_refused(system):
    relative = replace(system.connection, extra={"path": "consumer"})
    with pytest.raises(ConsumerUnavailable, match="not there"):
        arrived(system.agreed(), "d1", relative)


def test_left_overs_of_killed_attempts_are_cleared(system, tmp_path):
    incoming = tmp_path / "consumer" / "population" / ".incoming"
    (incoming / "d1-killed").mkdir(parents=True)
    (incoming / "d1-killed" / "rows.parquet").write_bytes(b"half")
    (incoming / "d2-running").mkdir()
    deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    assert {p.name for p in incoming.iterdir()} == {"lock", "d2-running"}


def test_files_of_the_consumer_are_passed_over(system, tmp_path):
    own = tmp_path / "consumer" / "population" / "own"
    own.mkdir(parents=True)
    (own / "manifest.json").write_text('{"name": "my web app"}')
    deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), system.connection)
    assert arrived(system.agreed(), "d1", system.connection)


def test_a_consumer_may_remove_what_it_took_in(system, tmp_path):
    """Folders are for picking up: the base of later changes need not be there any more."""
    agreed = system.agreed("changes")
    deliver(make(tmp_path, agreed, 1), system.connection)
    shutil.rmtree(tmp_path / "consumer" / "population" / "d1")
    deliver(make(tmp_path, agreed, 2), system.connection)
    assert arrived(agreed, "d2", system.connection)


@pytest.mark.parametrize("failure", [OSError(28, "no space"), PermissionError(13, "no")])
def test_a_failing_disk_leaves_nothing(system, tmp_path, monkeypatch, failure):
    def fail(*_):
        raise failure

    monkeypatch.setattr("shutil.copyfile", fail)
    kind = ConsumerRefused if isinstance(failure, PermissionError) else ConsumerUnavailable
    sent = shipment(tmp_path / "1", system.agreed(), PEOPLE)
    with pytest.raises(kind):
        deliver(sent, system.connection)
    assert list((tmp_path / "consumer" / "population" / ".incoming").iterdir()) == []


def test_a_consumer_may_take_the_folder_away_the_moment_it_appears(system, tmp_path, monkeypatch):
    from crossdock.delivery.channels import folder

    def taken(step):
        if step == "delivery.folder.shown":
            shutil.rmtree(tmp_path / "consumer" / "population" / "d1")

    monkeypatch.setattr(folder, "reached", taken)
    sent = shipment(tmp_path / "1", at(system, "population"), PEOPLE)
    assert deliver(sent, system.connection).digest == sent.digest
