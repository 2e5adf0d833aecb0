from __future__ import annotations

import json
from dataclasses import replace

import pyarrow.parquet as pq

from crossdock.publishing.catalogue import KEY, index, rebuild


def datasets(press):
    return json.loads(press.store.read(KEY))["datasets"]


def other_dataset(press):
    release = press.prepare()
    contract = replace(release.contract, id="transport/airlines", dataset="airlines")
    publication = replace(release.publication, id="transport/airlines/public", dataset="transport/airlines")
    return press.release(contract=contract, publication=publication)


def test_each_open_dataset_is_listed_once_with_paths_that_lead_to_its_files(press):
    press.release()
    other_dataset(press)
    version = press.release({"carrier": ["DL"], "distance": [9], "day": [1]}, seq=2)
    airlines, flights = datasets(press)
    assert (airlines["dataset"], flights["dataset"]) == ("transport/airlines", "transport/flights")
    assert flights["version"] == version.id
    assert flights["title"] == "航班 Flights"
    assert flights["columns"] == ["carrier", "distance", "day"]
    for name in ("data", "dictionary", "readme"):
        assert press.store.exists(f"open/{flights[name]}")
    assert pq.read_metadata(press.store.url(f"open/{flights['data']}")).num_rows == flights["rows"] == 1


def test_a_lost_index_is_rebuilt_alike(press):
    press.release()
    other_dataset(press)
    before = press.store.read(KEY)
    press.store.delete(KEY)
    assert rebuild(press.store) == 2
    assert press.store.read(KEY) == before
    assert rebuild(press.store) == 2


def test_an_index_of_nothing_is_empty(press):
    index(press.store, "transport/flights")
    assert not press.store.exists(KEY)
    assert rebuild(press.store) == 0
    assert datasets(press) == []
