"""The drafted contract as ODCS writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossdock.contracts.extension import PROPERTY
from crossdock.drafting.bounds import length_options, range_options
from crossdock.drafting.column import DraftedColumn, date_format
from crossdock.drafting.identifiers import IDENTIFIERS
from crossdock.drafting.naming import has_chinese
from crossdock.drafting.origin import Origin
from crossdock.drafting.study import Study

_PHYSICAL = {"number": "double"}


def property_of(drafted: DraftedColumn) -> dict[str, Any]:
    """Returns a column as a property of ODCS."""
    column, declared = drafted.column, drafted.declared
    comment = declared.comment if declared else ""
    label = column.source_name if has_chinese(column.source_name) else comment if has_chinese(comment) else ""
    physical = (
        f"decimal({column.precision},{column.scale})" if column.precision is not None else _PHYSICAL.get(column.type)
    )
    given = {
        "name": column.name,
        "businessName": label,
        "physicalName": column.source_name if column.source_name != column.name else "",
        "description": comment if comment != label else "",
        "logicalType": column.type,
        "physicalType": physical,
        "required": column.required,
        "primaryKey": column.key_position is not None,
        "primaryKeyPosition": column.key_position,
        "classification": drafted.sensitivity.classification,
        "enum": [{"value": value} for value in drafted.values],
        "logicalTypeOptions": _options(drafted),
        "quality": _quality(drafted.identifier),
        "customProperties": [{"property": PROPERTY, "value": {"confirm": drafted.question}}],
    }
    return {key: value for key, value in given.items() if value}


def _options(drafted: DraftedColumn) -> dict[str, Any]:
    column, facts = drafted.column, drafted.facts
    options: dict[str, Any] = {"format": date_format(column)} if column.formats else {}
    if column.type == "timestamp":
        options["timezone"] = column.timezone
    if drafted.identifier:
        return {**options, **IDENTIFIERS[drafted.identifier].options}
    if column.type == "string":
        if drafted.declared and drafted.declared.length:
            return {"maxLength": max(drafted.declared.length, facts.longest)}
        return {} if drafted.values else length_options(facts)
    return options if drafted.sensitivity.personal else {**options, **range_options(column, facts)}


def _quality(identifier: str) -> list[dict[str, Any]]:
    expectation = IDENTIFIERS[identifier].expectation if identifier else ""
    if not expectation:
        return []
    return [{"type": "custom", "engine": "greatExpectations", "implementation": {"type": expectation}}]


def extension_of(
    origin: Origin, studied: Study, columns: Sequence[DraftedColumn], department: str, dataset: str
) -> tuple[dict[str, Any], list[str]]:
    """Returns the crossdock property, in which nothing may be shared yet, and what it asks."""
    source = origin.blank.source
    options = dict(source.options) if source else {}
    connection = (source.connection if source else "") or f"dept_{department or 'to_be_stated'}"
    subject = next((s for each in columns if (s := _subject(each))), None)
    questions = [
        "the title in both languages, the sharing class, and the article of law that it rests on",
        f"the source: connection {connection}, " + ", ".join(f"{k} {v}" for k, v in options.items()),
    ]
    if subject:
        questions.append(f"a record is about the {subject['kind']} that {subject['column']} names")
    if studied.null_tokens:
        questions.append(f"these texts mean that a value is missing, in every column: {', '.join(studied.null_tokens)}")
    if not studied.keys:
        questions.append("there is no primary key: no column, nor two of them, name one row each")
    if studied.left_out:
        questions.append(f"left out, because no contract can describe their values: {', '.join(studied.left_out)}")
    extension = {
        "confirm": [f"{question}." for question in questions],
        "title": {"zh": dataset, "en": dataset},
        "sharing": {"class": "none", "basis": "to be stated"},
        **({"subject": subject} if subject else {}),
        "source": {"kind": source.kind if source else "files", "connection": connection, **options},
        **({"nullTokens": list(studied.null_tokens)} if studied.null_tokens else {}),
    }
    return extension, questions


def _subject(drafted: DraftedColumn) -> dict[str, str] | None:
    kind = {"resident_id": "person", "credit_code": "enterprise"}.get(drafted.identifier)
    return {"kind": kind, "column": drafted.column.name} if kind else None
