"""The judge: an extract and its contract become a verdict, a file of accepted rows and a file of quarantined ones.

landing -> transforms -> types -> kernels -> bit per row and rule -> GX judges -> accepted.parquet
           (scan, one pass)      + DuckDB for unique, reference                    quarantine.parquet (split)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from crossdock.columnar import settle_memory
from crossdock.contracts.arrow import arrow_schema, arrow_type
from crossdock.contracts.model import Contract
from crossdock.errors import LedgerBroken
from crossdock.fingerprints import Fingerprinting
from crossdock.identity import RowsDigest, instant, now
from crossdock.storage.records import Finding
from crossdock.validation.facts import Facts
from crossdock.validation.kernels import one_of
from crossdock.validation.measure import measure
from crossdock.validation.plan import Check, plan
from crossdock.validation.profile import Profile, drifts, profile
from crossdock.validation.quarantine import Failing, Reason
from crossdock.validation.scan import Scanned, Transform, scan
from crossdock.validation.split import split
from crossdock.validation.verdict import Counted, Outcome, assess, reason_of
from crossdock.validation.waivers import Waived, waive
from crossdock.validation.whole import WholeExtract, few_values, find_referred


def _as_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the judge needs beside contract and extract.

    `references` are the snapshots of other datasets, by id. `transforms` standardises a raw batch. `drift` names
    columns as {"missing": [...], "extra": [...]}. `on_progress` hears how many rows have been scanned. `base` is the
    snapshot that an incremental extract adds to: row counts and freshness are promises about both together. `waived`
    says which rows and rules a person has waived. `earlier` are the profiles of extracts before it, the newest first.
    `prints` takes fingerprints of the accepted rows.
    """

    scratch: Path
    references: Mapping[str, pads.Dataset] = field(default_factory=dict)
    transforms: Transform = _as_is
    now: datetime = field(default_factory=now)
    drift: Mapping[str, Sequence[str]] = field(default_factory=dict)
    on_progress: Callable[[int], None] | None = None
    base: pads.Dataset | None = None
    waived: Waived = field(default_factory=Waived)
    prints: Fingerprinting | None = None
    earlier: Sequence[Profile] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What is thought of an extract, and of which of its rows.

    `failing` tells which rows are quarantined (all of them when the extract is rejected), and why.
    `result` is Great Expectations' validation result as JSON; neither it nor a finding holds a value of a row.
    `profile` is what later extracts will be compared with.
    """

    outcome: Outcome
    rows: int
    accepted: int
    quarantined: int
    findings: tuple[Finding, ...]
    failing: Failing
    result: bytes
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement(Opinion):
    """The verdict on an extract: an opinion, and the rows parted by it.

    Digests are over the rows as they arrived (`raw = accepted + quarantined`), `snapshot_digest` over the accepted
    rows as they are typed. `accepted_file` is None when the extract is rejected, `quarantine_file` when no row failed.
    """

    accepted_file: Path | None
    prints: Fingerprinting | None  # of the rows in it
    quarantine_file: Path | None
    raw_digest: RowsDigest
    accepted_digest: RowsDigest
    quarantined_digest: RowsDigest
    snapshot_digest: RowsDigest


def judge(contract: Contract, extract: pads.Dataset, *, context: Context) -> Judgement:
    """Judges every row of an extract by every rule of its contract, in bounded memory; files go to the scratch folder.

    Raises:
        WrongUse: a rule can't be judged (no kernel, a reference that is not at hand): never a silent pass.
        TransformInvalid: a transform broke its promise.
    """
    opinion, scanned, typed_file = _weigh(contract, extract, context, hashed=True)
    if context.prints:
        context.prints.begin()
    parts = split(contract, extract, typed_file, scanned, opinion.failing, prints=context.prints)
    typed_file.unlink()
    if (parts.accepted.rows, parts.quarantined.rows) != (opinion.accepted, opinion.quarantined):
        raise LedgerBroken(
            "Rows were parted otherwise than they were judged.",
            where=contract.id,
            fix="This is a defect of the validation engine; nothing was recorded.",
        )
    return Judgement(
        **{each.name: getattr(opinion, each.name) for each in fields(opinion)},
        accepted_file=parts.accepted_file,
        prints=context.prints if parts.accepted_file else None,
        quarantine_file=parts.quarantine_file,
        raw_digest=parts.accepted + parts.quarantined,
        accepted_digest=parts.accepted,
        quarantined_digest=parts.quarantined,
        snapshot_digest=parts.snapshot,
    )


def weigh(contract: Contract, extract: pads.Dataset, *, context: Context) -> Opinion:
    """Judges like `judge` (and raises what it does), for those who keep no rows: none is written or hashed."""
    opinion, _, typed_file = _weigh(contract, extract, context, hashed=False)
    typed_file.unlink()
    return opinion


def _weigh(
    contract: Contract, extract: pads.Dataset, context: Context, *, hashed: bool
) -> tuple[Opinion, Scanned, Path]:
    settle_memory()
    checks = plan(contract)
    referred = _find_referred(contract, checks, context)
    checks = tuple(_at_hand(check, referred) for check in checks)
    typed_file = context.scratch / "typed.arrow"
    scanned = scan(
        contract,
        checks,
        extract,
        transform=_reporting(context),
        typed_file=typed_file,
        hashed=hashed,
    )
    with WholeExtract(typed_file, arrow_schema(contract), context.scratch) as whole:
        _judge_whole(whole, checks, scanned, referred)
        merged = _merged_rows(whole, contract, scanned, context.base)
    broken = {check.rule.id: scanned.marks.count(check.rule.id) for check in checks}
    seen = profile(contract, checks, typed_file, scanned.nulls)
    facts = Facts(
        rows=scanned.marks.rows,
        snapshot_rows=merged,
        broken=broken,
        considered=scanned.considered,
        nulls=scanned.nulls,
        ages=_ages(checks, scanned, context),
        results=measure(contract, checks, typed_file, now=context.now),
        drifts=drifts(checks, seen, context.earlier),
    )
    unkept, result = _ask_great_expectations(contract, checks, facts, context.now)
    # GX has judged what arrived; what is waived after that stays in its result, and is no reason to keep a row out.
    waived = waive(scanned.marks, extract, [column.name for column in contract.columns], context.waived)
    names = scanned.columns if scanned.columns is not None else frozenset(extract.schema.names)
    missing = tuple(column.name for column in contract.columns if column.name not in names)
    # That a column is missing says it all: not one more finding for every rule on it.
    heeded = [check for check in checks if not set(missing) & set(check.rule.columns)]
    reasons = {
        check.rule.id: Reason(rule=check.rule.id, columns=check.rule.columns, reason=reason_of(check))
        for check in heeded
        if check.quarantines
    }
    counted = Counted(
        rows=scanned.marks.rows,
        failing=scanned.marks.count_any(reasons),
        broken={rule: rows - waived.get(rule, 0) for rule, rows in broken.items()},
        waived=waived,
        of_extract_waived=context.waived.of_extract,
        unkept=unkept,
        missing=missing,
        extra=tuple(context.drift.get("extra", ())),
    )
    assessment = assess(contract, heeded, counted)
    quarantined = counted.rows if assessment.of_extract else counted.failing
    opinion = Opinion(
        outcome=assessment.outcome(counted.failing),
        rows=counted.rows,
        accepted=counted.rows - quarantined,
        quarantined=quarantined,
        findings=assessment.findings,
        failing=Failing(marks=scanned.marks, reasons=reasons, of_extract=assessment.of_extract),
        result=result,
        profile=seen,
    )
    return opinion, scanned, typed_file


def _reporting(context: Context) -> Transform:
    """Wraps the transforms so that each batch that goes into them is reported as progress."""
    if context.on_progress is None:
        return context.transforms
    report, rows = context.on_progress, 0

    def transform(batch: pa.RecordBatch) -> pa.RecordBatch:
        nonlocal rows
        rows += batch.num_rows
        report(rows)
        return context.transforms(batch)

    return transform


_Referred = Mapping[str, tuple[pads.Dataset | None, tuple[str, ...]]]


def _find_referred(contract: Contract, checks: Sequence[Check], context: Context) -> _Referred:
    """Looks up what references point at before anything is scanned, by rule id."""
    own = [column.name for column in contract.columns]
    found = {}
    for check in checks:
        if check.scope == "reference":
            where = f"{contract.id}, rule {check.rule.id}"
            found[check.rule.id] = find_referred(check, context.references, own, where)
    return found


def _at_hand(check: Check, referred: _Referred) -> Check:
    """Returns a reference to few values of the same type as a check of one row: the scan looks them up itself."""
    dataset, columns = referred.get(check.rule.id, (None, ()))
    held = few_values(dataset, columns[0]) if dataset is not None and len(columns) == 1 else None
    if held is None or held.type != arrow_type(check.columns[0]):
        return check
    return replace(check, scope="row", kernel=one_of(held))


def _judge_whole(whole: WholeExtract, checks: Sequence[Check], scanned: Scanned, referred: _Referred) -> None:
    for check in checks:
        names = [column.name for column in check.columns]
        if check.scope == "unique":
            scanned.marks.add_rows(check.rule.id, whole.repeated(names, scanned.keys[check.rule.id].suspects()))
        elif check.scope == "reference":
            dataset, columns = referred[check.rule.id]
            scanned.marks.add_rows(check.rule.id, whole.dangling(names, dataset, columns))


def _merged_rows(whole: WholeExtract, contract: Contract, scanned: Scanned, base: pads.Dataset | None) -> int:
    """Counts the rows of the snapshot that an incremental extract would make: its own new keys, and the base's rows."""
    if base is None:
        return scanned.marks.rows
    key = contract.primary_key
    fresh = len(whole.dangling(key, base, key)) if key else scanned.marks.rows
    return int(base.count_rows()) + fresh


