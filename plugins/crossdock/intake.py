"""What pull and validate need beside the source and the judge: watermarks, references, storing what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Contract
from crossdock.errors import LedgerBroken, Transient
from crossdock.exchange import Exchange
from crossdock.fingerprints import Fingerprinting, shelf_name
from crossdock.foreseen import foresee
from crossdock.identity import content_id, file_sha256, instant
from crossdock.storage.history import earlier_profiles
from crossdock.storage.quarantine import Waiver, waivers
from crossdock.storage.records import Extract, Snapshot, Verdict, extract_by_id, latest_snapshot, verdict_by_id
from crossdock.storage.shelf import MANY
from crossdock.validation.increment import RowIdentity, merge_increment, newest
from crossdock.validation.judge import Context, Judgement, judge
from crossdock.validation.plan import row_by_row
from crossdock.validation.transforms import TransformChain
from crossdock.validation.waivers import Waived


class ReferenceMissing(Transient):
    """A dataset refers to another one that has no snapshot yet."""


def store_parquet(exchange: Exchange, area: str, folder: str, path: Path, sha256: str | None = None) -> str:
    """Moves a local parquet file into the store, named by its content, and returns its key, which errors tell."""
    name = exchange.keys.private_id("file", sha256 or file_sha256(path))
    key = f"{area}/{folder}/{name}.parquet"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An extract before its judge, with all that the verdict depends on, and the name which that gives the verdict."""

    contract: Contract
    extract: Extract
    references: Mapping[str, Snapshot]  # current snapshots of the datasets that rules and transforms refer to
    base: Snapshot | None  # the snapshot that an incremental extract joins; a full one is the whole dataset itself
    waivers: Sequence[Waiver]
    verdict_id: str


def open_case(exchange: Exchange, extract_id: str) -> Case:
    """Gathers what an extract is judged by; the day counts only for contracts whose rules ask for the time.

    Raises:
        ReferenceMissing: a dataset that this one refers to has no snapshot yet.
    """
    extract = extract_by_id(exchange.state, extract_id)
    contract = exchange.contract(extract.dataset)
    referred = _references(exchange, contract)
    granted = waivers(exchange.state, contract.id)
    dated = any(rule.kind == "freshness" or rule.args.get("dated") for rule in contract.rules)
    day = instant(exchange.clock())[:10] if dated else ""
    return Case(
        contract=contract,
        extract=extract,
        references=referred,
        base=latest_snapshot(exchange.state, contract.id) if extract.incremental else None,
        waivers=granted,
        verdict_id=content_id(
            "verdict",
            extract.id,
            contract.digest,
            {step.use: file_sha256(exchange.transforms / f"{step.use}.py") for step in contract.transforms},
            {name: snapshot.id for name, snapshot in referred.items()},
            [waiver.id for waiver in granted],
            day,
        ),
    )


def waived(exchange: Exchange, case: Case) -> Waived:
    """Returns what people have waived for a case's extract: rows of the dataset, and rules of this extract itself."""
    rows: dict[str, list[pa.Array]] = {}
    of_extract: set[str] = set()
    for waiver in case.waivers:
        hashes = exchange.dataset(waiver.key).to_table()["row"].combine_chunks()
        for rule in waiver.rules:
            rows.setdefault(rule, []).append(hashes)
        verdict = verdict_by_id(exchange.state, waiver.verdict)
        if verdict and verdict.extract == case.extract.id:
            of_extract |= set(waiver.rules)
    return Waived(
        rows={rule: pa.concat_arrays(found) for rule, found in rows.items()}, of_extract=frozenset(of_extract)
    )


def _references(exchange: Exchange, contract: Contract) -> Mapping[str, Snapshot]:
    found = {name: latest_snapshot(exchange.state, name) for name in sorted(contract.refers_to)}
    for name, snapshot in found.items():
        if snapshot is None:
            raise ReferenceMissing(
                f"It refers to '{name}', which has no accepted snapshot yet.",
                where=contract.id,
                fix=f"Pull and validate '{name}' first: crossdock run {name}",
            )
    return {name: snapshot for name, snapshot in found.items() if snapshot}


