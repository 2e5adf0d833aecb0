"""Waivers: rows that a person wants accepted although they break rules, known by the hash of what arrived.

A waiver holds for the same row, as long as it arrives unchanged, in this extract and in later ones. Rules about an
extract as a whole (row count, freshness, tolerances) are waived for one extract only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from crossdock.contracts.model import Contract
from crossdock.identity import content_id, keyed_hashes
from crossdock.validation.marks import Marks
from crossdock.validation.plan import Check
from crossdock.validation.scan import raw_batches

HASH = pa.binary(16)
_PUBLIC = b"crossdock waiver"  # no secret: what is hashed need not be hidden, only told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """What is waived in an extract: per rule the hashes of rows (fixed_size_binary(16)), and rules of the whole."""

    rows: Mapping[str, pa.Array] = field(default_factory=dict)
    of_extract: frozenset[str] = frozenset()


def waivable(contract: Contract, checks: Iterable[Check]) -> frozenset[str]:
    """Returns the rules that can be waived for a row: not those that the snapshot itself stands on.

    A value must fit its type, a required column must be filled, and the primary key must name one row.
    """
    required = {column.name for column in contract.columns if column.required}
    return frozenset(
        check.rule.id
        for check in checks
        if check.quarantines
        and check.scope != "type"
        and not (check.rule.kind == "not_null" and check.rule.columns[0] in required)
        and not (check.scope == "unique" and set(check.rule.columns) == set(contract.primary_key))
    )


def arrived_hashes(rows: pa.RecordBatch, columns: Sequence[str]) -> pa.Array:
    """Returns one hash per row over the contract's columns as they arrived, as fixed_size_binary(16).

    A cryptographic one, unlike that of `rowhash`: nobody can make another row that passes for a waived one.
    """
    present = [name for name in columns if name in rows.schema.names]
    return keyed_hashes(rows, present, key=_PUBLIC, domain=content_id("waiver", present))


def waive(marks: Marks, extract: pads.Dataset, columns: Sequence[str], waived: Waived) -> Mapping[str, int]:
    """Takes the marks of waived rules from waived rows, and returns how many rows that concerned, per rule."""
    counts = dict.fromkeys(waived.rows, 0)
    for number, raw in enumerate(raw_batches(extract) if waived.rows else ()):
        masks = marks.masks(number, waived.rows)
        failing = marks.broken(number, waived.rows)
        if not failing.any():
            continue
        places = np.nonzero(failing)[0]
        hashes = arrived_hashes(raw.take(pa.array(places)), columns)
        for rule, mask in masks.items():
            known = pc.is_in(hashes, value_set=waived.rows[rule]).to_numpy(zero_copy_only=False) & mask[places]
            marks.clear(rule, number, places[known])
            counts[rule] += int(known.sum())
    return {rule: rows for rule, rows in counts.items() if rows}
