"""What pull and validate need beside the source and the judge: watermarks, references, storing what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Contract
from crossdock.errors import LedgerBroken, Transient
from crossdock.exchange import Exchange
from crossdock.identity import content_id, file_sha256, instant
from crossdock.storage.records import Extract, Snapshot, Verdict, latest_snapshot
from crossdock.validation.increment import merge_increment, newest
from crossdock.validation.judge import Context, Judgement, judge
from crossdock.validation.transforms import TransformChain


class ReferenceMissing(Transient):
    """A dataset refers to another one that has no snapshot yet."""


def store_parquet(exchange: Exchange, area: str, dataset: str, path: Path, sha256: str | None = None) -> str:
    """Moves a local parquet file into the store, named by its content, and returns its key."""
    key = f"{area}/{dataset}/{(sha256 or file_sha256(path))[:32]}.parquet"
    exchange.store.put_file(key, path)
    return key


def copy_out(exchange: Exchange, key: str, target: Path) -> None:
    """Copies a stored parquet object to a local file that only its owner can read."""
    target.touch(mode=0o600)
    filesystem, root = exchange.store.filesystem()
    with filesystem.open_input_stream(f"{root}/{key}") as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def watermark(exchange: Exchange, contract: Contract) -> str | None:
    """Returns the newest watermark value among the snapshot's rows, after which the next pull starts; None = pull all.

    It is read from the snapshot, not remembered: rows of an extract that was rejected or lost are pulled again.
    """
    base = latest_snapshot(exchange.state, contract.id) if contract.source and contract.source.watermark else None
    if base is None or contract.source is None:
        return None
    return newest(exchange.dataset(base.key), contract.source.watermark)


def references(exchange: Exchange, contract: Contract) -> Mapping[str, Snapshot]:
    """Returns the current snapshots of every other dataset that the contract's rules and transforms refer to."""
    found = {name: latest_snapshot(exchange.state, name) for name in sorted(contract.refers_to)}
    for name, snapshot in found.items():
        if snapshot is None:
            raise ReferenceMissing(
                f"It refers to '{name}', which has no accepted snapshot yet.",
                where=contract.id,
                fix=f"Pull and validate '{name}' first: crossdock run {name}",
            )
    return {name: snapshot for name, snapshot in found.items() if snapshot}


def verdict_id(contract: Contract, extract: Extract, referred: Mapping[str, Snapshot], now: datetime) -> str:
    """Names a judgement by all that it depends on; the day counts only for contracts that promise freshness."""
    day = instant(now)[:10] if any(rule.kind == "freshness" for rule in contract.rules) else ""
    return content_id("verdict", extract.id, contract.digest, {k: s.id for k, s in referred.items()}, day)


def judge_extract(
    exchange: Exchange, contract: Contract, extract: Extract, referred: Mapping[str, Snapshot], scratch: Path
) -> Judgement:
    """Runs the judge over a landed extract and proves that every row pulled was either accepted or quarantined."""
    tables = {name: exchange.dataset(snapshot.key) for name, snapshot in referred.items()}
    context = Context(
        references=tables,
        transforms=TransformChain(contract.transforms, exchange.transforms, tables, contract=contract).apply,
        now=exchange.clock(),
        scratch=scratch,
        drift=extract.drift,
    )
    judgement = judge(contract, exchange.dataset(extract.key), context=context)
    if not extract.digest == judgement.raw_digest == judgement.accepted_digest + judgement.quarantined_digest:
        raise LedgerBroken(
            f"pulled = accepted + quarantined does not hold: {extract.digest} pulled, {judgement.accepted_digest} "
            f"accepted, {judgement.quarantined_digest} quarantined.",
            where=f"{contract.id}, extract {extract.id}",
            fix="Nothing was recorded. Compare the landing file's SHA-256 with the state's.",
        )
    return judgement


def store_judgement(
    exchange: Exchange, contract: Contract, extract: Extract, judgement: Judgement, name: str
) -> tuple[Verdict, Snapshot | None]:
    """Stores quarantine, accepted rows and the GX result, and returns the rows of state that will make them count."""
    at = instant(exchange.clock())
    quarantine = judgement.quarantine_file
    result_key = f"results/{contract.id}/{name}-{content_id(judgement.result.decode())}.json"
    exchange.store.put_new(result_key, judgement.result)
    verdict = Verdict(
        id=name,
        extract=extract.id,
        dataset=contract.id,
        contract_version=contract.version,
        contract_digest=contract.digest,
        outcome=judgement.outcome,
        rows=judgement.rows,
        accepted=judgement.accepted,
        quarantined=judgement.quarantined,
        accepted_digest=judgement.accepted_digest,
        quarantined_digest=judgement.quarantined_digest,
        findings=judgement.findings,
        quarantine_key=store_parquet(exchange, "quarantine", contract.id, quarantine) if quarantine else None,
        result_key=result_key,
        validated_at=at,
    )
    if judgement.accepted_file is None:
        return verdict, None
    path, digest = judgement.accepted_file, judgement.snapshot_digest
    base = latest_snapshot(exchange.state, contract.id) if extract.incremental else None
    if base:
        path, digest = merge_increment(exchange.dataset(base.key), path, contract.primary_key, arrow_schema(contract))
    sha256 = file_sha256(path)
    return verdict, Snapshot(
        id=content_id("snapshot", contract.id, sha256),
        dataset=contract.id,
        verdict=name,
        key=store_parquet(exchange, "accepted", contract.id, path, sha256),
        rows=digest.rows,
        sha256=sha256,
        digest=digest,
        accepted_at=at,
    )
