"""datacontract-cli: the contract as ODCS, tested against the parquet file by its own checks."""

from __future__ import annotations

import logging

import yaml
from datacontract.data_contract import DataContract
from engine import run

OPTIONS = {
    "pattern": {"regex": "pattern"},
    "length": {"min": "minLength", "max": "maxLength"},
    "between": {"min": "minimum", "max": "maximum"},
}
TYPES = {
    "pattern": "field_regex",
    "in_set": "field_enum",
    "not_null": "field_required",
    "reference": "field_relationships",
}


def judge(job, path):
    logging.disable(logging.CRITICAL)
    folder = job.scratch / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in ((path, "population"), (job.divisions, "divisions")):
        if not (folder / f"{name}.parquet").exists():
            (folder / f"{name}.parquet").symlink_to(source)
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract(job, folder)), "utf-8")
    result = DataContract(data_contract_file=str(folder / "contract.yaml"), server="local").test()
    found = {}
    for check in result.checks:
        rule = rule_of(job, check)
        if rule and str(check.result.value) in ("passed", "failed"):
            found[rule] = found.get(rule, 0) + rows_of(check)
    return found


def rows_of(check):
    said = check.diagnostics or {}
    return int(said.get("failed_rows", said.get("value", said.get("actual", 0))) or 0)


def rule_of(job, check):
    if check.qualityId:
        return next(rule.id for rule in job.rules if plain(rule) == check.qualityId)
    for rule in job.rules:
        types = {
            "between": ("field_minimum", "field_maximum"),
            "length": ("field_min_length", "field_max_length"),
            "unique": ("field_unique",),
        }.get(rule.kind, (TYPES.get(rule.kind),))
        if rule.columns == (check.field,) and check.type in types:
            return rule.id
    return None


def plain(rule):
    """Returns the rule's id as ODCS allows it."""
    return rule.id.replace(".", "_")


def contract(job, folder):
    properties = {name: {"name": name, "logicalType": kind} for name, kind in job.types.items()}
    quality = []
    for rule in job.rules:
        declare(properties[rule.columns[0]], quality, rule)
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "population",
        "version": "1.0.0",
        "status": "active",
        "servers": [{"server": "local", "type": "local", "path": f"{folder}/{{model}}.parquet", "format": "parquet"}],
        "schema": [
            {"name": "population", "properties": list(properties.values()), "quality": quality},
            {"name": "divisions", "properties": [{"name": "code", "logicalType": "string"}]},
        ],
    }


def declare(column, quality, rule):
    """Writes a rule where ODCS has a place for it; two as SQL."""
    name, args = rule.columns[0], rule.args
    options = {option: args[key] for key, option in OPTIONS.get(rule.kind, {}).items() if args.get(key) is not None}
    column.setdefault("logicalTypeOptions", {}).update(options)
    if rule.kind == "not_null":
        column["required"] = True
    elif rule.kind == "in_set":
        column["enum"] = [{"value": value} for value in args["values"]]
    elif rule.kind == "reference":
        column["relationships"] = [{"type": "foreignKey", "to": "divisions.code"}]
    elif rule.kind == "unique" and len(rule.columns) == 1:
        column["unique"] = True
    elif rule.kind == "unique":
        arguments = {"properties": list(rule.columns)}
        quality.append({"id": plain(rule), "metric": "duplicateValues", "arguments": arguments, "mustBe": 0})
    elif rule.kind in ("not_in_set", "ordered"):
        listed = ", ".join(f"'{value}'" for value in args.get("values", ()))
        broken = f"{name} IN ({listed})" if listed else f"{name} > {rule.columns[1]}"
        query = f"SELECT count(*) FROM population WHERE {broken}"
        quality.append({"id": plain(rule), "type": "sql", "query": query, "mustBe": 0})


run(judge, ("datacontract-cli", "duckdb"))
