"""Where bytes live: the protocol every store keeps, and the references that tasks pass around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, Self

import pyarrow.fs as pafs


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A parquet object by key, row count and SHA-256: all that ever travels between tasks."""

    key: str
    rows: int
    sha256: str

    def to_dict(self) -> dict[str, str | int]:
        """Returns the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, str | int]) -> Self:
        """Reads the JSON form."""
        return cls(key=str(value["key"]), rows=int(value["rows"]), sha256=str(value["sha256"]))


class Store(Protocol):
    """Objects by key ("landing/transport/flights/<id>.parquet"); keys never start with "/" and never hold "..".

    Every write is all or nothing: a reader never sees a half-written object, and a killed writer leaves none.
    """

    def put_new(self, key: str, data: bytes) -> bool:
        """Creates a small object. True when this call created it, False when the same content was there already.

        Raises:
            StorageConflict: the key exists with other content.
        """
        ...

    def put_file(self, key: str, path: Path) -> bool:
        """Moves a local file (large content, usually parquet) to the key, which must name its content; as `put_new`."""
        ...

    def read(self, key: str) -> bytes:
        """Returns a small object's content.

        Raises:
            ObjectMissing: there is none.
        """
        ...

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """Returns content and version tag of a pointer, or None when it does not exist."""
        ...

    def swap(self, key: str, data: bytes, *, expected: str | None) -> bool:
        """Compare-and-swap of a small pointer: writes only if its version tag is `expected` (None = does not exist).

        False when another writer was first; the caller reads again and decides.
        """
        ...

    def exists(self, key: str) -> bool:
        """True when an object of that key exists."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yields the keys below a prefix, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Removes an object; nothing happens when there is none."""
        ...

    def filesystem(self) -> tuple[pafs.FileSystem, str]:
        """Returns a pyarrow filesystem and the root path in it: `f"{root}/{key}"` opens the object by pyarrow."""
        ...

    def url(self, key: str) -> str:
        """Returns where people find the object (a file path, or s3://bucket/key)."""
        ...
