"""A delivery as it arrived, checked by whoever has the exchange's public key: no state, no store, no network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.delivery.manifest import NAME, verify_manifest
from crossdock.errors import WrongUse
from crossdock.identity import file_sha256
from crossdock.keys import read_public_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A delivery in a folder, and what is wrong with it (nothing: it is what the exchange signed)."""

    delivery: str
    dataset: str
    rows: int
    files: tuple[str, ...]
    faults: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return {"sound": not self.faults, **asdict(self)}


def examine(folder: Path, public_key: Path) -> Arrival:
    """Examines a delivery's folder.

    Raises:
        WrongUse: there is no manifest, or no public key, to be read.
    """
    try:
        data = (folder / NAME).read_bytes()
    except OSError:
        what = f"There is no {NAME}: the delivery has not arrived whole, or this is not its folder."
        raise WrongUse(what, where=str(folder), fix="Name the folder of one delivery.") from None
    if not verify_manifest(data, read_public_key(public_key)):
        fault = f"{NAME} is not what the holder of this key signed: it was changed, or another exchange made it."
        return Arrival(delivery="", dataset="", rows=0, files=(), faults=(fault,))
    body: Mapping[str, Any] = json.loads(data)
    return Arrival(
        delivery=body["delivery"],
        dataset=body["dataset"]["id"],
        rows=sum(int(file["rows"]) for file in body["files"]),
        files=tuple(file["name"] for file in body["files"]),
        faults=tuple(_faults(folder, body)),
    )


def _faults(folder: Path, body: Mapping[str, Any]) -> Iterator[str]:
    for file in body["files"]:
        path = folder / file["name"]
        if path.parent != folder or not path.is_file():
            yield f"{file['name']} is missing."
        elif path.stat().st_size != file["bytes"] or file_sha256(path) != file["sha256"]:
            yield f"{file['name']} is not the file that was signed (SHA-256 differs)."
        elif path.suffix == ".parquet" and _rows(path) != file["rows"]:
            yield f"{file['name']} holds other rows than the manifest says."
    known = {NAME, *(file["name"] for file in body["files"])}
    for stray in sorted(path.name for path in folder.iterdir() if path.name not in known):
        yield f"{stray} is no part of the delivery."


def _rows(path: Path) -> int | None:
    try:
        return int(pq.read_metadata(path).num_rows)
    except pa.ArrowInvalid:
        return None