def judge_case(exchange: Exchange, case: Case, scratch: Path) -> Judgement:
    """Runs the judge over the landed extract and proves that every row pulled was either accepted or quarantined."""
    contract, extract = case.contract, case.extract
    tables = {name: exchange.dataset(snapshot.key) for name, snapshot in case.references.items()}
    context = Context(
        references=tables,
        transforms=TransformChain(contract.transforms, exchange.transforms, tables, contract=contract).apply,
        now=exchange.clock(),
        scratch=scratch,
        drift=extract.drift,
        base=exchange.dataset(case.base.key) if case.base else None,
        waived=waived(exchange, case),
        earlier=earlier_profiles(exchange.state, extract, _history(contract)),
        prints=_prints(exchange, contract, extract, scratch),
    )
    judged_by = row_by_row(contract) if extract.replays else contract
    judgement = judge(judged_by, exchange.dataset(extract.key), context=context)
    if not extract.digest == judgement.raw_digest == judgement.accepted_digest + judgement.quarantined_digest:
        raise LedgerBroken(
            f"pulled = accepted + quarantined does not hold: {extract.rows} rows pulled, {judgement.accepted} accepted, "
            f"{judgement.quarantined} quarantined, or their digests differ.",
            where=f"{contract.id}, extract {extract.id}",
            fix="Nothing was recorded. Compare the landing file's SHA-256 with the state's.",
        )
    return judgement


def _prints(exchange: Exchange, contract: Contract, extract: Extract, scratch: Path) -> Fingerprinting | None:
    """Returns what takes the rows' fingerprints, where somebody gets changes of many rows."""
    agreements = exchange.contracts.part(contract.id).agreements.values()
    wanted = any(each.dataset == contract.id and each.delivery.mode == "changes" for each in agreements)
    many = extract.incremental or extract.rows >= MANY
    return Fingerprinting(scratch / "fingerprints", exchange.keys.ledger) if wanted and many else None


def _history(contract: Contract) -> int:
    """Returns how many earlier extracts a contract wants a new one to be compared with; 0 when it asks for none."""
    asked: list[Any] = [rule.args["history"] for rule in contract.rules if rule.kind == "drift"]
    return max(asked, default=0)


def store_judgement(exchange: Exchange, case: Case, judgement: Judgement) -> tuple[Verdict, Snapshot | None]:
    """Stores quarantine, GX result and accepted rows, and returns the rows of state that will make them count."""
    dataset, quarantine, judged_at = case.contract.id, judgement.quarantine_file, instant(exchange.clock())
    # GX's document tells when it was made, so a repeated judgement has another: its name holds its content.
    result_key = f"results/{dataset}/{case.verdict_id}-{content_id(judgement.result.decode())}.json"
    exchange.store.put_new(result_key, judgement.result)
    verdict = Verdict(
        id=case.verdict_id,
        extract=case.extract.id,
        dataset=dataset,
        contract_version=case.contract.version,
        contract_digest=case.contract.digest,
        outcome=judgement.outcome,
        rows=judgement.rows,
        accepted=judgement.accepted,
        quarantined=judgement.quarantined,
        accepted_digest=judgement.accepted_digest,
        quarantined_digest=judgement.quarantined_digest,
        findings=judgement.findings,
        quarantine_key=store_parquet(exchange, "quarantine", f"{dataset}/{judged_at[:10]}", quarantine)
        if quarantine
        else None,
        result_key=result_key,
        validated_at=judged_at,
        profile=judgement.profile,
    )
    return verdict, _store_snapshot(exchange, case, judgement, verdict)


def _identity_of(contract: Contract) -> RowIdentity:
    watermark = contract.source.watermark if contract.source else ""
    return RowIdentity(key=contract.primary_key, watermark=watermark)


def _store_snapshot(exchange: Exchange, case: Case, judgement: Judgement, verdict: Verdict) -> Snapshot | None:
    """Returns the snapshot that comes into force; None when the extract was rejected, or is an increment of nothing."""
    path, digest = judgement.accepted_file, judgement.snapshot_digest
    if path is None or (case.base and not judgement.accepted):
        return None
    if case.base:
        base = exchange.dataset(case.base.key)
        identity = _identity_of(case.contract)
        path, digest = merge_increment(base, path, arrow_schema(case.contract), identity, judgement.prints)
    sha256 = file_sha256(path)
    if judgement.prints:
        exchange.shelf.put(shelf_name(sha256, exchange.keys.ledger), judgement.prints.path)
    foresee(exchange, case.contract, path, sha256=sha256, accepted=digest)
    return Snapshot(
        id=exchange.keys.private_id("snapshot", verdict.dataset, sha256),
        dataset=verdict.dataset,
        verdict=verdict.id,
        key=store_parquet(exchange, "accepted", verdict.dataset, path, sha256),
        rows=digest.rows,
        sha256=sha256,
        digest=digest,
        accepted_at=verdict.validated_at,
    )
