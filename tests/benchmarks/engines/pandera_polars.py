"""pandera on polars, lazily collecting every failing row."""

from __future__ import annotations

from datetime import date

import pandera.polars as pa
import polars as pl
from engine import run

KINDS = {
    "string": pl.String,
    "date": pl.Date,
    "integer": pl.Int64,
    "number": pl.Decimal(12, 2),
    "timestamp": pl.Datetime("us"),
}


def judge(job, path):
    schema = schema_of(job)
    rows = pl.read_parquet(path)
    found = {rule.id: 0 for rule in job.rules if rule.kind != "checksum"}
    try:
        schema.validate(rows, lazy=True)
    except pa.errors.SchemaErrors as errors:
        if job.settings.get("files"):
            write(rows, errors.failure_cases, job.scratch)
        for case in errors.failure_cases.group_by("column", "check").len().iter_rows(named=True):
            found[rule_of(job, case)] += case["len"]
    return found


def write(rows, cases, scratch):
    """Writes sound and failing rows, as crossdock does (without the reasons, and without reconciling them)."""
    broken = rows.with_row_index("_row")["_row"].is_in(cases["index"].drop_nulls().unique().cast(pl.UInt32).implode())
    rows.filter(~broken).write_parquet(scratch / "accepted.parquet", compression="zstd", compression_level=1)
    rows.filter(broken).write_parquet(scratch / "quarantine.parquet", compression="zstd", compression_level=1)


def rule_of(job, case):
    """Finds the rule a check stands for: checks are named by it, but for the schema's own ones."""
    for rule in job.rules:
        own = {"not_null": "not_nullable", "unique": "field_uniqueness"}.get(rule.kind)
        if own == case["check"] and rule.columns == (case["column"],):
            return rule.id
    named = {rule.id for rule in job.rules}
    return (
        case["check"]
        if case["check"] in named
        else next(r.id for r in job.rules if len(r.columns) == 2 and r.kind == "unique")
    )


def schema_of(job):
    codes = pl.read_parquet(job.divisions)["code"].to_list()
    columns = {}
    for name, kind in job.types.items():
        rules = [rule for rule in job.rules if rule.columns == (name,)]
        kinds = {rule.kind for rule in rules}
        checks = [check_of(rule, kind, codes) for rule in rules if rule.kind not in ("not_null", "unique", "checksum")]
        columns[name] = pa.Column(KINDS[kind], checks, nullable="not_null" not in kinds, unique="unique" in kinds)
    pairs = [list(rule.columns) for rule in job.rules if rule.kind == "unique" and len(rule.columns) == 2]
    ordered = [
        pa.Check(later(*rule.columns), name=rule.id, error=rule.id) for rule in job.rules if rule.kind == "ordered"
    ]
    return pa.DataFrameSchema(columns, checks=ordered, unique=pairs[0])


def later(first, second):
    return lambda data: data.lazyframe.select((pl.col(first) <= pl.col(second)).fill_null(value=True))


def check_of(rule, kind, codes):
    args, named = rule.args, {"name": rule.id, "error": rule.id}
    if rule.kind == "pattern":
        return pa.Check.str_matches(args["regex"], **named)
    if rule.kind == "length":
        return pa.Check.str_length(args.get("min"), args.get("max"), **named)
    if rule.kind in ("in_set", "reference"):
        return pa.Check.isin(args["values"] if rule.kind == "in_set" else codes, **named)
    if rule.kind == "not_in_set":
        return pa.Check.notin(args["values"], **named)
    low, high = (date.fromisoformat(args[end]) if kind == "date" else args[end] for end in ("min", "max"))
    return pa.Check.in_range(low, high, **named)


run(judge, ("pandera", "polars"))
