"""From ODCS's types to a column's: logical type, exact decimals, date patterns, time zones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from open_data_contract_standard.model import SchemaProperty

from crossdock.contracts.documents import Document, spelled
from crossdock.contracts.model import Column, LogicalType
from crossdock.contracts.nested import with_children
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import did_you_mean

_LOGICAL: tuple[LogicalType, ...] = get_args(LogicalType)
_KNOWN = (*_LOGICAL, "vector")
_MAX_PRECISION = 38
_LAST = 1_000_000  # key columns without a position follow those that have one, in the contract's order
_PHYSICAL: Mapping[str, LogicalType] = {
    **dict.fromkeys(
        ("varchar", "varchar2", "nvarchar", "nvarchar2", "char", "character", "nchar", "bpchar", "text", "tinytext",
         "mediumtext", "longtext", "ntext", "citext", "string", "str", "clob", "nclob", "uuid", "guid",
         "uniqueidentifier", "enum", "json", "jsonb", "xml"),
        "string",
    ),
    **dict.fromkeys(
        ("int", "integer", "bigint", "smallint", "tinyint", "mediumint", "int2", "int4", "int8", "int16", "int32",
         "int64", "uint8", "uint16", "uint32", "long", "short", "byteint", "serial", "bigserial", "smallserial"),
        "integer",
    ),
    **dict.fromkeys(
        ("decimal", "dec", "numeric", "bignumeric", "number", "double", "float", "real", "float4", "float8",
         "float32", "float64", "money", "smallmoney"),
        "number",
    ),
    **dict.fromkeys(("bool", "boolean", "bit"), "boolean"),
    "date": "date",
    **dict.fromkeys(
        ("timestamp", "timestamptz", "timestamp_tz", "timestamp_ltz", "timestamp_ntz", "timestampntz", "datetime",
         "datetime2", "smalldatetime", "datetimeoffset"),
        "timestamp",
    ),
    "time": "time",
}  # fmt: skip
_ZONED = re.compile(r"(?<!n)tz|_ltz|with (local )?time zone|datetimeoffset")
# Date patterns as ODCS writes them (the letters of Java's DateTimeFormatter), and as strptime does; longest first.
_LETTERS = {
    "yyyy": "%Y", "uuuu": "%Y", "MM": "%m", "M": "%m", "dd": "%d", "d": "%d",
    "HH": "%H", "H": "%H", "mm": "%M", "m": "%M", "ss": "%S", "s": "%S",
}  # fmt: skip
_ISO_CLOCK = r"HH:mm(:ss(\.S+)?)?(Z|'Z'|[Xx]+)?"
_ISO = re.compile(rf"yyyy-MM-dd((T|'T'| ){_ISO_CLOCK})?|{_ISO_CLOCK}")
_WHOLE = {"date": {"Ymd"}, "time": {"HM", "HMS"}, "timestamp": {"Ymd", "YmdHM", "YmdHMS"}}


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
    zoned = options.get("timezone", bool(_ZONED.search((given.physicalType or "").lower())))
    if not isinstance(zoned, bool):
        document.report(
            (*at, "logicalTypeOptions", "timezone"), "`timezone` is true or false: whether values have one."
        )
    position = given.primaryKeyPosition if (given.primaryKeyPosition or 0) > 0 else None
    column = Column(
        name=given.name,
        source_name=given.physicalName or given.name,
        type=logical,
        precision=precision,
        scale=scale,
        timezone=logical == "timestamp" and zoned is True,
        formats=_formats(document, at, options, logical) if logical in _WHOLE else (),
        required=bool(given.required or given.primaryKey),
        key_position=(position or _LAST) if given.primaryKey else None,
        classification=given.classification,
        label=given.businessName or "",
        description=given.description or "",
        path=spelled(at),
    )
    return with_children(document, at, given, column, read_column)


def _logical(document: Document, at: Steps, given: SchemaProperty) -> LogicalType | None:
    physical = _physical(given)
    if given.logicalType == "date":
        return _of_date(given, physical)
    if given.logicalType in _LOGICAL:
        return given.logicalType
    if given.logicalType == "vector":
        return "array"
    if given.logicalType is not None:
        what = f"There is no logical type '{given.logicalType}'."
        document.report((*at, "logicalType"), what, did_you_mean(given.logicalType, _KNOWN))
    elif given.properties:
        return "object"
    elif physical is None:
        known = f"Write `logicalType`, one of: {', '.join(_KNOWN)}."
        unknown = f" and crossdock does not know its physicalType '{given.physicalType}'" if given.physicalType else ""
        document.report(at, f"Column '{given.name}' has no logicalType{unknown}.", known)
    else:
        return physical
    return None


def _physical(given: SchemaProperty) -> LogicalType | None:
    word = re.match(r"[a-z0-9_]*", (given.physicalType or "").strip().lower())
    return _PHYSICAL.get(word.group()) if word else None


def _of_date(given: SchemaProperty, physical: LogicalType | None) -> LogicalType:
    """ODCS 3.0 had no timestamp and no time: what has a time of day was a date too, and tools still write it so."""
    form = str((given.logicalTypeOptions or {}).get("format", ""))
    if "HH" in form:
        return "timestamp" if "yy" in form else "time"
    return physical if physical in ("timestamp", "time") else "date"


def _decimal(document: Document, at: Steps, given: SchemaProperty) -> tuple[int | None, int | None]:
    """Returns precision and scale of decimal(p, s), or two Nones for a binary float."""
    found = re.search(
        r"(?:decimal|dec|bignumeric|numeric|number)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)",
        (given.physicalType or "").lower(),
    )
    if not found:
        return None, None
    precision, scale = int(found[1][:9]), int((found[2] or "0")[:9])  # int() of a huge text is refused
    if not 1 <= precision <= _MAX_PRECISION or scale > precision:
        document.report(
            (*at, "physicalType"),
            f"decimal({precision},{scale}) has no exact form.",
            f"Use at most {_MAX_PRECISION} digits.",
        )
        return None, None
    return precision, scale


def _formats(document: Document, at: Steps, options: Mapping[str, Any], logical: LogicalType) -> tuple[str, ...]:
    """Returns the strptime pattern of dates that are not written in ISO 8601."""
    form = str(options.get("format") or "")
    if not form or _ISO.fullmatch(form):
        return ()
    place = (*at, "logicalTypeOptions", "format")
    pattern = form if "%" in form else "".join(_translated(form))
    fields = re.findall(r"%(.)", pattern.replace("%%", ""))
    if not set(fields) <= set("YmdHMS"):
        what = f"The date pattern '{form}' has parts crossdock can't read."
        document.report(place, what, f"Known are {', '.join(_LETTERS)}.")
    elif "".join(part for part in "YmdHMS" if part in fields) not in _WHOLE[logical] or len(set(fields)) < len(fields):
        document.report(place, f"The date pattern '{form}' names no whole {logical}, or a part twice.")
    else:
        return (pattern,)
    return ()


def _translated(form: str) -> Iterator[str]:
    """Yields the strptime words of a Java pattern; letters it does not know become a part that no one knows."""
    for word in re.finditer(r"'[^']*'|([A-Za-z])\1*|.", form, re.DOTALL):
        text = word.group()
        if text[0] == "'" and len(text) > 1:
            yield text[1:-1].replace("%", "%%")
        elif text.isascii() and text.isalpha() and text not in "TZ":
            yield _LETTERS.get(text, "%?")
        else:
            yield text.replace("%", "%%")
