"""The webhook channel: what is sent, how patiently, and what is made of the service's answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tenacity

from crossdock.delivery.arrival import examine
from crossdock.delivery.channels import webhook
from crossdock.delivery.channels.channel import arrived, deliver
from crossdock.delivery.rejections import RecordsRejected
from crossdock.errors import ConsumerRefused, ConsumerUnavailable, WrongUse
from delivery.consumers import consumer
from delivery.samples import KEYS, agreement, person, shipment
from hooks import own_certificate
from receiving import _Refused, receiving

PEOPLE = [person(n) for n in range(50)]
AGREED = agreement("resident_id", "name", channel="webhook", options={"path": "population"})


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Waits are asked for and not waited."""
    waited = []
    monkeypatch.setattr(tenacity.nap.time, "sleep", waited.append)
    return waited


@pytest.fixture
def service(receiver, tmp_path):
    (tmp_path / "service").mkdir()
    return receiver(tmp_path / "service")


@pytest.fixture
def sent(tmp_path):
    return shipment(tmp_path / "made", AGREED, PEOPLE)


def arrived_at(service):
    return service.folder / "population" / "d1"


def test_pieces_make_the_signed_files_again(service, sent, tmp_path, monkeypatch):
    monkeypatch.setattr(webhook, "_PIECE", 300)
    receipt = deliver(sent, service.connection())
    pieces = [path for method, path in service.asked if "/rows.jsonl/" in path]
    assert len(pieces) > 5
    assert (arrived_at(service) / "rows.jsonl").read_bytes() == sent.prepared.files[0].path.read_bytes()
    keys = tmp_path / "keys"
    keys.mkdir()
    from delivery.test_arrival import key_file

    assert examine(arrived_at(service), key_file(keys, KEYS.public())).faults == ()
    assert receipt.digest == sent.digest
    assert receipt.location.endswith("/population/deliveries/d1")


