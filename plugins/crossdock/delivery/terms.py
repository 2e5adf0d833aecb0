"""What one agreement makes of a snapshot: which columns leave in which form, and the hashes that name each record."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.agreement import Agreement, Protection
from crossdock.contracts.arrow import arrow_type
from crossdock.contracts.model import NESTED, Column, Contract
from crossdock.contracts.rows import parse
from crossdock.delivery.protect import protect, protected_type
from crossdock.delivery.rows import expression
from crossdock.errors import DeliveryRefused
from crossdock.identity import content_id, keyed_hashes
from crossdock.keys import Keys

_FORM = 1  # of what protections make of values


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """An agreement bound to a snapshot's schema; everything that leaves passes through `outgoing`."""

    schema: pa.Schema  # of what leaves: the agreed columns in agreed order, no metadata
    key_columns: tuple[str, ...]  # by which a consumer finds a record in what it holds; empty in mode full
    keep: pc.Expression  # the row filter
    filtered_by: frozenset[str]  # the columns it looks at
    protections: Mapping[str, Protection]
    pseudonym_key: bytes = field(repr=False)
    ledger_key: bytes = field(repr=False)
    record_columns: tuple[str, ...]
    record_domain: str
    subject_column: str | None  # None: the dataset has no subject, or the record's own hash is the subject's
    subject_domain: str
    given: tuple[str, ...]  # the snapshot's columns, in its order
    order_by: str  # the pseudonym by which rows are sorted, see `own_order`; "": they stay in the snapshot's order
    layout: str  # changes when the consumer's holdings cannot be brought up to date row by row

    @classmethod
    def of(cls, agreement: Agreement, contract: Contract, given: pa.Schema, keys: Keys, *, today: date) -> Self:
        """Binds an agreement to a snapshot's schema, and its row filter to a day.

        Raises:
            DeliveryRefused: the snapshot lacks a column, or has it in another type (it was validated by an older contract).
            RowFilterInvalid: the row filter does not fit the contract.
        """
        columns = {c.name: c for c in contract.columns}
        rows = parse(agreement.rows, columns, today=today)
        needed = {*agreement.columns, *rows.columns, *contract.primary_key}
        _demand(needed, given, agreement)
        _demand_types([columns[name] for name in sorted(needed & columns.keys())], rows.columns, given, agreement)
        schema = pa.schema(
            pa.field(name, protected_type(plain_type(given.field(name).type), agreement.protect.get(name)))
            for name in agreement.columns
        )
        key = contract.primary_key
        subject = contract.subject
        is_subject = subject is not None and key == (subject.column,)
        key_columns = key if agreement.delivery.mode == "changes" else ()
        spec = agreement.delivery
        return cls(
            schema=schema,
            key_columns=key_columns,
            keep=expression(rows, given),
            filtered_by=frozenset(rows.columns),
            protections={n: replace(p, strict=columns[n].is_sensitive) for n, p in agreement.protect.items()},
            pseudonym_key=keys.of_consumer(agreement.consumer),
            ledger_key=keys.ledger,
            record_columns=key or tuple(given.names),
            record_domain=subject.kind if subject and is_subject else contract.id,
            subject_column=subject.column if subject and not is_subject else None,
            subject_domain=subject.kind if subject else "",
            given=tuple(given.names),
            order_by=_order_by(agreement, columns),
            layout=content_id(
                [(f.name, str(f.type)) for f in schema], key_columns, spec.channel, spec.connection, dict(spec.options)
            ),
        )

    @property
    def form(self) -> str:
        """Names what makes of a row what leaves, and what the ledger knows it by: the same form, the same of the same row."""
        keys = [hashlib.blake2b(key=key, digest_size=16).hexdigest() for key in (self.pseudonym_key, self.ledger_key)]
        names = (self.given, self.record_columns, self.record_domain, self.subject_column, self.subject_domain)
        protections = {name: repr(self.protections[name]) for name in sorted(self.protections)}
        return content_id("form", _FORM, str(self.schema), protections, str(self.keep), keys, names)

    def outgoing(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Returns the agreed columns in the agreed form: the only way by which values leave, but for `encoded`."""
        columns = [self._leaving(batch.column(field.name), field.name) for field in self.schema]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def encoded(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Returns what `outgoing` does, with texts that come as dictionaries left so; their values are of these rows alone."""
        columns = [
            used(batch.column(field.name))
            if self._stays_encoded(batch.schema, field)
            else self._leaving(batch.column(field.name), field.name)
            for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.encoded_schema(batch.schema))

    def encoded_schema(self, given: pa.Schema) -> pa.Schema:
        """Returns the schema of `encoded` for rows of a schema."""
        return pa.schema(
            field.with_type(given.field(field.name).type) if self._stays_encoded(given, field) else field
            for field in self.schema
        )

    def _stays_encoded(self, given: pa.Schema, field: pa.Field) -> bool:
        kind = given.field(field.name).type
        return (
            pa.types.is_dictionary(kind) and field.name not in self.protections and pa.types.is_string(kind.value_type)
        )

    def _leaving(self, values: pa.Array, name: str) -> pa.Array:
        return protect(plain(values), self.protections.get(name), key=self.pseudonym_key)

    @property
    def pseudonyms(self) -> frozenset[str]:
        """The columns that leave as pseudonyms."""
        return frozenset(name for name, protection in self.protections.items() if protection.kind == "pseudonymise")

    def without(self, names: Collection[str]) -> Self:
        """Returns the terms for the other columns that leave."""
        return replace(self, schema=pa.schema([field for field in self.schema if field.name not in names]))

    def records(self, batch: pa.RecordBatch) -> pa.Array:
        """Returns one keyed hash per row that names the record in the ledger."""
        named = self.record_domain == self.subject_domain
        rows = _normalised(batch, self.record_columns[0]) if named else batch
        return keyed_hashes(rows, self.record_columns, key=self.ledger_key, domain=self.record_domain)

    def subjects(self, batch: pa.RecordBatch) -> pa.Array | None:
        """Returns one keyed hash per row that names whom it is about; None when `records` does, or nobody is."""
        if self.subject_column is None:
            return None
        rows = _normalised(batch, self.subject_column)
        return keyed_hashes(rows, (self.subject_column,), key=self.ledger_key, domain=self.subject_domain)


def _order_by(agreement: Agreement, columns: Mapping[str, Column]) -> str:
    """Where something sensitive leaves as it is, rows can be told apart by it, and their order tells nothing more."""
    if any(columns[name].is_sensitive and name not in agreement.protect for name in agreement.columns):
        return ""
    kinds = {name: agreement.protect[name].kind for name in agreement.columns if name in agreement.protect}
    return next((name for name, kind in kinds.items() if kind == "pseudonymise"), "")


def plain_type(given: pa.DataType) -> pa.DataType:
    """Returns the type without its encoding: a dictionary would take values along that no row has."""
    value = given.value_type if pa.types.is_dictionary(given) else given
    return pa.string() if pa.types.is_large_string(value) or pa.types.is_string_view(value) else value


def plain(values: pa.Array) -> pa.Array:
    """Returns values in their `plain_type`."""
    wanted = plain_type(values.type)
    return values if values.type == wanted else values.cast(wanted)


def used(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """Returns values with a dictionary in which nothing stands that none of them is."""
    there = np.asarray(values.indices.is_valid())
    places = np.asarray(values.indices.fill_null(0))
    known = np.zeros(len(values.dictionary), np.bool_)
    known[places[there]] = True
    if known.all():
        return values
    moved = (np.cumsum(known) - 1).astype(places.dtype)[places] if len(known) else places
    return pa.DictionaryArray.from_arrays(pa.array(moved, mask=~there), values.dictionary.filter(pa.array(known)))


def _demand(names: set[str], given: pa.Schema, agreement: Agreement) -> None:
    missing = sorted(names - set(given.names))
    if missing:
        raise DeliveryRefused(
            f"The snapshot has no column {', '.join(missing)}: it was validated by an older contract.",
            where=agreement.id,
            fix="Pull and validate the dataset again.",
        )


def _demand_types(needed: list[Column], compared: Collection[str], given: pa.Schema, agreement: Agreement) -> None:
    """Sees that columns are of the contract's types; how many digits a decimal has matters only to what compares it."""
    for column in needed:
        has, wanted = plain_type(given.field(column.name).type), arrow_type(column)
        likewise = has == wanted or column.type in NESTED
        if not likewise and not (
            pa.types.is_decimal(has) and pa.types.is_decimal(wanted) and column.name not in compared
        ):
            raise DeliveryRefused(
                f"In the snapshot, column {column.name} is of another type: it was validated by an older contract.",
                where=agreement.id,
                fix="Pull and validate the dataset again.",
            )


def _normalised(batch: pa.RecordBatch, column: str) -> pa.RecordBatch:
    """An identifier ending in x or X names one person: people are looked up by the upper-case form."""
    index = batch.schema.get_field_index(column)
    values = plain(batch.column(index))
    if not pa.types.is_string(values.type):
        return batch
    upper = pc.ascii_upper if pc.all(pc.string_is_ascii(values)).as_py() else pc.utf8_upper  # the same, much faster
    return batch.set_column(index, column, upper(values))
