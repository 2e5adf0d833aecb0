"""Manifests: what they tell, that they repeat byte for byte, and that no byte can change."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.contracts.agreement import Protection
from crossdock.delivery.manifest import verify_manifest
from crossdock.identity import canonical, file_sha256
from delivery.samples import KEYS, SCHEMA, agreement, person, shipment

AGREED = agreement(
    "resident_id",
    "name",
    protect={"resident_id": Protection(kind="pseudonymise")},
    unprotected={"name": "Article 9"},
    rows="children < 2",
)
PEOPLE = [person(n) for n in range(8)]
PUBLIC = KEYS.public()


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    return shipment(tmp_path_factory.mktemp("sealed"), AGREED, PEOPLE)


def test_tells_what_is_delivered_and_why(sealed):
    body = json.loads(sealed.manifest)
    (rows,) = body["files"]
    assert rows == {
        "name": "rows.parquet",
        "rows": 4,
        "sha256": file_sha256(sealed.prepared.rows),
        "bytes": sealed.prepared.rows.stat().st_size,
    }
    assert body["delivery"] == "d1"
    assert body["purpose"] == AGREED.purpose
    assert body["legal_basis"] == AGREED.legal_basis
    assert (body["data_life"], body["delete_after"]) == ("P1Y", later_by_a_year(body["intended_at"]))
    assert body["counts"]["filtered"] == 4
    assert body["pseudonym_key"] == 1
    assert body["schema"] == [
        {"name": "resident_id", "type": "string", "label": "", "protection": "pseudonymise", "legal_basis": None},
        {"name": "name", "type": "string", "label": "", "protection": None, "legal_basis": "Article 9"},
    ]


def later_by_a_year(instant):
    return f"{int(instant[:4]) + 1}{instant[4:]}"


def test_repeats_byte_for_byte(sealed, tmp_path):
    assert shipment(tmp_path, AGREED, PEOPLE).manifest == sealed.manifest


def test_is_signed(sealed):
    assert verify_manifest(sealed.manifest, PUBLIC)
    assert not verify_manifest(sealed.manifest, Ed25519PrivateKey.generate().public_key())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_byte_can_change(sealed, data):
    at = data.draw(st.integers(0, len(sealed.manifest) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda b: b != sealed.manifest[at]))
    changed = sealed.manifest[:at] + bytes([other]) + sealed.manifest[at + 1 :]
    assert not verify_manifest(changed, PUBLIC)


@pytest.mark.parametrize(
    "other",
    [
        lambda *_: b"",
        lambda *_: b"[]",
        lambda *_: b"null",
        lambda *_: b'{"signature":1}',
        lambda *_: b"[" * 100_000,
        lambda _, raw: raw + b"\n",
        lambda _, raw: b'{"purpose":"x",' + raw[1:],
        lambda body, _: canonical({k: v for k, v in body.items() if k != "signature"}),
        lambda body, _: canonical({**body, "extra": 1}),
        lambda body, _: json.dumps(body).encode(),
    ],
)
def test_other_spellings_are_not_ours(sealed, other):
    assert not verify_manifest(other(json.loads(sealed.manifest), sealed.manifest), PUBLIC)


@settings(max_examples=20, deadline=None)
@given(columns=st.lists(st.sampled_from(SCHEMA.names), unique=True, min_size=1))
def test_lists_exactly_the_agreed_columns(tmp_path_factory, columns):
    sealed = shipment(tmp_path_factory.mktemp("m"), agreement(*columns), PEOPLE[:2])
    assert [c["name"] for c in json.loads(sealed.manifest)["schema"]] == columns
    assert verify_manifest(sealed.manifest, PUBLIC)
