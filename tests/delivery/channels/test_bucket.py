"""The bucket channel: its objects, and how a server says no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossdock.delivery.channels.channel import arrived, deliver
from crossdock.delivery.manifest import verify_manifest
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from delivery.consumers import consumer
from delivery.samples import KEYS, person, shipment

PEOPLE = [person(n) for n in range(3)]


@pytest.fixture
def system(tmp_path, request):
    return consumer("bucket", tmp_path, request)


def test_objects_of_a_delivery(system, tmp_path):
    sent = shipment(tmp_path / "1", system.agreed(), PEOPLE)
    receipt = deliver(sent, system.connection)
    assert set(system.keys()) == {"population/d1/manifest.json", "population/d1/rows.parquet"}
    assert verify_manifest(system.get("population/d1/manifest.json"), KEYS.public())
    assert system.get("population/d1/rows.parquet") == sent.prepared.rows.read_bytes()
    assert receipt.location == f"s3://{system.connection.schema}/population/d1"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"password": "WRONGSECRET"}, ConsumerRefused),
        ({"schema": "no-such-bucket"}, ConsumerRefused),
        ({"schema": ""}, ConsumerRefused),
        ({"extra": {"endpoint_url": "ftp://x"}}, ConsumerRefused),
        ({"extra": {"endpoint_url": "http://127.0.0.1:1"}}, ConsumerUnavailable),
    ],
)
def test_a_bucket_that_cannot_be_used(system, tmp_path, change, error):
    broken = replace(system.connection, **change)
    with pytest.raises(error) as caught:
        deliver(shipment(tmp_path / "1", system.agreed(), PEOPLE), broken)
    assert "WRONGSECRET" not in str(caught.value)
    assert system.keys() == []


def test_asking_a_missing_bucket_is_no_answer(system):
    with pytest.raises(ConsumerRefused, match="NoSuchBucket"):
        arrived(system.agreed(), "d1", replace(system.connection, schema="no-such-bucket"))
