"""What a steward does with quarantined rows: release them with a reason, or have them judged again after a fix.

release   a person's word, with reason and name, that rows are to be accepted although they break rules
replay    open rows are judged by the contract, transforms, references and waivers of today; what passes joins the snapshot

Neither delivers anything: what joined the snapshot goes to consumers as any change does, and is counted once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossdock import intake, pipeline
from crossdock.contracts.model import Contract
from crossdock.delivery.files import encode
from crossdock.errors import WrongUse, did_you_mean
from crossdock.exchange import Exchange
from crossdock.identity import file_sha256, instant
from crossdock.sources.landing import land
from crossdock.sources.source import Pulled
from crossdock.storage.quarantine import QuarantineEntry, Waiver, entries, open_verdicts, record_waiver
from crossdock.storage.records import (
    Extract,
    Verdict,
    extract_by_id,
    latest_snapshot,
    record_extract,
    verdict_by_id,
)
from crossdock.validation.plan import plan
from crossdock.validation.quarantine import FAILURES, raw_columns
from crossdock.validation.replay import open_rows
from crossdock.validation.samples import Sample, findings, samples
from crossdock.validation.waivers import HASH, arrived_hashes, waivable


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of judging a dataset's open rows again; without a verdict nothing that they depend on had changed."""

    dataset: str
    rows: int
    verdict: Verdict | None = None

    @property
    def mended(self) -> int:
        """How many rows left the quarantine."""
        return self.rows - self.verdict.quarantined if self.verdict else 0


def held(exchange: Exchange, verdict_id: str) -> tuple[Verdict, QuarantineEntry]:
    """Returns a verdict whose rows are still in quarantine, and its entry.

    Raises:
        WrongUse: there is no such verdict, it set nothing aside, or a later verdict took its place.
    """
    verdict = verdict_by_id(exchange.state, verdict_id)
    known = {entry.id: entry for entry in entries(exchange.state, dataset=verdict.dataset)} if verdict else {}
    entry = known.get(verdict_id)
    if verdict is None or entry is None:
        raise WrongUse(
            f"No rows are in quarantine under '{verdict_id}'.", fix="`crossdock quarantine list` shows the verdicts."
        )
    if entry.status != "open":
        raise WrongUse(
            f"The rows of this verdict are no longer in quarantine: they were {entry.status}.",
            where=f"verdict {verdict_id}",
            fix=f"See verdict {entry.closed_by}." if entry.closed_by else "`crossdock quarantine list` shows the rest.",
        )
    return verdict, entry


def datasets_held(exchange: Exchange, target: str) -> list[str]:
    """Returns the datasets with open rows: all, a department's, one, or that of one verdict.

    Raises:
        WrongUse: there is no such department, dataset or verdict.
    """
    opened = entries(exchange.state, status="open")
    found = {e.dataset for e in opened if target in ("", e.id, e.dataset, e.dataset.partition("/")[0])}
    known = exchange.catalogue.contracts
    if not found and target and not any(target in (c.id, c.department) for c in known.values()):
        held(exchange, target)
    return sorted(found)


def sample(exchange: Exchange, verdict: Verdict, *, most: int) -> list[Sample]:
    """Returns masked samples of the rows that a verdict set aside."""
    return samples(exchange.dataset(verdict.quarantine_key), most=most) if verdict.quarantine_key else []


def write_findings(exchange: Exchange, verdict: Verdict, target: Path) -> None:
    """Writes what is wrong with each row to a CSV file that only its owner can read, for the source's department."""
    key = exchange.contract(verdict.dataset).primary_key
    with exchange.scratch() as scratch:
        path = scratch / "findings.parquet"
        rows = list(findings(exchange.dataset(str(verdict.quarantine_key)), key)) if verdict.quarantine_key else []
        pq.write_table(pa.Table.from_batches(rows) if rows else pa.table({"arrival": pa.array([], pa.int64())}), path)
        target.touch(mode=0o600)
        target.write_bytes(encode(path, "csv").read_bytes())


def release(exchange: Exchange, verdict_id: str, *, rules: Collection[str] = (), reason: str, by: str) -> Waiver:
    """Waives rules for the rows that break nothing else, and for the extract where a rule is about it as a whole.

    Args:
        exchange: where.
        verdict_id: the verdict that set the rows aside.
        rules: the rules to waive; by default all that it names and that can be waived.
        reason: why; kept for ever.
        by: who says so.

    Raises:
        WrongUse: the verdict holds nothing, a rule is unknown or can't be waived, or no row would be released.
    """
    verdict, _ = held(exchange, verdict_id)
    for name, given in (("reason", reason), ("name of who releases", by)):
        if not given.strip():
            raise WrongUse(f"A release needs a {name}.", where=f"verdict {verdict_id}", fix="State it.")
    chosen = _waived_rules(exchange.contract(verdict.dataset), verdict, rules)
    with exchange.scratch() as scratch:
        path = scratch / "waived.parquet"
        rows = _write_waived(exchange, verdict, chosen, path)
        sha256 = file_sha256(path)
        key = intake.store_parquet(exchange, "quarantine", f"{verdict.dataset}/waived", path, sha256)
    waiver = Waiver(
        id=exchange.keys.private_id("waiver", verdict.id, chosen, sha256),
        dataset=verdict.dataset,
        verdict=verdict.id,
        rules=chosen,
        rows=rows,
        key=key,
        reason=reason.strip(),
        released_by=by.strip(),
        released_at=instant(exchange.clock()),
    )
    record_waiver(exchange.state, waiver)
    return waiver


