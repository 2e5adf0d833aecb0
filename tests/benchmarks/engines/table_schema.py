"""frictionless: a table schema over the CSV file, with every failing cell reported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from engine import run
from frictionless import Resource, Schema, validate
from frictionless.checks import row_constraint

KINDS = {"timestamp": "datetime"}
CONSTRAINTS = {
    "pattern": {"regex": "pattern"},
    "length": {"min": "minLength", "max": "maxLength"},
    "in_set": {"values": "enum"},
}


def judge(job, path):
    codes = Path(job.settings["codes"]).read_text("utf-8").split()
    ordered = next(rule for rule in job.rules if rule.kind == "ordered")
    first, second = ordered.columns
    resource = Resource(path=path.name, basepath=str(path.parent), schema=schema_of(job, codes))
    constraint = row_constraint(formula=f"not {first} or not {second} or {first} <= {second}")
    report = validate(resource, checks=[constraint], limit_errors=10_000_000)
    found = {rule.id: 0 for rule in job.rules if rule.kind not in ("checksum", "not_in_set")}
    found.update(
        Counter(filter(None, (rule_of(job, *error) for error in report.flatten(["type", "fieldName", "note"]))))
    )
    return found


def rule_of(job, kind, column, note):
    if kind == "row-constraint":
        return next(rule.id for rule in job.rules if rule.kind == "ordered")
    if kind == "primary-key":
        return next(rule.id for rule in job.rules if rule.kind == "unique" and len(rule.columns) == 2)
    if kind == "unique-error":
        return next(rule.id for rule in job.rules if rule.kind == "unique" and rule.columns == (column,))
    for rule in job.rules:
        words = {
            "not_null": ("required",),
            "between": ("minimum", "maximum"),
            "length": ("minLength", "maxLength"),
            "reference": ("enum",),
            "in_set": ("enum",),
            "pattern": ("pattern",),
        }
        if rule.columns == (column,) and any(f'"{word}' in note for word in words.get(rule.kind, ())):
            return rule.id
    return None


def schema_of(job, codes):
    fields = []
    for name, kind in job.types.items():
        constraints = {}
        for rule in (rule for rule in job.rules if rule.columns == (name,)):
            if rule.kind in CONSTRAINTS:
                constraints |= {
                    to: rule.args[key] for key, to in CONSTRAINTS[rule.kind].items() if rule.args.get(key) is not None
                }
            elif rule.kind == "between":
                constraints |= {"minimum": rule.args["min"], "maximum": rule.args["max"]}
            elif rule.kind == "reference":
                constraints["enum"] = codes
            elif rule.kind in ("not_null", "unique"):
                constraints["required" if rule.kind == "not_null" else "unique"] = True
        fields.append({"name": name, "type": KINDS.get(kind, kind), "constraints": constraints})
    key = next(list(rule.columns) for rule in job.rules if rule.kind == "unique" and len(rule.columns) == 2)
    return Schema.from_descriptor({"fields": fields, "primaryKey": key})


run(judge, ("frictionless",))
