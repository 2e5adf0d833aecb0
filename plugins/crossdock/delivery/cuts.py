"""What a filter lets through of a snapshot, made once for all consumers who get the same columns of it.

On the shelf are, under the cut's name, the digests of its rows, and each column that leaves in a form which is no
consumer's own, encoded. The digests tell which rows they are of, so whoever takes them from the shelf delivers the rows
that were accepted, or the delivery does not add up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as pafs

from crossdock.contracts.agreement import Protection
from crossdock.contracts.model import Contract
from crossdock.delivery.terms import Terms
from crossdock.errors import LedgerBroken
from crossdock.identity import RowsDigest, canonical, content_id, has_sha256
from crossdock.ordered import in_order
from crossdock.storage.shelf import Shelf

_FORM = 3  # of what is on the shelf
_OWN = ("pseudonymise", "dummy")  # protections with a key of the consumer's own
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A snapshot and a filter, by the name under which the shelf knows what was made of them."""

    shelf: Shelf
    snapshot: str  # the SHA-256 of its file
    accepted: RowsDigest  # of its rows
    name: str

    @classmethod
    def of(  # noqa: PLR0913 - all that the rows depend on
        cls, shelf: Shelf, contract: Contract, rows: str, day: date | None, *, sha256: str, accepted: RowsDigest
    ) -> Self:
        """Names a cut by all that its rows depend on.

        Args:
            shelf: where it is kept.
            contract: of the dataset.
            rows: the row filter.
            day: to which it is bound, if it asks for one.
            sha256: of the snapshot's file.
            accepted: the digest of the snapshot's rows.
        """
        name = content_id("cut", _FORM, sha256, str(accepted), contract.digest, rows, day)
        return cls(shelf=shelf, snapshot=sha256, accepted=accepted, name=name)

    def events(self, terms: Terms) -> str:
        """Returns the name of its share events, one insert per record."""
        key = hashlib.blake2b(key=terms.ledger_key, digest_size=16).hexdigest()
        names = (terms.record_columns, terms.record_domain, terms.subject_column, terms.subject_domain)
        return content_id("events", self.name, key, names)

    def digests(self, scratch: Path) -> tuple[RowsDigest, RowsDigest] | None:
        """Returns the digests of the rows that go and of those that don't, if they are known."""
        path = scratch / "digests.json"
        if not self.shelf.take(self.name, path):
            return None
        goes, stays = json.loads(path.read_bytes())
        return RowsDigest.parse(goes), RowsDigest.parse(stays)

    def keep_digests(self, goes: RowsDigest, stays: RowsDigest, scratch: Path) -> None:
        """Keeps what `digests` returns."""
        path = scratch / "digests.json"
        path.write_bytes(canonical([str(goes), str(stays)]))
        self.shelf.put(self.name, path)

    def columns(self, terms: Terms, folder: Path) -> dict[str, Path]:
        """Returns the columns that are on the shelf, of those that the terms ask for."""
        folder.mkdir()

        def take(item: tuple[int, pa.Field]) -> Path | None:
            place, field = item
            name, path = self._column(field, terms.protections), folder / f"{place}.parquet"
            return path if name and self.shelf.take(name, path) else None

        taken = in_order(take, enumerate(terms.schema))
        return {name: path for name, path in zip(terms.schema.names, taken, strict=True) if path}

    def keep_columns(self, terms: Terms, made: Mapping[str, Path]) -> None:
        """Keeps columns for others."""
        for field in terms.schema:
            name = self._column(field, terms.protections)
            if name and field.name in made:
                self.shelf.put(name, made[field.name])

    def _column(self, field: pa.Field, protections: Mapping[str, Protection]) -> str | None:
        protection = protections.get(field.name)
        if protection and protection.kind in _OWN:
            return None
        return content_id("column", self.name, field.name, str(field.type), repr(protection))

    def demand_unchanged(self, rows: pads.Dataset) -> None:
        """Sees that the snapshot's file is the one that was accepted, where its rows are not digested again.

        Raises:
            LedgerBroken: it is another.
        """
        (file,) = rows.get_fragments()
        if not _has_sha256(file.filesystem, file.path, self.snapshot):
            raise LedgerBroken(
                "The snapshot's file is not the one that was accepted.",
                where=self.snapshot,
                fix="Nothing has left. Put back the file that the state names.",
            )


def _has_sha256(filesystem: pafs.FileSystem, path: str, sha256: str) -> bool:
    if isinstance(filesystem, pafs.LocalFileSystem):
        return has_sha256(Path(path), sha256)
    digest = hashlib.sha256()
    with filesystem.open_input_stream(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest() == sha256
