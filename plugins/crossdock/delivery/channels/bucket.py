"""Delivery into a consumer's S3 bucket: `<path>/<delivery id>/` with data files, and `manifest.json` last.

A delivery counts once its manifest is there; the manifest is created only where there is none. The connection is of
Airflow's type aws; its schema (or `bucket` in its extra) names the bucket, which the consumer makes, not we.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import PurePosixPath

import obstore
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store as ObjectStore
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from crossdock.connections import Connection
from crossdock.contracts.agreement import Agreement
from crossdock.delivery.channels.channel import OPTIONAL, REQUIRED, Receipt, Shipment, recognised
from crossdock.delivery.held import admit, read_held, relative_path
from crossdock.delivery.manifest import NAME
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from crossdock.faults import reached
from crossdock.identity import instant

_TRANSIENT = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted"})
_SILENCE = 60  # seconds until a server that says nothing is asked again
_AGAIN = 2  # times, before it is given up
_SMALL = 16 * 1024 * 1024  # no manifest is larger


OPTIONS = {"path": REQUIRED, "format": OPTIONAL}


def target(agreement: Agreement) -> PurePosixPath:
    """Returns the prefix in the consumer's bucket that the agreement names; see `channel.Channel`."""
    return relative_path(agreement.delivery.options.get("path"), f"agreement {agreement.id}")


def address(connection: Connection) -> str:
    """Returns server and bucket; see `channel.Channel`."""
    endpoint, bucket = _named(connection)
    scheme, _, host = endpoint.partition("://")
    return f"{scheme}://{host.rpartition('@')[2]}, bucket {bucket}"


def deliver(shipment: Shipment, connection: Connection) -> Receipt:
    """Uploads files, then the manifest; see `channel.Channel`."""
    with _translated(connection):
        place = _place(shipment.agreement, connection)
        known = _known(place, shipment)
        if known:
            return known
        admit(shipment, read_held(place.manifests()), place.location())
        for file in shipment.prepared.files:
            # A repeated delivery puts the same bytes here again.
            place.client.fput_object(place.bucket, place.key(shipment.delivery_id, file.name), str(file.path))
            reached("delivery.bucket.uploaded")
        place.create(place.key(shipment.delivery_id, NAME), shipment.manifest)
        reached("delivery.bucket.manifested")
        known = _known(place, shipment)
    if known is None:
        raise ConsumerUnavailable(
            "The manifest is not there after writing it.", where=place.location(), fix="Try again."
        )
    return known


def arrived(agreement: Agreement, delivery_id: str, connection: Connection) -> Receipt | None:
    """Looks for the delivery's manifest; see `channel.Channel`."""
    with _translated(connection):
        return _receipt(_place(agreement, connection), delivery_id)


def clear(agreement: Agreement, delivery_id: str, connection: Connection) -> None:
    """Removes files that no manifest names; see `channel.clear`."""
    with _translated(connection):
        place = _place(agreement, connection)
        if _receipt(place, delivery_id) is None:
            for left in place.client.list_objects(place.bucket, prefix=place.key(delivery_id, "")):
                place.client.remove_object(place.bucket, str(left.object_name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where an agreement's deliveries go."""

    client: Minio
    objects: ObjectStore  # for the one thing the MinIO SDK cannot do: create an object only where there is none
    bucket: str
    path: str

    def key(self, *parts: str) -> str:
        return "/".join((self.path, *parts))

    def location(self, delivery_id: str = "") -> str:
        return f"s3://{self.bucket}/{self.key(delivery_id)}"

    def read(self, key: str) -> bytes | None:
        try:
            response = self.client.get_object(self.bucket, key, length=_SMALL)
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            raise
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    def manifests(self) -> Iterator[bytes]:
        for folder in self.client.list_objects(self.bucket, prefix=f"{self.path}/"):
            if folder.is_dir and folder.object_name:
                found = self.read(folder.object_name + NAME)
                if found is not None:
                    yield found

    def create(self, key: str, data: bytes) -> None:
        try:
            obstore.put(self.objects, key, data, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return  # Another process was first: what is there is compared next.


def _place(agreement: Agreement, connection: Connection) -> _Place:
    where = f"connection {connection.id}, agreement {agreement.id}"
    endpoint, bucket = _named(connection)
    region = str(connection.extra.get("region_name") or "us-east-1")
    scheme, _, host = endpoint.partition("://")
    if not bucket or scheme not in ("http", "https") or not host:
        raise ConsumerRefused(
            "The connection names no bucket, or its `endpoint_url` is no http(s) address.",
            where=where,
            fix="Mend the connection.",
        )
    http = PoolManager(timeout=_SILENCE, retries=Retry(_AGAIN, backoff_factor=0.2))
    return _Place(
        client=Minio(
            host, connection.login, connection.password, secure=scheme == "https", region=region, http_client=http
        ),
        objects=ObjectStore(
            bucket,
            endpoint=endpoint,
            region=region,
            access_key_id=connection.login,
            secret_access_key=connection.password,
            virtual_hosted_style_request=False,
            client_options={"allow_http": scheme == "http", "timeout": timedelta(seconds=_SILENCE)},
            retry_config={"max_retries": _AGAIN},
        ),
        bucket=bucket,
        path=str(target(agreement)),
    )


def _named(connection: Connection) -> tuple[str, str]:
    endpoint = str(connection.extra.get("endpoint_url") or "https://s3.amazonaws.com")
    return endpoint, str(connection.extra.get("bucket") or connection.schema)


def _receipt(place: _Place, delivery_id: str) -> Receipt | None:
    key = place.key(delivery_id, NAME)
    data = place.read(key)
    if data is None:
        return None
    modified = place.client.stat_object(place.bucket, key).last_modified
    return Receipt(
        delivery_id=delivery_id,
        location=place.location(delivery_id),
        digest=sha256(data).hexdigest(),
        delivered_at=instant(modified) if modified else "",
    )


def _known(place: _Place, shipment: Shipment) -> Receipt | None:
    return recognised(shipment, _receipt(place, shipment.delivery_id))


@contextmanager
def _translated(connection: Connection) -> Iterator[None]:
    """Names the kind of failure only: a server's text may hold signed headers."""
    try:
        yield
    except S3Error as error:
        raise _failed(connection, str(error.code), transient=error.code in _TRANSIENT) from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise _failed(connection, type(error).__name__, transient=False) from None
    except (BaseError, ServerError, InvalidResponseError, HTTPError) as error:
        raise _failed(connection, type(error).__name__, transient=True) from None


def _failed(connection: Connection, kind: str, *, transient: bool) -> ConsumerUnavailable | ConsumerRefused:
    where = f"connection {connection.id}"
    if transient:
        return ConsumerUnavailable(f"The S3 server failed ({kind}).", where=where, fix="Try again later.")
    return ConsumerRefused(f"The S3 server refused ({kind}).", where=where, fix="Check bucket, keys and policy.")
