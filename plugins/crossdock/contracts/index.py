"""The compiled index: the little that it takes to build DAGs and to look over everything, read in milliseconds and without heavy imports.

Only the standard library is imported here unless a contract changed: DAG files are parsed again and again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_CODE = Path(__file__).parents[1]
_REMEMBERED = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedDataset:
    """A dataset as DAGs and dashboard know it. `schedule` is a cron expression or preset, None for "when asked"."""

    id: str
    title: str
    en: str
    theme: str
    schedule: str | None
    refers_to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedDepartment:
    """A department with the datasets that can be pulled from it; `told` is whether it hears of findings."""

    id: str
    zh: str
    en: str
    datasets: tuple[IndexedDataset, ...]
    told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedAgreement:
    """An agreement as DAGs and dashboard know it; a publication has consumer "public". Instants are ISO 8601."""

    id: str
    dataset: str
    department: str
    consumer: str
    channel: str
    frequency: str
    status: str
    start: str
    end: str
    digest: str  # of its wording
    review_due: str  # when a request has to be answered; "" for what is none
    deliver_by: str  # when what was requested has to be delivered; "" likewise
    gone_at: str = ""  # when a request was no longer there in this wording; "" for what is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What DAGs are built from."""

    departments: tuple[IndexedDepartment, ...]
    agreements: tuple[IndexedAgreement, ...]
    problems: tuple[str, ...]
    former: tuple[IndexedAgreement, ...] = ()  # requests of the last days that were worded anew or taken back

    def shares(self) -> dict[str, list[IndexedAgreement]]:
        """Returns the agreements of each consumer other than the public."""
        found: dict[str, list[IndexedAgreement]] = {}
        for agreement in self.agreements:
            if agreement.consumer != "public":
                found.setdefault(agreement.consumer, []).append(agreement)
        return found

    def publications(self) -> dict[str, list[IndexedAgreement]]:
        """Returns the publications of each department."""
        found: dict[str, list[IndexedAgreement]] = {}
        for agreement in self.agreements:
            if agreement.consumer == "public":
                found.setdefault(agreement.department, []).append(agreement)
        return found


def load_index(root: Path, cache: Path, *, transforms: Path) -> Index:
    """Returns the index of a contracts tree: from the cache file while no file changed, else compiled anew."""
    stamp = _stamp(root, transforms)
    held = _HELD.get(cache)
    if held and held[:2] == (stamp, _mark(cache)):
        return held[2]
    kept = _kept(cache)
    if kept is None or kept.get("stamp") != stamp:
        compiled = _compiled(root, transforms)
        compiled = replace(compiled, former=_former(kept, compiled))
        kept = {"stamp": stamp, "index": asdict(compiled)}
        with contextlib.suppress(OSError):  # where nothing can be kept, it is compiled each time
            _write(cache, kept)
    index = _read(kept["index"])
    _HELD[cache] = stamp, _mark(cache), index
    return index


# What a process read last from each cache file, its stamp and the file's: a server reads it once, not at each request.
_Mark = tuple[int, int, int] | None
_HELD: dict[Path, tuple[str, _Mark, Index]] = {}


def _mark(cache: Path) -> _Mark:
    """Returns what changes when the cache file does; None when there is none."""
    try:
        status = cache.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _stamp(root: Path, transforms: Path) -> str:
    """Returns a digest over path, time and size of every file that the index depends on, our own readers among them."""
    folders = (root, transforms, _CODE / "contracts", _CODE / "delivery" / "channels")
    seen: list[str] = []
    for folder in folders:
        _look(str(folder), seen)
    seen.sort()
    return hashlib.sha256("\n".join(seen).encode(errors="surrogateescape")).hexdigest()


