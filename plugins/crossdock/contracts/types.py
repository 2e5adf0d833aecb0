"""From ODCS's types to a column's: logical type, exact decimals, date patterns, time zones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from open_data_contract_standard.model import SchemaProperty

from crossdock.contracts.documents import Document, Steps
from crossdock.contracts.model import Column, LogicalType
from crossdock.errors import did_you_mean

_LOGICAL: tuple[LogicalType, ...] = get_args(LogicalType)
_MAX_PRECISION = 38
_PHYSICAL: Mapping[str, LogicalType] = {
    **dict.fromkeys(
        ("varchar", "char", "character", "nvarchar", "nchar", "text", "string", "clob", "uuid", "str"), "string"
    ),
    **dict.fromkeys(
        ("int", "integer", "bigint", "smallint", "tinyint", "int2", "int4", "int8", "int32", "int64", "long"), "integer"
    ),
    **dict.fromkeys(("decimal", "numeric", "number", "double", "float", "real", "float4", "float8", "money"), "number"),
    **dict.fromkeys(("bool", "boolean", "bit"), "boolean"),
    "date": "date",
    **dict.fromkeys(
        ("timestamp", "datetime", "timestamptz", "datetime2", "timestamp_tz", "timestamp_ntz"), "timestamp"
    ),
    "time": "time",
}
# Date patterns as ODCS writes them (the letters of Java's DateTimeFormatter), and as strptime does.
_LETTERS = {"yyyy": "%Y", "uuuu": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_ISO = {"yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-ddTHH:mm:ss", "HH:mm:ss", "HH:mm"}
_ISO |= {
    f"{form}{zone}" for form in ("yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-ddTHH:mm:ss") for zone in ("Z", "'Z'", "XXX", "xxx")
}


def read_column(document: Document, at: Steps, given: SchemaProperty) -> Column | None:
    """Returns a property as a column, or None after noting why it can't be one."""
    if not given.name:
        document.report(at, "A property needs a name.")
        return None
    logical = _logical(document, at, given)
    if logical is None:
        return None
    precision, scale = _decimal(document, at, given) if logical == "number" else (None, None)
    options = given.logicalTypeOptions or {}
    physical = (given.physicalType or "").lower()
    zoned = options.get("timezone", "tz" in physical or "with time zone" in physical)
    return Column(
        name=given.name,
        source_name=given.physicalName or given.name,
        type=logical,
        precision=precision,
        scale=scale,
        timezone=logical == "timestamp" and bool(zoned),
        formats=_formats(document, at, options) if logical in ("date", "timestamp", "time") else (),
        required=bool(given.required or given.primaryKey),
        key_position=_key_position(given, at),
        classification=given.classification,
        label=given.businessName or "",
        description=given.description or "",
        path=f"{'.'.join(map(str, at))}",
    )


def _logical(document: Document, at: Steps, given: SchemaProperty) -> LogicalType | None:
    if given.logicalType in _LOGICAL:
        return given.logicalType
    if given.logicalType in ("object", "array", "map", "vector"):
        document.report(
            (*at, "logicalType"),
            f"Columns of type {given.logicalType} can't be run yet.",
            "Flatten it into plain columns, or declare it a string that holds JSON.",
        )
        return None
    if given.logicalType is not None:
        document.report(
            (*at, "logicalType"),
            f"There is no logical type '{given.logicalType}'.",
            did_you_mean(given.logicalType, _LOGICAL),
        )
        return None
    word = re.match(r"[a-z0-9_]*", (given.physicalType or "").strip().lower())
    found = _PHYSICAL.get(word.group()) if word else None
    if found is None:
        document.report(at, f"Column '{given.name}' has no logicalType.", f"Write one of: {', '.join(_LOGICAL)}.")
    return found


def _decimal(document: Document, at: Steps, given: SchemaProperty) -> tuple[int | None, int | None]:
    """Returns precision and scale of decimal(p, s), or two Nones for a binary float."""
    found = re.search(
        r"(?:decimal|numeric|number)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", (given.physicalType or "").lower()
    )
    if not found:
        return None, None
    precision, scale = int(found[1]), int(found[2] or 0)
    if not 1 <= precision <= _MAX_PRECISION or scale > precision:
        document.report(
            (*at, "physicalType"),
            f"decimal({precision},{scale}) has no exact form.",
            f"Use at most {_MAX_PRECISION} digits.",
        )
        return None, None
    return precision, scale


def _key_position(given: SchemaProperty, at: Steps) -> int | None:
    """Returns a key column's place in the key; those without one follow in the contract's order."""
    if not given.primaryKey:
        return None
    position = given.primaryKeyPosition
    return position if position and position > 0 else 10_000 + int(at[-1])


def _formats(document: Document, at: Steps, options: Mapping[str, Any]) -> tuple[str, ...]:
    form = options.get("format")
    if not form or form in _ISO:
        return ()
    place = (*at, "logicalTypeOptions", "format")
    pattern, rest = "", str(form)
    while rest:
        letters = next((word for word in _LETTERS if rest.startswith(word)), None)
        quoted = re.match(r"'([^']*)'", rest)
        if letters:
            pattern, rest = pattern + _LETTERS[letters], rest[len(letters) :]
        elif quoted:
            pattern, rest = pattern + quoted[1].replace("%", "%%"), rest[quoted.end() :]
        elif rest[0].isascii() and rest[0].isalpha() and rest[0] not in "TZ":
            document.report(
                place,
                f"The date pattern '{form}' has letters crossdock can't read: '{rest[0]}'.",
                f"Known are {', '.join(_LETTERS)}.",
            )
            return ()
        else:
            pattern, rest = pattern + rest[0].replace("%", "%%"), rest[1:]
    return (pattern,)
