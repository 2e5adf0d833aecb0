"""Blinded digests: they add up for everybody, and tell nothing to whoever has no key."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.identity import RowsDigest
from crossdock.keys import Keys
from crossdock.ledger.blinding import blind
from unblinding import unblind

NAMES = ("accepted", "delivered", "unchanged", "filtered")
LANE = st.integers(0, (1 << 64) - 1)
DIGEST = st.builds(RowsDigest, st.integers(0, 10**9), LANE, LANE)
DELIVERY = st.text("0123456789abcdef", min_size=32, max_size=32)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return Keys.open(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return Keys.open(tmp_path_factory.mktemp("others"))


def told(delivered: RowsDigest, unchanged: RowsDigest, filtered: RowsDigest) -> dict[str, str]:
    whole = delivered + unchanged + filtered
    return dict(zip(NAMES, map(str, (whole, delivered, unchanged, filtered)), strict=True))


def lanes(digests: dict[str, str]) -> dict[str, str]:
    return {name: text.partition(":")[2] for name, text in digests.items()}


PARTS = st.builds(told, DIGEST, DIGEST, DIGEST)


@given(plain=PARTS, delivery=DELIVERY)
def test_blinded_digests_add_up_and_keep_their_counts(keys, plain, delivery):
    blinded = {name: RowsDigest.parse(text) for name, text in blind(plain, delivery, keys).items()}
    assert blinded["accepted"] == blinded["delivered"] + blinded["unchanged"] + blinded["filtered"]
    assert {name: each.rows for name, each in blinded.items()} == {
        name: RowsDigest.parse(text).rows for name, text in plain.items()
    }


@given(plain=PARTS, delivery=DELIVERY)
def test_what_does_not_add_up_does_not_when_it_is_blinded(keys, plain, delivery):
    wrong = plain | {"accepted": str(RowsDigest.parse(plain["accepted"]) + RowsDigest(0, 1, 0))}
    blinded = {name: RowsDigest.parse(text) for name, text in blind(wrong, delivery, keys).items()}
    assert blinded["accepted"] != blinded["delivered"] + blinded["unchanged"] + blinded["filtered"]


@given(plain=PARTS, delivery=DELIVERY)
def test_who_has_the_key_takes_it_off_again_and_nobody_else(keys, others, plain, delivery):
    blinded = blind(plain, delivery, keys)
    assert blind(plain, delivery, keys) == blinded
    assert unblind(blinded, delivery, keys) == plain
    stolen = replace(others, signing=keys.signing, protection=keys.protection, ledger_seals={2: keys.ledger})
    for wrong in (others, stolen):
        found = lanes(unblind(blinded, delivery, wrong))
        assert all(found[name] != lanes(plain)[name] for name in NAMES)


@given(plain=PARTS, deliveries=st.lists(DELIVERY, min_size=2, max_size=2, unique=True))
def test_each_part_of_each_delivery_has_a_pad_of_its_own(keys, plain, deliveries):
    pads = [
        str(RowsDigest.parse(text) - RowsDigest.parse(plain[name]))
        for delivery in deliveries
        for name, text in blind(plain, delivery, keys).items()
    ]
    assert len(set(pads)) == 2 * len(NAMES)


def test_an_empty_part_is_blinded_like_any_other(keys):
    nothing = told(RowsDigest(), RowsDigest(), RowsDigest())
    blinded = blind(nothing, "d", keys)
    assert len(set(blinded.values())) == len(NAMES)
    assert all(text.startswith("0:") and int(lanes(blinded)[name], 16) for name, text in blinded.items())


def test_a_later_version_of_the_key_changes_nothing(keys):
    plain = told(RowsDigest(1, 2, 3), RowsDigest(4, 5, 6), RowsDigest())
    assert blind(plain, "d", replace(keys, ledger_seals={2: bytes(32)})) == blind(plain, "d", keys)


def test_blinded_digests_of_one_and_the_same_are_spread_evenly(keys):
    """Bits of a fixed digest under many deliveries: each is set about half of the time."""
    plain, names = told(RowsDigest(1, 1, 1), RowsDigest(), RowsDigest()), random.Random(7)
    many = [blind(plain, f"{names.getrandbits(128):032x}", keys) for _ in range(2_000)]
    for name in NAMES:
        numbers = [int(lanes(each)[name], 16) for each in many]
        for bit in range(128):
            assert 850 < sum(number >> bit & 1 for number in numbers) < 1_150