def _waived_rules(contract: Contract, verdict: Verdict, asked: Collection[str]) -> list[str]:
    broken = {finding.rule for finding in verdict.findings if finding.severity == "error"}
    checks = plan(contract)
    whole = {check.rule.id for check in checks if check.judges_extract}
    whole |= {"tolerance"} | {f"{check.rule.id}.tolerance" for check in checks}
    able = waivable(contract, checks) | whole
    for rule in asked:
        if rule not in broken:
            raise WrongUse(
                f"The verdict names no rule '{rule}'.", where=f"verdict {verdict.id}", fix=did_you_mean(rule, broken)
            )
        if rule not in able:
            raise WrongUse(
                f"The rule '{rule}' can't be waived: no snapshot can hold such rows.",
                where=f"verdict {verdict.id}",
                fix="Let the source mend them, or change the contract, and replay.",
            )
    return sorted(set(asked) or broken & able)


def _write_waived(exchange: Exchange, verdict: Verdict, rules: Sequence[str], path: Path) -> int:
    """Writes the hashes of the rows that break none but these rules, and returns how many rows that are."""
    columns = [column.name for column in exchange.contract(verdict.dataset).columns]
    released, found = 0, pa.chunked_array([], HASH)
    for batch in exchange.dataset(str(verdict.quarantine_key)).to_batches():
        rows = batch.filter(_only(batch.column(FAILURES), rules))
        released += rows.num_rows
        hashes = arrived_hashes(raw_columns(rows), columns)
        found = pa.chunked_array([*found.chunks, hashes])
    if not released:
        raise WrongUse(
            f"No row breaks only {' and '.join(rules) or 'rules that can be waived'}.",
            where=f"verdict {verdict.id}",
            fix="Name more rules, or let the source mend the rows.",
        )
    pq.write_table(pa.table({"row": pc.unique(found)}), path, compression="zstd")
    return released


def _only(failures: pa.ListArray, rules: Sequence[str]) -> pa.BooleanArray:
    """Returns True for the rows all of whose failures are of these rules."""
    other = pc.invert(pc.is_in(pc.struct_field(failures.flatten(), "rule"), value_set=pa.array(rules, pa.string())))
    parents = pc.list_parent_indices(failures).to_numpy()[other.to_numpy(zero_copy_only=False)]
    counts = np.bincount(parents, minlength=len(failures))
    return pa.array(counts == 0)


def replay(exchange: Exchange, dataset: str) -> Replay:
    """Judges a dataset's open rows again, if the contract, a transform, a reference or a waiver has changed since.

    Of a dataset that is pulled in full, the newest extract is judged again as it is. Of one that is pulled by
    watermark, the open rows of all its extracts are judged together and join the snapshot, where a row of the same key
    with a newer watermark stays.

    Raises:
        Transient: the rows were judged by somebody else meanwhile; try again.
        as `pipeline.validate` does.
    """
    contract = exchange.contract(dataset)
    waiting = [verdict_by_id(exchange.state, name) for name in open_verdicts(exchange.state, dataset)]
    verdicts = [verdict for verdict in waiting if verdict]
    rows = sum(verdict.quarantined for verdict in verdicts)
    if all(intake.open_case(exchange, verdict.extract).verdict_id == verdict.id for verdict in verdicts):
        return Replay(dataset=dataset, rows=rows)
    joins = bool(contract.source and contract.source.watermark and latest_snapshot(exchange.state, dataset))
    extract = _gathered(exchange, contract, verdicts) if joins else extract_by_id(exchange.state, verdicts[-1].extract)
    return Replay(dataset=dataset, rows=rows, verdict=pipeline.validate(exchange, extract.id))


def _gathered(exchange: Exchange, contract: Contract, verdicts: Sequence[Verdict]) -> Extract:
    """Records an extract of the open rows, as they arrived; of a key that arrived again later, the later ones."""
    names = [verdict.id for verdict in verdicts]
    with exchange.scratch() as scratch:
        files = [exchange.dataset(str(verdict.quarantine_key)) for verdict in verdicts]
        schema, batches = open_rows(files, contract.primary_key)
        landed = land(Pulled(schema=schema, batches=batches), scratch / "extract.parquet")
        key = intake.store_parquet(exchange, "landing", contract.id, landed.path, landed.sha256)
    extract = Extract(
        id=exchange.keys.private_id("extract", contract.id, landed.sha256, "replay", names),
        dataset=contract.id,
        key=key,
        rows=landed.rows,
        sha256=landed.sha256,
        digest=landed.digest,
        drift={"missing": [], "extra": []},
        watermark=None,
        incremental=True,
        pulled_at=instant(exchange.clock()),
        replays=names,
    )
    record_extract(exchange.state, extract)
    return extract
