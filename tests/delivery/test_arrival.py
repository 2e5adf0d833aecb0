"""A delivery checked where it arrived: what was signed is sound, and whatever was changed is told."""

from __future__ import annotations

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crossdock.delivery.arrival import examine
from crossdock.errors import WrongUse
from delivery.samples import KEYS, agreement, person, shipment


def key_file(folder, key):
    file = folder / "public_key.pem"
    file.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return file


@pytest.fixture
def key(tmp_path):
    return key_file(tmp_path, KEYS.public())


@pytest.fixture(params=["parquet", "csv"])
def folder(tmp_path, request):
    agreed = agreement("resident_id", "name", options={"path": "p", "format": request.param})
    sent = shipment(tmp_path / "made", agreed, [person(n) for n in range(8)])
    arrived = tmp_path / "arrived"
    arrived.mkdir()
    for file in sent.prepared.files:
        shutil.copy(file.path, arrived / file.name)
    (arrived / "manifest.json").write_bytes(sent.manifest)
    return arrived


def test_what_was_signed_is_sound(folder, key):
    found = examine(folder, key)
    assert (found.faults, found.rows, found.delivery) == ((), 8, "d1")
    assert found.to_dict()["sound"]


def test_every_changed_byte_is_told(folder, key):
    (rows,) = (path for path in folder.iterdir() if path.name != "manifest.json")
    whole = rows.read_bytes()
    for changed in (whole[:-1], whole + b"x", bytes([whole[0] ^ 1]) + whole[1:]):
        rows.write_bytes(changed)
        assert examine(folder, key).faults == (f"{rows.name} is not the file that was signed (SHA-256 differs).",)
    rows.unlink()
    assert examine(folder, key).faults == (f"{rows.name} is missing.",)


def test_a_manifest_of_somebody_else_proves_nothing(folder, key, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    found = examine(folder, key_file(other, Ed25519PrivateKey.generate().public_key()))
    assert "is not what the holder of this key signed" in found.faults[0]
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"d1", b"d2"))
    assert "is not what the holder of this key signed" in examine(folder, key).faults[0]


def test_what_does_not_belong_there_is_told(folder, key):
    (folder / "more.csv").write_text("x")
    assert examine(folder, key).faults == ("more.csv is no part of the delivery.",)


def test_half_a_delivery_is_none(folder, key, tmp_path):
    with pytest.raises(WrongUse, match="No public key"):
        examine(folder, tmp_path / "nowhere.pem")
    (folder / "manifest.json").unlink()
    with pytest.raises(WrongUse, match="has not arrived whole"):
        examine(folder, key)
