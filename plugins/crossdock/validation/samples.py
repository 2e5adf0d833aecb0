"""What quarantined rows look like, without what they say: each value by its shape, and findings for the source's owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from crossdock.language.phrases import in_chinese
from crossdock.validation.quarantine import ARRIVAL, FAILURES

_LONGEST = 60  # characters of a shape that are shown
# Each letter, digit and picture becomes one that stands for its kind, so that a shape tells what is wrong and not whose it is.
_SHAPES = (
    ("[0-9]", "9"),
    (r"\p{Lu}", "A"),
    (r"\p{Ll}|\p{Lt}", "a"),
    (r"\p{Lo}|\p{Lm}", "文"),
    (r"\p{N}", "9"),
    (r"[^\x00-\x7F\pL\pN\pP\pZ\pC]", "※"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One quarantined row: its arrival number, what it breaks, and the shapes of the values that are to blame."""

    arrival: int
    rules: tuple[str, ...]
    reasons: tuple[str, ...]
    shapes: Mapping[str, str | None]  # by column; None for a missing value

    def to_dict(self) -> dict[str, object]:
        """Returns the JSON form."""
        return asdict(self)


def samples(quarantine: pads.Dataset, *, most: int) -> list[Sample]:
    """Returns masked samples: rows of every rule that is broken, the first ones that arrived."""
    table = quarantine.head(most * 200)
    seen: dict[str, int] = {}
    found: list[Sample] = []
    for place, failures in enumerate(table[FAILURES].to_pylist()):
        rules = tuple(failure["rule"] for failure in failures)
        if len(found) < most and any(seen.get(rule, 0) < max(1, most // 3) for rule in rules):
            found.append(_sample(table, place, failures))
            for rule in rules:
                seen[rule] = seen.get(rule, 0) + 1
    return found


def _sample(table: pa.Table, place: int, failures: Sequence[Mapping[str, object]]) -> Sample:
    blamed = [name for failure in failures for name in failure["columns"]]  # type: ignore[attr-defined] # a list of names
    columns = [name for name in dict.fromkeys(blamed) if name in table.column_names]
    return Sample(
        arrival=table[ARRIVAL][place].as_py(),
        rules=tuple(str(failure["rule"]) for failure in failures),
        reasons=tuple(str(failure["reason"]) for failure in failures),
        shapes={name: shapes(table[name].slice(place, 1))[0].as_py() for name in columns},
    )


def shapes(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns values as texts in which every letter and digit stands for its kind; a null stays null."""
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type) or pa.types.is_boolean(values.type):
        return pa.chunked_array([pc.if_else(values.is_valid(), "…", None).combine_chunks().cast(pa.string())])
    texts = values.cast(pa.string())
    for kind, stands in _SHAPES:
        texts = pc.replace_substring_regex(texts, kind, stands)
    return pc.utf8_slice_codeunits(texts, 0, _LONGEST)


def findings(quarantine: pads.Dataset, key: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yields one row per failing row and broken rule: arrival number, key as it arrived, rule, columns, reason in both languages.

    It is for the department whose rows they are: the key is in the clear.
    """
    names = [name for name in key if name in quarantine.schema.names]
    for batch in quarantine.to_batches(columns=[ARRIVAL, *names, FAILURES]):
        failures = batch.column(FAILURES)
        rows = batch.take(pc.list_parent_indices(failures))
        each = failures.flatten()
        columns = pc.binary_join(pc.struct_field(each, "columns"), " ")
        yield pa.RecordBatch.from_arrays(
            [
                rows.column(ARRIVAL),
                *(rows.column(name).cast(pa.string()) for name in names),
                pc.struct_field(each, "rule"),
                columns,
                pc.struct_field(each, "reason"),
                _in_chinese(pc.struct_field(each, "reason")),
            ],
            names=["arrival", *names, "rule", "columns", "reason", "reason_zh"],
        )


def _in_chinese(reasons: pa.Array) -> pa.Array:
    """Returns reasons in Chinese; a batch of rows has few different ones."""
    few = reasons.dictionary_encode()
    return pa.array(map(in_chinese, few.dictionary.to_pylist()), pa.string()).take(few.indices)
