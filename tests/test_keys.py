"""Keys: made once, for their owner only, and never shown."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from crossdock.errors import Permanent
from crossdock.identity import canonical, content_id
from crossdock.keys import LEDGER, PROTECTION, Keys, key_versions, rotate, secret_file


def test_keys_stay_the_same(tmp_path):
    first, second = Keys.open(tmp_path / "keys"), Keys.open(tmp_path / "keys")
    assert (first.ledger, first.protection) == (second.ledger, second.protection)
    assert first.sign(b"x") == second.sign(b"x")
    other = Keys.open(tmp_path / "others")
    assert len({first.ledger, first.protection, other.ledger, other.protection}) == 4


def test_only_their_owner_reads_them(tmp_path):
    folder = tmp_path / "keys"
    mask = os.umask(0)
    try:
        Keys.open(folder)
    finally:
        os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("ledger_key", "protection_key", "signing_key.pem"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert sorted(f.name for f in folder.iterdir()) == [
        "ledger_key", "protection_key", "public_key.pem", "signing_key.pem",
    ]  # fmt: skip


def test_they_are_never_shown(tmp_path):
    keys = Keys.open(tmp_path)
    for secret in (keys.ledger, keys.protection):
        assert secret.hex() not in repr(keys)
        assert repr(secret) not in repr(keys)
    assert repr(keys) == "Keys()"


def test_a_private_id_is_the_same_for_ever_and_nobody_elses(tmp_path):
    keys, others = Keys.open(tmp_path / "keys"), Keys.open(tmp_path / "others")
    told = ("snapshot", "town/people", "0" * 64)
    name = keys.private_id(*told)
    assert len(name) == 32
    assert int(name, 16) >= 0
    rotate(tmp_path / "keys", LEDGER)
    rotate(tmp_path / "keys", PROTECTION)
    assert Keys.open(tmp_path / "keys").private_id(*told) == name
    assert (
        len({name, others.private_id(*told), content_id(*told), keys.private_id("snapshot", "town/people0", "0" * 63)})
        == 4
    )


def test_what_is_derived_for_one_purpose_serves_no_other(tmp_path):
    keys = Keys.open(tmp_path)
    raw = hashlib.blake2b(canonical(("d", "delivered")), key=keys.ledger, digest_size=16)
    assert len({keys.pad("d", "delivered").hex(), keys.private_id("d", "delivered"), raw.hexdigest()}) == 3


def test_anyone_can_check_a_signature(tmp_path):
    keys = Keys.open(tmp_path)
    public = load_pem_public_key((tmp_path / "public_key.pem").read_bytes())
    public.verify(bytes.fromhex(keys.sign(b"a delivery")), b"a delivery")
    with pytest.raises(InvalidSignature):
        public.verify(bytes.fromhex(keys.sign(b"a delivery")), b"another")


def test_each_consumer_has_a_key_of_its_own(tmp_path):
    keys = Keys.open(tmp_path)
    made = {keys.of_consumer(name) for name in ("tax", "health", "statistics")}
    assert len(made | {keys.protection, keys.ledger}) == 5
    assert keys.of_consumer("tax") in made


def test_another_kind_of_signing_key_is_refused(tmp_path):
    Keys.open(tmp_path)
    wrong = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "signing_key.pem").write_bytes(wrong)
    with pytest.raises(Permanent, match="Ed25519"):
        Keys.open(tmp_path)


def test_many_at_once_agree_on_one_secret(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda n: secret_file(tmp_path / "secret", lambda: str(n).encode()), range(64)))
    assert len(found) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["secret"]


def test_versions_of_the_protection_key(tmp_path):
    folder = tmp_path / "keys"
    first = Keys.open(folder)
    assert [each.version for each in key_versions(folder, PROTECTION)] == [first.protection_version] == [1]
    (folder / "protection_key.old").write_text("not one of ours")
    assert rotate(folder, PROTECTION).version == 2
    second = Keys.open(folder)
    assert second.protection_version == 2
    assert (second.ledger, second.sign(b"x")) == (first.ledger, first.sign(b"x"))
    assert second.of_consumer("tax") != first.of_consumer("tax")
    assert (folder / "protection_key.2").stat().st_mode & 0o777 == 0o600
    assert (folder / "protection_key").exists()  # what old pseudonyms were can still be told
    for _ in range(9):
        rotate(folder, PROTECTION)
    assert Keys.open(folder).protection_version == 11


def test_versions_of_the_ledger_key(tmp_path):
    folder = tmp_path / "keys"
    first = Keys.open(folder)
    assert (first.ledger_version, first.ledger_seals) == (1, {})
    assert [rotate(folder, LEDGER).version for _ in range(2)] == [2, 3]
    third = Keys.open(folder)
    assert (third.ledger_version, sorted(third.ledger_seals)) == (3, [2, 3])
    assert third.ledger == first.ledger  # what it hashed stays findable
    assert len({third.ledger, *third.ledger_seals.values(), third.protection}) == 4
    assert third.protection_version == 1
    assert repr(third) == "Keys()"
    assert (folder / "ledger_key.3").stat().st_mode & 0o777 == 0o600