def _kept(cache: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(cache.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) and isinstance(kept.get("index"), dict) else None


def _former(kept: dict[str, Any] | None, compiled: Index) -> tuple[IndexedAgreement, ...]:
    """Returns the requests that were there when it was compiled before, or shortly before that, and are no more."""
    now = datetime.now(UTC)
    there = {agreement.digest for agreement in compiled.agreements}
    index: dict[str, list[dict[str, Any]]] = kept["index"] if kept else {}
    found = []
    for each in (*index.get("agreements", ()), *index.get("former", ())):
        with contextlib.suppress(TypeError):  # another version of this code wrote it
            agreement = IndexedAgreement(**each)
            gone_at = agreement.gone_at or now.isoformat()
            recent = now - datetime.fromisoformat(gone_at) < _REMEMBERED
            if agreement.review_due and agreement.digest not in there and recent:
                found.append(replace(agreement, gone_at=gone_at))
    return tuple(found)


def _look(folder: str, seen: list[str], depth: int = 4) -> None:
    """Adds a line per folder and file of a tree that changes when it does; links are followed."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith((".yaml", ".yml", ".py")):
            with contextlib.suppress(OSError):  # gone since, or a link to nothing: no longer there to be read
                status = entry.stat()
                seen.append(f"{entry.path}\0{status.st_mtime_ns}\0{status.st_size}")
        elif depth and entry.is_dir() and not entry.name.startswith(("_", ".")):
            seen.append(entry.path)
            _look(entry.path, seen, depth - 1)


def _compiled(root: Path, transforms: Path) -> Index:
    from crossdock.contracts.agreement import REQUESTED
    from crossdock.contracts.catalogue import load_catalogue
    from crossdock.contracts.clocks import delivery_due, requested_on, review_due
    from crossdock.identity import instant

    catalogue = load_catalogue(root, transforms=transforms)
    datasets: dict[str, list[IndexedDataset]] = {}
    for contract in catalogue.contracts.values():
        if contract.source:
            made = IndexedDataset(
                id=contract.id,
                title=contract.title.zh or contract.title.en,
                en=contract.title.en or contract.title.zh,
                theme=contract.theme,
                schedule=contract.schedule,
                refers_to=tuple(sorted(contract.refers_to)),
            )
            datasets.setdefault(contract.department, []).append(made)
    departments = (
        IndexedDepartment(
            id=d.id, zh=d.name.zh, en=d.name.en, datasets=tuple(datasets.get(d.id, ())), told=bool(d.findings)
        )
        for d in catalogue.departments.values()
    )
    agreements = (
        IndexedAgreement(
            id=a.id,
            dataset=a.dataset,
            department=a.provider,
            consumer=a.consumer,
            channel=a.delivery.channel,
            frequency=a.frequency,
            status=a.status,
            start=instant(a.start),
            end=instant(a.end),
            digest=a.digest,
            review_due=instant(review_due(catalogue.contracts[a.dataset].sharing, requested_on(a)))
            if a.status == REQUESTED
            else "",
            deliver_by=instant(delivery_due(requested_on(a))) if a.status == REQUESTED else "",
        )
        for a in catalogue.agreements.values()
    )
    return Index(
        departments=tuple(departments), agreements=tuple(agreements), problems=tuple(str(p) for p in catalogue.problems)
    )


def _write(cache: Path, kept: dict[str, Any]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    fresh = cache.with_name(f".{cache.name}.{secrets.token_hex(4)}")
    fresh.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")
    fresh.replace(cache)


def _read(kept: dict[str, Any]) -> Index:
    departments = tuple(
        IndexedDepartment(
            id=d["id"],
            zh=d["zh"],
            en=d["en"],
            told=d["told"],
            datasets=tuple(IndexedDataset(**{**s, "refers_to": tuple(s["refers_to"])}) for s in d["datasets"]),
        )
        for d in kept["departments"]
    )
    return Index(
        departments=departments,
        agreements=tuple(IndexedAgreement(**a) for a in kept["agreements"]),
        former=tuple(IndexedAgreement(**a) for a in kept["former"]),
        problems=tuple(kept["problems"]),
    )
