from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.demo import real
from crossdock.demo.identities import Pools, Settings

SETTINGS = Settings(rows=0, seed=0, as_of=date(2026, 1, 1), counties=list(real.counties()))


@given(st.integers(0, 9_950_000), st.integers(0, 10_000))
def test_nobody_shares_region_day_and_sequence(first, seed):
    pools = Pools.of(Settings(rows=0, seed=seed, as_of=SETTINGS.as_of, counties=SETTINGS.counties))
    near, far = np.arange(first, first + 20_000), np.arange(1_000_000_000 + first, 1_000_000_000 + first + 20_000)
    parts = pools.identities(np.concatenate([near, far]))
    assert len(set(zip(*(part.tolist() for part in parts), strict=True))) == 40_000


@pytest.mark.parametrize("pool", ["home", "away"])
def test_the_stride_visits_every_identity_of_the_real_counties(pool):
    from math import gcd

    from crossdock.demo import identities

    counties = len(getattr(Pools.of(SETTINGS), pool))
    size = counties * identities._BIRTH_DAYS * identities._SEQUENCES
    assert gcd(identities._STRIDE, size) == 1
    assert size > 1_010_000_000  # room for ten million people, and for representatives numbered from a billion


def test_most_people_were_registered_in_the_home_province():
    regions, births, sequences = Pools.of(SETTINGS).identities(np.arange(10_000))
    assert np.mean(regions // 10_000 == 52) == 0.85
    assert births.max() < np.datetime64("2026-01-01").astype(int)
    assert 1 <= sequences.min() <= sequences.max() <= 995
