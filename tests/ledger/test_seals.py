"""Later versions of the ledger key: sealed hashes are others, come back whole, and mean nothing without their key."""

from __future__ import annotations

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.keys import LEDGER, Keys, rotate
from crossdock.ledger.event_files import read_events
from crossdock.ledger.events import HASH, EventWriter
from crossdock.ledger.seals import Sealing, seal, under_every_version, unseal, unseal_each, versions_of
from crossdock.storage.local import LocalStore

HASHES = st.lists(st.one_of(st.none(), st.binary(min_size=16, max_size=16)), max_size=40)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    Keys.open(folder)
    for _ in range(2):
        rotate(folder, LEDGER)
    return Keys.open(folder)


@given(hashes=HASHES, version=st.integers(1, 3), start=st.integers(0, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_sealed_comes_back(keys, hashes, version, start):
    array = pa.array(hashes, HASH).slice(start)
    sealed = seal(array, keys, version)
    assert sealed.type == HASH
    assert sealed.is_null().equals(array.is_null())
    assert unseal(sealed, keys, version).equals(array)
    chunked = pa.chunked_array([sealed, sealed], HASH)
    assert unseal(chunked, keys, version).to_pylist() == [*array.to_pylist(), *array.to_pylist()]


@given(hashes=st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.integers(1, 3)), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_comes_back_by_its_version(keys, hashes):
    sealed = [seal(pa.array([each], HASH), keys, version)[0].as_py() for each, version in hashes]
    versions = versions_of([version for _, version in hashes])
    if versions is not None:
        plain = unseal_each(pa.array(sealed, HASH), keys, versions)
        assert plain.to_pylist() == [each for each, _ in hashes]


def test_a_seal_is_one_block_of_aes(keys):
    block = bytes(range(16))
    (sealed,) = seal(pa.array([block], HASH), keys, 2).to_pylist()
    assert sealed == Cipher(AES(keys.ledger_seals[2]), ECB()).encryptor().update(block)
    assert under_every_version(pa.array([block], HASH), keys).to_pylist()[:2] == [block, sealed]
    assert len(set(under_every_version(pa.array([block], HASH), keys).to_pylist())) == 3


def test_events_are_written_sealed(keys, tmp_path):
    record, subject = (pa.array([bytes([n, place]) * 8 for n in range(9)], HASH) for place in (1, 2))
    (tmp_path / "store").mkdir()
    store = LocalStore(tmp_path / "store")
    with EventWriter(tmp_path / "events.parquet") as writer:
        Sealing(writer, 3, keys).add(record, subject, "insert")
        Sealing(writer, 3, keys).add(record, None, "update")
    store.put_file("events", tmp_path / "events.parquet")
    found = pa.Table.from_batches(read_events(store, "events"))
    subjects = set(unseal(found["subject"], keys, 3).to_pylist())
    assert subjects == {*subject.to_pylist(), *record.to_pylist()}
    assert set(unseal(found["record"], keys, 3).drop_null().to_pylist()) == set(record.to_pylist())
    assert not subjects & set(found["subject"].to_pylist())