def _ask_great_expectations(
    contract: Contract, checks: Sequence[Check], facts: Facts, judged_at: datetime
) -> tuple[frozenset[str], bytes]:
    """Returns which rules GX finds not kept by the extract as a whole, and GX's result."""
    from crossdock.validation.engine import result_document, run_suite
    from crossdock.validation.suite import compile_suite

    results = run_suite(compile_suite(contract, checks), checks, facts)
    unkept = {
        check.rule.id
        for check, result in zip(checks, results, strict=True)
        if check.judges_extract and not result.success
    }
    return frozenset(unkept), result_document(contract, results, instant(judged_at))


def _ages(checks: Sequence[Check], scanned: Scanned, context: Context) -> dict[str, float | None]:
    names = [check.columns[0].name for check in checks if check.scope == "freshness"]
    return {name: _age(name, scanned, context) for name in names}


def _age(column: str, scanned: Scanned, context: Context) -> float | None:
    """Returns the seconds since the newest value; days begin at midnight UTC, and instants without a zone are UTC."""
    values = [scanned.newest.get(column)]
    if context.base is not None:
        values += [pc.max(batch.column(0)).as_py() for batch in context.base.to_batches(columns=[column])]
    instants = [_instant(value) for value in values if value is not None]
    return (context.now - max(instants)).total_seconds() if instants else None


def _instant(value: date | datetime) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
