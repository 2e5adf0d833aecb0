"""What a contract and a department are inside crossdock: small frozen values, no YAML and no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

LogicalType = Literal["string", "integer", "number", "boolean", "date", "timestamp", "time", "object", "array", "map"]
NESTED: frozenset[str] = frozenset({"object", "array", "map"})
Severity = Literal["error", "warning"]
RuleKind = Literal[
    "type",  # the value fits the declared type
    "not_null",
    "unique",  # one or several columns; every copy of a repeated non-null key fails
    "in_set",  # args: values
    "not_in_set",  # args: values
    "pattern",  # args: regex (RE2)
    "length",  # args: min, max (characters)
    "between",  # args: min, max, strict_min, strict_max, in the column's own type
    "ordered",  # columns (a, b): a <= b; args: strict
    "reference",  # args: dataset, columns (of that dataset), None dataset = this one
    "checksum",  # args: scheme ("gb11643" | "gb32100")
    "row_count",  # args: limits (whole extract)
    "freshness",  # args: max_age_seconds (whole extract, newest value of the column)
    "count",  # args: of (another RuleKind plus its args), limits: a library metric that no single row can be blamed for
    "items",  # args: min, max: how many an array holds
    "unique_items",  # no value stands twice in an array
    "properties",  # args: min, max: how many an object has; names: those that it must have
    "drift",  # args: measure, max (percent), history: how far from earlier extracts (whole extract)
    "query",  # args: sql, tables (names it may go by), dated, limits: the one number that a query returns
    "expectation",  # args: type, kwargs: a Great Expectations expectation as written
]
# Kinds that hold or not for the whole extract. Their limits are `contracts.limits.Limits` spelled as args.
OF_EXTRACT: frozenset[str] = frozenset({"row_count", "freshness", "count", "query", "drift"})
# What becomes of a source's columns that the contract does not know: they are left, the extract is rejected, or they are
# kept in landing only.
ColumnPolicy = Literal["discard", "freeze", "evolve"]
Sharing = Literal["unconditional", "conditional", "none"]
IN_FORCE = frozenset({"active", "deprecated"})  # ODCS: a deprecated contract still holds until it is retired
HARMLESS = frozenset({"public", "internal"})  # classifications whose columns departments may exchange as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A name people read, in both languages of the house."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """A public body that provides or consumes data; `id` is its folder's name."""

    id: str
    name: Label
    contact: str
    path: Path
    findings: str = ""  # connection to which findings about its data are sent; "" for nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One property of the contract's schema.

    `source_name` is the column's name where it is pulled from (ODCS physicalName, else the name).
    `precision` and `scale` are set for exact decimals; a number without them is a 64-bit float.
    `formats` are strptime patterns for dates, timestamps and times that arrive as text (default ISO 8601).
    `children` are what is inside of it: the properties of an object, the items of an array, key and value of a map; a
    child's `name` is its path from the column on (see `contracts.nested`), `field` its name inside of its parent. An
    object or array without children is free in form, and held as JSON text.
    """

    name: str
    source_name: str
    type: LogicalType
    precision: int | None = None
    scale: int | None = None
    timezone: bool = False
    formats: tuple[str, ...] = ()
    required: bool = False
    key_position: int | None = None  # 1-based, set for primary-key columns
    classification: str | None = None
    label: str = ""  # businessName
    description: str = ""
    path: str = ""  # YAML path in the contract
    field: str = ""  # "" for a column of the table
    children: tuple[Column, ...] = ()

    @property
    def is_sensitive(self) -> bool:
        """True when it leaves only protected, or on a legal basis of its own: so it, or a part of it, is classified."""
        own = self.classification is not None and self.classification.casefold() not in HARMLESS
        return own or any(child.is_sensitive for child in self.children)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How much of an extract may break a rule before the whole extract is rejected; None in both = any share."""

    rows: int | None = None  # rejected when more rows than this fail
    percent: float | None = None  # rejected when a larger percentage of the rows fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One promise of the contract, in the form the validation engine compiles.

    `id` is unique in the contract and stable across versions (`resident_id.unique`).
    `reason` is the sentence a person reads for a failing row; it never contains a value of the row.
    """

    id: str
    kind: RuleKind
    columns: tuple[str, ...]
    args: Mapping[str, object] = field(default_factory=dict)
    severity: Severity = "error"
    tolerance: Tolerance = Tolerance()
    dimension: str = ""
    reason: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformStep:
    """One standardising step: a function of transforms/<use>.py applied to columns of the raw batch."""

    use: str
    columns: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    reference: str | None = None  # dataset id whose snapshot the function gets as `reference`
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a record is about, so that they can ask who received it."""

    kind: Literal["person", "enterprise"]
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """Where a dataset is pulled from. No host and no secret: those live in the connection.

    `kind` names a module in crossdock.sources; `connection` is an Airflow connection id ("" for none).
    `watermark` is the column (contract name) whose newest value the next pull starts after; "" pulls in full.
    `options` are the source kind's own (table; path, format, encoding, delimiter, sheet; url, page, records, ...).
    """

    kind: Literal["database", "files", "http", "ledger"]
    connection: str = ""
    watermark: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A dataset's data contract. `id` is "<department>/<dataset>", the folder names, everywhere in crossdock.

    `digest` names the file's meaning: two contracts with one digest validate alike.
    """

    id: str
    department: str
    dataset: str
    version: str
    status: str
    title: Label
    description: str
    theme: str  # ODCS domain
    sharing: Sharing
    sharing_basis: str  # legal article, required unless unconditional
    subject: Subject | None
    source: SourceSpec | None  # None: validated by hand only
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    transforms: tuple[TransformStep, ...]
    tolerance: Tolerance = Tolerance()  # over all rules together
    schedule: str | None = None  # cron or preset from slaProperties frequency
    retention: str = ""  # ISO 8601 duration from slaProperties retention: how long the department keeps the rows
    new_columns: ColumnPolicy = "discard"
    null_tokens: tuple[str, ...] = ()  # texts that mean null, beside those the format itself has
    digest: str = ""
    path: Path = Path()

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the key columns in key order; empty when the contract declares none."""
        keyed = [c for c in self.columns if c.key_position is not None]
        return tuple(c.name for c in sorted(keyed, key=lambda c: c.key_position or 0))

    @property
    def refers_to(self) -> frozenset[str]:
        """Ids of the other datasets that rules and transforms look things up in."""
        named = {str(r.args["dataset"]) for r in self.rules if r.kind == "reference" and r.args.get("dataset")}
        return frozenset(named | {step.reference for step in self.transforms if step.reference}) - {self.id}

    def column(self, name: str) -> Column:
        """Returns the column of that name (KeyError when there is none: loading has cross-checked names)."""
        return next(c for c in self.columns if c.name == name)
