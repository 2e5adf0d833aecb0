"""The store on S3: conditional writes by obstore, streams by pyarrow, buckets by the MinIO SDK."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pyarrow.fs as pafs
from minio import Minio
from minio.error import S3Error
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import S3Store as ObjectStore

from crossdock.connections import Connection
from crossdock.errors import ObjectMissing, Permanent, Transient, WrongUse
from crossdock.identity import file_sha256
from crossdock.storage.keys import checked, conflict

_PART = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class S3Store:
    """Keeps each object under `prefix` of one bucket."""

    bucket: str
    prefix: str
    objects: ObjectStore
    files: pafs.S3FileSystem

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`."""
        try:
            obstore.put(self.objects, checked(key), data, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            if self.read(key) != data:
                raise conflict(key) from None
            return False
        except BaseError as error:
            raise self._unavailable(key, error) from error
        return True

    def put_file(self, key: str, path: Path) -> bool:
        """See `Store.put_file`: the key names the content, so a second writer of it changes nothing."""
        known = self._head(key)
        if known is not None:
            if known["size"] != path.stat().st_size or self._metadata_sha256(key) not in ("", file_sha256(path)):
                raise conflict(key)
            path.unlink()
            return False
        try:
            attributes: dict[str, Any] = {"crossdock-sha256": file_sha256(path)}
            obstore.put(self.objects, checked(key), path, attributes=attributes, chunk_size=_PART)
        except BaseError as error:
            raise self._unavailable(key, error) from error
        path.unlink()
        return True

    def read(self, key: str) -> bytes:
        """See `Store.read`."""
        found = self.read_versioned(key)
        if found is None:
            raise ObjectMissing("There is no such object.", where=self.url(key), fix="Restore it from a backup.")
        return found[0]

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """See `Store.read_versioned`."""
        try:
            found = obstore.get(self.objects, checked(key))
            return bytes(found.bytes()), str(found.meta["e_tag"])
        except (NotFoundError, FileNotFoundError):
            return None
        except BaseError as error:
            raise self._unavailable(key, error) from error

    def swap(self, key: str, data: bytes, *, expected: str | None) -> bool:
        """See `Store.swap`."""
        try:
            if expected is None:
                obstore.put(self.objects, checked(key), data, mode="create", use_multipart=False)
            else:
                obstore.put(self.objects, checked(key), data, mode={"e_tag": expected}, use_multipart=False)
        except (AlreadyExistsError, PreconditionError, NotFoundError, FileNotFoundError):
            return False
        except BaseError as error:
            raise self._unavailable(key, error) from error
        return True

    def exists(self, key: str) -> bool:
        """See `Store.exists`."""
        return self._head(key) is not None

    def list(self, prefix: str) -> Iterator[str]:
        """See `Store.list`."""
        folder = prefix.rpartition("/")[0]
        try:
            found = [item["path"] for page in obstore.list(self.objects, prefix=folder or None) for item in page]
        except BaseError as error:
            raise self._unavailable(prefix, error) from error
        yield from sorted(key for key in found if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        try:
            obstore.delete(self.objects, checked(key))
        except (NotFoundError, FileNotFoundError):
            return
        except BaseError as error:
            raise self._unavailable(key, error) from error

    def filesystem(self) -> tuple[pafs.FileSystem, str]:
        """See `Store.filesystem`."""
        return self.files, f"{self.bucket}/{self.prefix}".rstrip("/")

    def url(self, key: str) -> str:
        """See `Store.url`."""
        return "s3://" + "/".join(part for part in (self.bucket, self.prefix, checked(key)) if part)

    def _head(self, key: str) -> Any:
        try:
            return obstore.head(self.objects, checked(key))
        except (NotFoundError, FileNotFoundError):
            return None
        except BaseError as error:
            raise self._unavailable(key, error) from error

    def _metadata_sha256(self, key: str) -> str:
        attributes = obstore.get(self.objects, checked(key)).attributes
        return str(attributes.get("crossdock-sha256", ""))

    def _unavailable(self, key: str, error: BaseError) -> Transient:
        # The server's text may hold signed headers: name the kind of failure only.
        return Transient(
            f"The S3 store failed ({type(error).__name__}).", where=f"{self.bucket}/{key}", fix="Try again."
        )


def open_s3(bucket: str, prefix: str, connection: Connection) -> S3Store:
    """Opens a bucket (made when it does not exist) with an Airflow connection of type aws.

    The connection's login and password are the access and secret key; `endpoint_url` and `region_name` in its extra
    lead to another S3 server than Amazon's.
    """
    endpoint = str(connection.extra.get("endpoint_url") or "https://s3.amazonaws.com")
    region = str(connection.extra.get("region_name") or "us-east-1")
    scheme, _, host = endpoint.partition("://")
    if scheme not in ("http", "https") or not host:
        raise WrongUse(
            "`endpoint_url` must be an http(s) address.", where=f"connection {connection.id}", fix="Mend its extra."
        )
    _make_bucket(bucket, Minio(host, connection.login, connection.password, secure=scheme == "https", region=region))
    objects = ObjectStore(
        bucket,
        prefix=prefix or None,
        endpoint=endpoint,
        region=region,
        access_key_id=connection.login,
        secret_access_key=connection.password,
        virtual_hosted_style_request=False,
        client_options={"allow_http": scheme == "http"},
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
        if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise Permanent(
                f"The bucket can't be used ({error.code}).", where=bucket, fix="Check the connection's keys and policy."
            ) from None
