"""Delivery to a consumer's web service, below `<address>/<path>/deliveries/<delivery id>`.

    POST .../<file name>/<number>   a piece of a file: whole lines of JSON, numbered from 0
    POST ...                        the signed manifest: from here on the delivery counts, or not at all
    GET  ...                        200 with the receipt, 404 when the service does not hold the delivery

Pieces of a file, one after the other, are the file of that name and SHA-256 in the manifest. Each is signed, with its
place: `Crossdock-Signature` is Ed25519, in hex, over `Idempotency-Key`, a line break and the body. A piece may come
again; the service answers 2xx for the one that it has. A receipt is `{"delivery", "digest", "delivered_at"}`, digest
being the SHA-256 of the manifest. The service answers 409 with `{"reason", "holds"}` and takes nothing when what it
holds is `newer`, is another delivery than the manifest's `base` (`base`), or has this id and other `content`.

A service that can't use some rows of a piece answers 422 with `{"rejected": [{"row": 3, "reason": "no_such_region"}]}`,
rows numbered from 0 in the piece, the reason one word without anybody's data. Then the delivery is made again without
these records, under another id, and the one that was begun never gets a manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from crossdock.connections import Connection
from crossdock.contracts.agreement import Agreement
from crossdock.delivery.channels.channel import REQUIRED, Receipt, Shipment, recognised
from crossdock.delivery.held import another_base, newer, relative_path
from crossdock.delivery.rejections import RecordsRejected
from crossdock.errors import ConsumerRefused
from crossdock.faults import reached
from crossdock.webhooks import ONCE, SIGNATURE, Answer, Message, Service, address_of, untaken

OPTIONS = {"path": REQUIRED}
_PIECE = 1024 * 1024  # bytes of one message, unless a single line is longer
_NAME = re.compile(r"[\w-]{1,64}")
_REASON = re.compile(r"[A-Za-z_]{1,64}")  # no digits: nobody's number gets into our records


def target(agreement: Agreement) -> PurePosixPath:
    """Returns the place below the service's address that the agreement names; see `channel.Channel`."""
    return relative_path(agreement.delivery.options.get("path"), f"agreement {agreement.id}")


def address(connection: Connection) -> str:
    """Returns the service's address; see `channel.Channel`."""
    return address_of(connection)


def deliver(shipment: Shipment, connection: Connection) -> Receipt:
    """Sends the files in pieces, then the manifest; see `channel.Channel`."""
    place = _place(shipment.agreement, shipment.delivery_id)
    with Service.open(connection) as service:
        known = recognised(shipment, _receipt(service, place))
        if known:
            return known
        rejected = list(_send_files(service, place, shipment))
        if rejected:
            raise RecordsRejected(rejected, where=service.where)
        json_type = {"Content-Type": "application/json", ONCE: shipment.delivery_id}
        answer = service.send(Message(body=shipment.manifest, headers=json_type), *place, told=(409,))
        reached("delivery.webhook.committed")
        if answer.status == 409:
            raise _conflict(answer, shipment, service.where)
        receipt = recognised(shipment, _receipt(service, place))
    if receipt is None:
        raise ConsumerRefused(
            "The web service took the delivery, and says that it does not hold it.",
            where=connection.id,
            fix="Ask the department to mend it: GET gives the receipt of what was taken.",
        )
    return receipt


def arrived(agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
    """Asks for the delivery's receipt; see `channel.Channel`."""
    with Service.open(connection) as service:
        return _receipt(service, _place(agreement, delivery_id))


def _place(agreement: Agreement, delivery_id: str) -> tuple[str, ...]:
    return (*target(agreement).parts, "deliveries", delivery_id)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as lines:
        piece = bytearray()
        for line in lines:
            if piece and len(piece) + len(line) > _PIECE:
                yield bytes(piece)
                piece.clear()
            piece += line
        if piece:
            yield bytes(piece)


def _send_files(service: Service, place: tuple[str, ...], shipment: Shipment) -> Iterator[tuple[int, str]]:
    """Sends all pieces, and yields the rows that are rejected, by their place among the delivery's rows."""
    for file in shipment.prepared.files:
        start = 0
        for number, piece in enumerate(_pieces(file.path)):
            answer = _send(service, (*place, file.name, str(number)), piece, shipment)
            lines = piece.count(b"\n")
            if answer.status == 422:
                rejected = _rejected(answer, lines) if file is shipment.prepared.files[0] else []
                if not rejected:
                    raise untaken(answer.status, service.where)
                yield from ((start + row, reason) for row, reason in rejected)
            start += lines
            reached("delivery.webhook.sent")


def _rejected(answer: Answer, lines: int) -> list[tuple[int, str]]:
    """Returns the rows of a piece that the service rejects, each once; none when it does not say so properly."""
    found: dict[int, str] = {}
    said = _document(answer).get("rejected")
    for each in said if isinstance(said, list) else []:
        row, reason = (each.get("row"), each.get("reason")) if isinstance(each, dict) else (None, None)
        if type(row) is not int or not 0 <= row < lines:
            return []
        found[row] = reason if isinstance(reason, str) and _REASON.fullmatch(reason) else "unspecified"
    return sorted(found.items())


def _send(service: Service, place: tuple[str, ...], piece: bytes, shipment: Shipment) -> Answer:
    once = "/".join(place[-3:])
    headers = {
        "Content-Type": "application/x-ndjson",
        ONCE: once,
        SIGNATURE: shipment.sign(once.encode() + b"\n" + piece),
    }
    return service.send(Message(body=piece, headers=headers), *place, told=(422,))


def _receipt(service: Service, place: tuple[str, ...]) -> Receipt | None:
    answer = service.send(Message(method="GET"), *place, told=(404,))
    if answer.status == 404:
        return None
    said = _document(answer)
    receipt = {name: said.get(name) for name in ("delivery", "digest", "delivered_at")}
    if receipt["delivery"] != place[-1] or not all(isinstance(value, str) for value in receipt.values()):
        raise ConsumerRefused(
            "The web service gives no proper receipt.",
            where=service.where,
            fix="It must be JSON: delivery, digest and delivered_at, as texts.",
        )
    return Receipt(
        delivery_id=place[-1],
        location="/".join((str(service.address).rstrip("/"), *place)),
        digest=str(receipt["digest"])[:64],
        delivered_at=str(receipt["delivered_at"])[:40],
    )


def _conflict(answer: Answer, shipment: Shipment, where: str) -> ConsumerRefused:
    """Says why the service does not take the delivery, in our own words."""
    said = _document(answer)
    holds = str(said.get("holds"))
    holds = holds if _NAME.fullmatch(holds) else "another"
    if said.get("reason") == "newer":
        return newer(holds, where)
    if said.get("reason") == "base":
        return another_base(shipment, holds, where)
    return ConsumerRefused(
        f"Delivery {shipment.delivery_id} is there already, with other content.",
        where=where,
        fix="A delivery's content never changes: compare both manifests.",
    )


def _document(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