def test_a_line_longer_than_a_piece_goes_whole(service, tmp_path, monkeypatch):
    monkeypatch.setattr(webhook, "_PIECE", 10)
    deliver(shipment(tmp_path / "made", AGREED, PEOPLE[:3]), service.connection())
    lines = (arrived_at(service) / "rows.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == [p["name"] for p in PEOPLE[:3]]


def test_a_busy_service_is_waited_for(service, sent, hurried):
    service.answers += [(503, {}), (429, {"Retry-After": "7"}), (0, {})]
    deliver(sent, service.connection())
    assert hurried[1] == 7
    assert arrived_at(service).exists()


def test_a_service_that_names_an_hour_is_tried_by_the_next_run(service, sent):
    service.answers.append((429, {"Retry-After": "Fri, 31 Dec 2099 23:59:59 GMT"}))
    with pytest.raises(ConsumerUnavailable, match="429"):
        deliver(sent, service.connection())
    assert len(service.asked) == 1


def test_a_line_that_breaks_is_tried_again(service, sent):
    service.hang_up = 2
    deliver(sent, service.connection())
    assert arrived_at(service).exists()
    service.hang_up = 99
    with pytest.raises(ConsumerUnavailable):
        arrived(AGREED, "d1", service.connection())


@pytest.mark.parametrize("status", [400, 401, 403, 301, 422])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_no_is_final_and_is_not_repeated(service, sent, status, place):
    service.answers += [(0, {})] * place + [(status, {"Location": "http://127.0.0.1:1/"})]
    with pytest.raises(ConsumerRefused, match=str(status)) as caught:
        deliver(sent, service.connection())
    assert "SECRET" not in str(caught.value)
    assert len(service.asked) == place + 1
    assert not arrived_at(service).exists()


def test_rows_that_the_service_rejects_are_named_by_their_place(service, sent, monkeypatch):
    monkeypatch.setattr(webhook, "_PIECE", 300)
    unusable = {PEOPLE[n]["resident_id"]: f"reason_{word}" for n, word in ((0, "a"), (17, "b"), (49, "c"))}
    service.unusable = lambda row: unusable.get(row["resident_id"], "")
    with pytest.raises(RecordsRejected) as caught:
        deliver(sent, service.connection())
    assert caught.value.records == ((0, "reason_a"), (17, "reason_b"), (49, "reason_c"))
    assert not arrived_at(service).exists()


def test_reasons_are_words_and_nobodys_data(service, sent):
    service.unusable = lambda row: f"no such person: {row['name']}" if row["resident_id"].endswith("7") else ""
    with pytest.raises(RecordsRejected) as caught:
        deliver(sent, service.connection())
    assert {reason for _, reason in caught.value.records} == {"unspecified"}


@pytest.mark.parametrize("rows", [[50], [-1], ["0"], [True], [None], []])
def test_rows_that_are_none_are_no_rejection(service, sent, rows, monkeypatch):
    said = [{"row": row, "reason": "x"} for row in rows]
    monkeypatch.setattr(type(service), "take", lambda *_: refuse(said))
    with pytest.raises(ConsumerRefused, match="422") as caught:
        deliver(sent, service.connection())
    assert not isinstance(caught.value, RecordsRejected)


def refuse(rejected):
    raise _Refused(422, rejected=rejected)


def test_without_its_token_nothing_is_taken(service, sent):
    with pytest.raises(ConsumerRefused, match="401"):
        deliver(sent, service.connection(password="another"))
    assert not arrived_at(service).exists()


def test_a_service_that_restarts_in_between_gets_the_rest(sent, tmp_path, monkeypatch):
    monkeypatch.setattr(webhook, "_PIECE", 300)
    folder = tmp_path / "service"
    folder.mkdir()
    with receiving(folder, KEYS.public()) as service:
        port = int(service.url.rpartition(":")[2])
        service.answers += [(0, {})] * 3 + [(500, {})] * 5
        with pytest.raises(ConsumerUnavailable):
            deliver(sent, service.connection())
    with pytest.raises(ConsumerUnavailable, match="ConnectError"):
        deliver(sent, service.connection())
    with receiving(folder, KEYS.public(), port=port) as service:
        deliver(sent, service.connection())
    assert (folder / "population" / "d1" / "manifest.json").exists()


def test_what_another_signs_is_not_taken(service, sent):
    forged = replace(sent, sign=lambda _: "00" * 64)
    with pytest.raises(ConsumerRefused, match="400"):
        deliver(forged, service.connection())


def test_a_conflict_is_told_in_our_words(service, sent):
    service.answers += [(0, {})] * 2 + [(409, {})]
    with pytest.raises(ConsumerRefused, match="other content") as caught:
        deliver(sent, service.connection())
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("said", ["{}", "[]", "no JSON", '{"delivery": "d2", "digest": "x", "delivered_at": "y"}', ""])
def test_no_proper_receipt_is_none(service, sent, said, monkeypatch):
    monkeypatch.setattr(type(service), "receipt", lambda *_: said)
    with pytest.raises(ConsumerRefused, match="no proper receipt"):
        deliver(sent, service.connection())


def test_rows_go_encrypted_and_to_whom_the_machine_trusts(receiver, sent, tmp_path, monkeypatch):
    made = own_certificate(tmp_path)
    (tmp_path / "service").mkdir()
    service = receiver(tmp_path / "service", certificate=made)
    with pytest.raises(ConsumerUnavailable):
        deliver(sent, service.connection())
    monkeypatch.setenv("SSL_CERT_FILE", str(made[0]))
    deliver(sent, service.connection())
    with pytest.raises(WrongUse, match="no address"):
        deliver(sent, service.connection(host="http://example.org"))


@pytest.mark.parametrize("path", ["", "/abs", "../out", "a/../b", "a\nb"])
def test_improper_paths_are_refused(service, tmp_path, path):
    agreed = replace(AGREED, delivery=replace(AGREED.delivery, options={"path": path}))
    with pytest.raises(ConsumerRefused, match="path"):
        deliver(shipment(tmp_path / "made", agreed, PEOPLE), service.connection())
    assert service.asked == []


def test_names_of_all_scripts_make_proper_addresses(service, tmp_path):
    agreed = replace(AGREED, delivery=replace(AGREED.delivery, options={"path": "人口 登记/a?b#c"}))
    deliver(shipment(tmp_path / "made", agreed, PEOPLE), service.connection())
    assert all("?" not in path and path.isascii() for _, path in service.asked)


def test_a_consumer_of_the_conformance_suite_is_a_service(tmp_path, request):
    assert consumer("webhook", tmp_path, request).channel == "webhook"
    assert Path(tmp_path / "consumer").exists()
