"""The store on S3: conditional writes by obstore, streams by pyarrow, buckets by the MinIO SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
import pyarrow.fs as pafs
from minio import Minio
from minio.error import MinioException, S3Error
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store as ObjectStore
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from crossdock.connections import Connection
from crossdock.errors import CrossdockError, ObjectMissing, Permanent, Transient, WrongUse
from crossdock.identity import file_sha256
from crossdock.storage.keys import checked, checked_prefix, conflict

_PART = 8 * 1024 * 1024
_SHA256 = "crossdock-sha256"  # user metadata of an object that was put from a file
_PATIENCE = 60  # seconds until a server that does not answer is given up
_MISSING = (NotFoundError, FileNotFoundError)
_TAKEN = (AlreadyExistsError, PreconditionError)
_BUSY = {"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"}


@dataclass(frozen=True, slots=True)
class S3Store:
    """Keeps each object under `prefix` of one bucket; `open_s3` makes it."""

    bucket: str
    prefix: str
    objects: ObjectStore
    files: pafs.S3FileSystem

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`."""
        with self._answering(key):
            try:
                obstore.put(self.objects, checked(key), data, mode="create", use_multipart=False)
            except _TAKEN:
                if self.read(key) != data:
                    raise conflict(key) from None
                return False
        return True

    def put_file(self, key: str, path: Path) -> bool:
        """See `Store.put_file`: the key names the content, so two writers at once write the same."""
        size, sha256 = path.stat().st_size, file_sha256(path)
        known = self._head(key)
        if known is not None:
            if known != (size, sha256):
                raise conflict(key)
        else:
            with self._answering(key):
                obstore.put(self.objects, checked(key), path, attributes={_SHA256: sha256}, chunk_size=_PART)
        path.unlink()
        return known is None

    def read(self, key: str) -> bytes:
        """See `Store.read`."""
        found = self.read_versioned(key)
        if found is None:
            raise ObjectMissing("There is no such object.", where=self.url(key), fix="Restore it from a backup.")
        return found[0]

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """See `Store.read_versioned`."""
        with self._answering(key):
            try:
                found = obstore.get(self.objects, checked(key))
                return bytes(found.bytes()), str(found.meta["e_tag"])
            except _MISSING:
                return None

    def swap(self, key: str, data: bytes, *, expected: str | None) -> bool:
        """See `Store.swap`."""
        with self._answering(key):
            try:
                if expected is None:
                    obstore.put(self.objects, checked(key), data, mode="create", use_multipart=False)
                else:
                    obstore.put(self.objects, checked(key), data, mode={"e_tag": expected}, use_multipart=False)
            except (*_TAKEN, *_MISSING):
                return False
        return True

    def exists(self, key: str) -> bool:
        """See `Store.exists`."""
        return self._head(key) is not None

    def list(self, prefix: str) -> Iterator[str]:
        """See `Store.list`."""
        folder = checked_prefix(prefix)
        with self._answering(prefix):
            found = [item["path"] for page in obstore.list(self.objects, prefix=folder or None) for item in page]
        yield from sorted(key for key in found if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with self._answering(key):
            try:
                obstore.delete(self.objects, checked(key))
            except _MISSING:
                return

    def filesystem(self) -> tuple[pafs.FileSystem, str]:
        """See `Store.filesystem`."""
        return self.files, f"{self.bucket}/{self.prefix}".rstrip("/")

    def url(self, key: str) -> str:
        """See `Store.url`."""
        return "s3://" + "/".join(part for part in (self.bucket, self.prefix, checked(key)) if part)

    def _head(self, key: str) -> tuple[int, str] | None:
        """Returns an object's size and the SHA-256 it was put with ("" if by `put_new`), or None."""
        with self._answering(key):
            try:
                found = obstore.get(self.objects, checked(key), options={"head": True})
            except _MISSING:
                return None
            return int(found.meta["size"]), str(found.attributes.get(_SHA256, ""))

    @contextmanager
    def _answering(self, key: str) -> Iterator[None]:
        """Turns the server's failures into ours, naming their kind only: their text may hold signed headers."""
        try:
            yield
        except BaseError as error:
            where = "/".join(part for part in (self.bucket, self.prefix, key) if part)
            denied = isinstance(error, PermissionDeniedError | UnauthenticatedError) or "403 Forbidden" in str(error)
            if denied:
                raise _denied("AccessDenied", where) from None
            raise _busy(type(error).__name__, where) from None


def open_s3(bucket: str, prefix: str, connection: Connection) -> S3Store:
    """Opens a bucket (made when it does not exist) with an Airflow connection of type aws.

    The connection's login and password are the access and secret key; `endpoint_url` and `region_name` in its extra
    lead to another S3 server than Amazon's.

    Raises:
        WrongUse: the connection has no keys, or its `endpoint_url` is no address.
        Permanent: the keys are wrong, or don't allow to use the bucket.
        Transient: the server did not answer.
    """
    where = f"connection {connection.id}"
    endpoint = str(connection.extra.get("endpoint_url") or "https://s3.amazonaws.com").rstrip("/")
    region = str(connection.extra.get("region_name") or "us-east-1")
    scheme, _, host = endpoint.partition("://")
    if scheme not in ("http", "https") or not host or "/" in host:
        raise WrongUse("`endpoint_url` must be an http(s) address.", where=where, fix="Mend its extra.")
    if not connection.login or not connection.password:
        raise WrongUse("It holds no keys.", where=where, fix="Set the access key as login, the secret as password.")
    # The SDK's own patience is half an hour for a server that does not answer.
    patient = PoolManager(timeout=Timeout(connect=5, read=_PATIENCE / 3), retries=Retry(2, backoff_factor=0.2))
    client = Minio(
        host, connection.login, connection.password, secure=scheme == "https", region=region, http_client=patient
    )
    _make_bucket(bucket, client)
    objects = ObjectStore(
        bucket,
        prefix=prefix or None,
        endpoint=endpoint,
        region=region,
        access_key_id=connection.login,
        secret_access_key=connection.password,
        virtual_hosted_style_request=False,
        client_options={"allow_http": scheme == "http"},
        retry_config={"retry_timeout": timedelta(seconds=_PATIENCE)},
    )
    files = pafs.S3FileSystem(
        access_key=connection.login,
        secret_key=connection.password,
        endpoint_override=host,
        scheme=scheme,
        region=region,
    )
    return S3Store(bucket, prefix, objects, files)


def _make_bucket(bucket: str, client: Minio) -> None:
    try:
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
    except S3Error as error:
        code = error.code or "no reason"
        if code in _BUSY:
            raise _busy(code, bucket) from None
        if code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise _denied(code, bucket) from None
    except (MinioException, HTTPError) as error:
        raise _busy(type(error).__name__, bucket) from None
    except ValueError:  # what the SDK calls a name that no bucket can have
        raise WrongUse(
            "No bucket can have this name.", where=bucket, fix="Use 3-63 of a-z, 0-9, '-' and '.'."
        ) from None


def _denied(code: str, where: str) -> CrossdockError:
    return Permanent(f"The S3 store refused ({code}).", where=where, fix="Check the connection's keys and policy.")


def _busy(code: str, where: str) -> CrossdockError:
    return Transient(f"The S3 store failed ({code}).", where=where, fix="Try again.")
