"""Open versions: immutable folders named by their content, and a pointer to the latest that never goes back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.model import Contract, Department
from crossdock.errors import DeliveryRefused, Transient
from crossdock.faults import reached
from crossdock.identity import canonical, content_id, file_sha256
from crossdock.publishing.catalogue import index, order_of, read_json
from crossdock.publishing.dictionary import meanings
from crossdock.publishing.metadata import Edition, documents
from crossdock.publishing.withdrawal import withdrawn_at
from crossdock.storage.store import Ref, Store

_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One snapshot, prepared for the public."""

    publication: Agreement
    contract: Contract
    publisher: Department
    data: Path  # parquet with exactly the agreed columns, already filtered and protected
    snapshot: str
    snapshot_seq: int
    released_at: str  # instant of the first attempt, so that a repeated release tells the same
    pseudonym_key: int | None  # the version of the key that its pseudonyms are made with, if it has any


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An open version as it stands in the store."""

    id: str
    folder: str  # key prefix of its files
    data: Ref
    manifest_key: str
    manifest_sha256: str
    latest: bool  # False: a newer snapshot has been released meanwhile


def release(store: Store, released: Release, *, sign: Callable[[bytes], str]) -> Version:
    """Writes a version and moves the dataset's `latest.json` to it, unless that shows a newer snapshot already.

    The version's files come first, its signed manifest after them, the pointer last: a reader who follows the pointer
    finds everything. Repeating a release, after a kill at any point too, changes nothing. Content that was published
    before has the same version again, unless it was withdrawn. The prepared file is moved into the store.

    Args:
        store: holds the open area.
        released: what to publish.
        sign: signs the manifest (`Keys.sign`).

    Raises:
        DeliveryRefused: the file holds other columns than the publication agrees to, no licence is named, or what is to
            be published was withdrawn since.
        StorageConflict: the version exists with other content: the store was changed by hand.
        Transient: it was withdrawn by another process meanwhile; try again.
    """
    _check(released)
    edition = _edition(released)
    papers = documents(edition)
    body = {**_manifest(edition, papers), "pseudonym_key": released.pseudonym_key}
    version = _name(store, released, body)
    base = f"open/{released.contract.id}"
    folder = f"{base}/versions/{version}"
    store.put_file(f"{folder}/data.parquet", released.data)
    reached("publish.data")
    for name, data in papers.items():
        store.put_new(f"{folder}/{name}", data)
    reached("publish.papers")
    body = {"version": version, **body}
    manifest = canonical({**body, "signature": sign(canonical(body))})
    store.put_new(f"{folder}/manifest.json", manifest)
    reached("publish.manifest")
    pointer = {
        "dataset": released.contract.id,
        "version": version,
        "data": f"versions/{version}/data.parquet",
        "manifest": f"versions/{version}/manifest.json",
        "rows": edition.rows,
        "sha256": edition.sha256,
        "snapshot": released.snapshot,
        "snapshot_seq": released.snapshot_seq,
        "released_at": released.released_at,
    }
    latest = _point(store, f"{base}/latest.json", pointer)
    reached("publish.latest")
    index(store, released.contract.id)
    if withdrawn_at(store, released.contract.id, version):
        store.delete(f"{folder}/data.parquet")
        raise Transient("This version was withdrawn while it was released.", where=folder, fix="Try again.")
    return Version(
        id=version,
        folder=folder,
        data=Ref(key=f"{folder}/data.parquet", rows=edition.rows, sha256=edition.sha256),
        manifest_key=f"{folder}/manifest.json",
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        latest=latest,
    )


def _check(released: Release) -> None:
    publication, schema = released.publication, _schema(released)
    if sorted(schema.names) != sorted(publication.columns):
        raise DeliveryRefused(
            "The prepared file does not hold exactly the agreed columns.",
            where=publication.id,
            fix="Prepare it from the publication's `columns`.",
        )
    if not publication.licence:
        raise DeliveryRefused(
            "The publication names no licence.", where=publication.id, fix="Add `licence`, such as CC-BY-4.0."
        )


def _name(store: Store, released: Release, body: Mapping[str, object]) -> str:
    """Returns the id of what has this manifest: another one for each time that the same was withdrawn before."""
    version, mine = content_id("version", body), (released.snapshot_seq, released.released_at)
    while withdrawn := withdrawn_at(store, released.contract.id, version):
        if withdrawn > mine:
            what = "It was withdrawn after it had been published."
            raise DeliveryRefused(what, where=released.publication.id, fix="The next snapshot goes.")
        version = content_id("version", body, version)
    return version


def _schema(released: Release) -> pa.Schema:
    return pq.read_schema(released.data)


def _edition(released: Release) -> Edition:
    return Edition(
        publication=released.publication,
        contract=released.contract,
        publisher=released.publisher,
        meanings=meanings(released.publication, released.contract, _schema(released)),
        rows=pq.read_metadata(released.data).num_rows,
        bytes=released.data.stat().st_size,
        sha256=file_sha256(released.data),
    )


def _manifest(edition: Edition, papers: Mapping[str, bytes]) -> dict[str, object]:
    """Returns the manifest without version id and signature: only what the content and its terms are, no instant."""
    publication, contract = edition.publication, edition.contract
    files = [{"name": "data.parquet", "rows": edition.rows, "sha256": edition.sha256, "bytes": edition.bytes}]
    files += [
        {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in papers.items()
    ]
    return {
        "kind": "crossdock-open-version",
        "dataset": {"id": contract.id, "title": {"zh": contract.title.zh, "en": contract.title.en}},
        "contract": {"version": contract.version, "digest": contract.digest},
        "agreement": {"id": publication.id, "version": publication.version, "digest": publication.digest},
        "provider": publication.provider,
        "consumer": publication.consumer,
        "purpose": publication.purpose,
        "legal_basis": publication.legal_basis,
        "licence": publication.licence,
        "columns": [meaning.column for meaning in edition.meanings],
        "rows": edition.rows,
        "files": files,
    }


def _point(store: Store, key: str, pointer: Mapping[str, object]) -> bool:
    """Moves the pointer forward; False when it shows a newer snapshot, or a later release of the same one."""
    for _ in range(_TRIES):
        current = store.read_versioned(key)
        if current:
            shown = read_json(current[0], key, "version", "snapshot_seq", "released_at")
            if order_of(shown) > order_of(pointer):
                return False
            if (shown["version"], shown["snapshot_seq"]) == (pointer["version"], pointer["snapshot_seq"]):
                return True
        if store.swap(key, canonical(pointer), expected=current[1] if current else None):
            return True
    raise Transient("Other writers keep moving this pointer.", where=key, fix="Try again.")
