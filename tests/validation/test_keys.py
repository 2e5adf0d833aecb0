"""Keys that may be repeated: every row of a repeated key is suspected, whatever is held in memory at once."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.validation import keys
from crossdock.validation.keys import Keys, key_hashes


def suspects(folder, batches):
    found = Keys(folder / "keys")
    for batch in batches:
        found.add(*batch)
    return found.suspects().tolist()


def repeated(values):
    return [place for place, value in enumerate(values) if value is not None and values.count(value) > 1]


@pytest.mark.parametrize("part", [4, 1 << 23])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.none() | st.integers(0, 20), max_size=8), max_size=5))
def test_exactly_the_repeated_keys_are_suspected(batches, part, tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "_PART", part)
    monkeypatch.setattr(keys, "_CHUNK", 5)
    hashed = [key_hashes([pa.array(batch, pa.int64())]) for batch in batches]
    assert suspects(tmp_path, hashed) == repeated([value for batch in batches for value in batch])


def test_rows_whose_hashes_only_look_alike_at_first_are_not_suspected(tmp_path):
    hashes = np.array([1 << 60, (1 << 60) + 1, 7, (1 << 60) + 1, 8], np.uint64)
    assert suspects(tmp_path, [(hashes, None)]) == [1, 3]


def test_a_key_lacks_a_value_where_one_of_its_columns_does():
    _, missing = key_hashes([pa.array([1.0, float("nan"), None, 2.0]), pa.array(["a", "b", "c", None])])
    assert missing.tolist() == [False, True, True, True]


def test_both_zeros_are_one_key():
    hashes, missing = key_hashes([pa.array([0.0, -0.0, 1.0])])
    assert hashes[0] == hashes[1] != hashes[2]
    assert missing is None
