"""The data dictionary of an open version: what each published column means, as the contract and the file say."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import pyarrow as pa

from crossdock.contracts.agreement import Agreement
from crossdock.contracts.arrow import arrow_type
from crossdock.contracts.model import NESTED, Column, Contract
from crossdock.contracts.nested import routes

HEADER = ("column", "label", "type", "required", "key", "values", "protection", "description")
_TYPES = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "number"),
    (pa.types.is_decimal, "number"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_time, "time"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One published column as readers need to know it. `type` is the published value's, after protection."""

    column: str
    label: str
    type: str  # a Data Package field type
    required: bool
    key: bool
    values: tuple[str, ...]  # the only values it may have; () = no such list
    protection: str  # what was done to it before publication; "" = nothing
    description: str
    inside: tuple[Meaning, ...] = ()  # of an object, array or map: all that is in it, by path


def meanings(publication: Agreement, contract: Contract, schema: pa.Schema) -> tuple[Meaning, ...]:
    """Returns what each column of the published file means, in the file's order."""
    return tuple(_meaning(publication, contract, field) for field in schema)


def _inside(contract: Contract, column: Column) -> tuple[Meaning, ...]:
    """Returns what stands inside of an object, array or map, each under its path."""
    return tuple(
        Meaning(
            column=path,
            label=way[-1].label,
            type=_field_type(arrow_type(way[-1]), way[-1]),
            required=way[-1].required,
            key=False,
            values=_values(contract, way[-1]),
            protection="",
            description=way[-1].description,
        )
        for path, way in routes((column,)).items()
    )


def _meaning(publication: Agreement, contract: Contract, field: pa.Field) -> Meaning:
    column = contract.column(field.name)
    protection = publication.protect.get(field.name)
    clear = protection is None
    return Meaning(
        column=field.name,
        label=column.label,
        type=_field_type(field.type, column if clear else None),
        required=column.required and (protection is None or protection.kind != "drop"),
        key=column.key_position is not None and clear,
        values=_values(contract, column) if clear else (),
        protection=protection.in_words() if protection else "",
        description=column.description,
        inside=_inside(contract, column) if clear else (),
    )


def _field_type(arrow: pa.DataType, column: Column | None) -> str:
    if column and column.type in NESTED:
        return "array" if column.type == "array" else "object"
    return next((name for is_type, name in _TYPES if is_type(arrow)), "string")


def _values(contract: Contract, column: Column) -> tuple[str, ...]:
    for rule in contract.rules:
        values = rule.args.get("values")
        if rule.kind == "in_set" and rule.columns == (column.name,) and isinstance(values, list | tuple):
            return tuple(str(value) for value in values)
    return ()


def dictionary_csv(meant: tuple[Meaning, ...]) -> bytes:
    """Returns the dictionary as CSV: UTF-8 with a byte-order mark, so that spreadsheets show Chinese rightly."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(HEADER)
    for m in (each for meaning in meant for each in (meaning, *meaning.inside)):
        rows.writerow(
            [
                m.column,
                m.label,
                m.type,
                _word(m.required),
                _word(m.key),
                " | ".join(m.values),
                m.protection,
                m.description,
            ]
        )
    return text.getvalue().encode("utf-8-sig")


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
