"""From values as they arrived to the contract's types: what fits is converted exactly, what does not is marked.

Nothing is rounded, cut or guessed. Text for a number, date or instant must spell it in full (ISO 8601, or a pattern
that the column's contract gives); an empty text is null there, and stays an empty text in a string column.
An instant with an offset becomes UTC; one without is taken as it stands, and fits only a column without a time zone.
A number without precision is a 64-bit float, the nearest one to its decimal text; NaN and infinity are no numbers, and
a text that holds a NUL is none.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.arrow import arrow_schema, arrow_type
from crossdock.contracts.model import NESTED, Column, Contract
from crossdock.validation.nesting import cast_nested
from crossdock.validation.spelling import cast_or_null, parse_texts

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # years 1 to 9999, all that Python, SQL and people can say
_DAY = 86_400_000_000
_NO_TEXT = pa.scalar(None, pa.string())


def cast_batch(raw: pa.RecordBatch, contract: Contract) -> tuple[pa.RecordBatch, dict[str, pa.BooleanArray]]:
    """Returns a batch in the types of `arrow_schema(contract)` and, per column, a mask of the values that do not fit.

    Args:
        raw: values as they arrived, under contract column names; columns may be missing (they come back as nulls).
        contract: says which type each column must have.

    Returns:
        The typed batch, in which misfits are null, and one mask per column of the contract (true = did not fit), and
        per path inside of a nested column.
        Every field is nullable: a missing value is another rule's business.
    """
    columns: list[pa.Array] = []
    misfits: dict[str, pa.BooleanArray] = {}
    for column in contract.columns:
        index = raw.schema.get_field_index(column.name)
        values = raw.column(index) if index >= 0 else pa.nulls(raw.num_rows)
        if column.type in NESTED:
            typed, flaws = _cast_nested(values, column, contract.null_tokens)
            misfits |= flaws
        else:
            typed, misfits[column.name] = cast_column(values, column, contract.null_tokens)
        columns.append(typed)
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(contract)])
    return pa.RecordBatch.from_arrays(columns, schema=schema), misfits


def cast_column(values: pa.Array, column: Column, null_tokens: tuple[str, ...]) -> tuple[pa.Array, pa.BooleanArray]:
    """Returns one column's values in its type, and the mask of those that do not fit it."""
    values = _without(_decoded(values), null_tokens)
    typed = _possible(_typed(values, column))
    if typed.null_count == values.null_count:
        return typed, pa.repeat(pa.scalar(False), len(values))
    misfit = pc.and_not(values.is_valid(), typed.is_valid())
    if column.type != "string" and pa.types.is_string(values.type):
        misfit = pc.and_not(misfit, pc.fill_null(pc.equal(values, ""), False))
    return typed, misfit


def _cast_nested(
    values: pa.Array, column: Column, null_tokens: tuple[str, ...]
) -> tuple[pa.Array, dict[str, pa.BooleanArray]]:
    def cast(inner: pa.Array, part: Column) -> tuple[pa.Array, pa.BooleanArray]:
        return cast_column(inner, part, null_tokens)

    typed, flaws = cast_nested(_without(_decoded(values), null_tokens), column, cast)
    return typed, {path: pa.array(flaw) for path, flaw in flaws.items()}


def _without(texts: pa.Array, tokens: tuple[str, ...]) -> pa.Array:
    """Returns values with nulls for the texts that mean null; few texts are as long as one: only those are compared."""
    if not tokens or not pa.types.is_string(texts.type):
        return texts
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(offsets)
    alike = np.zeros(len(texts), np.bool_)
    for length in {len(token.encode()) for token in tokens}:
        alike |= lengths == length
    if not alike.any():
        return texts
    places = np.nonzero(alike)[0]
    alike[places] = pc.is_in(texts.take(pa.array(places)), value_set=pa.array(tokens, pa.string()))
    return pc.if_else(pa.array(alike), _NO_TEXT, texts) if alike.any() else texts


def _decoded(values: pa.Array) -> pa.Array:
    """Returns values without dictionary, extension or view encodings, texts as plain strings."""
    if isinstance(values, pa.ExtensionArray):
        return _decoded(values.storage)
    if pa.types.is_dictionary(values.type):
        return _decoded(values.dictionary_decode())
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        return values.cast(pa.string())
    return values


def _typed(values: pa.Array, column: Column) -> pa.Array:
    """Returns values in the column's type, null where they are null or do not fit."""
    given, target = values.type, arrow_type(column)
    if pa.types.is_string(given):
        return parse_texts(values, column)
    if given == target or pa.types.is_null(given):
        return values.cast(target)
    if pa.types.is_temporal(given) and pa.types.is_temporal(target):
        return _temporal(values, target)
    if _numeric(given) and _numeric(target) and not (pa.types.is_floating(given) and pa.types.is_decimal(target)):
        return _numbers(values, target)
    # A binary float has no exact decimal of its own: it goes by its shortest text.
    return parse_texts(_texts(values), column)


def _possible(values: pa.Array) -> pa.Array:
    """Returns values without NaN, infinity, years that no calendar we share has, and texts that hold a NUL."""
    kind = values.type
    if pa.types.is_string(kind):
        return _without_nul(values)
    if pa.types.is_floating(kind):
        possible = pc.is_finite(values)
    elif pa.types.is_date32(kind) or pa.types.is_timestamp(kind):
        unit = 1 if pa.types.is_date32(kind) else _DAY
        number = values.view(pa.int32() if unit == 1 else pa.int64())
        possible = pc.and_(
            pc.greater_equal(number, _FIRST_DAY * unit), pc.less_equal(number, _LAST_DAY * unit + unit - 1)
        )
    else:
        return values
    return pc.if_else(possible, values, pa.scalar(None, kind)) if possible.false_count else values


def _without_nul(texts: pa.Array) -> pa.Array:
    """PostgreSQL holds no NUL in a text, and much else cuts the text there: one would hold up a whole delivery."""
    data = texts.buffers()[2]
    if data is None or not len(data) or np.frombuffer(data, np.uint8).all():
        return texts
    nul = pc.match_substring(texts, "\0")
    return pc.if_else(nul, pa.scalar(None, pa.string()), texts) if nul.true_count else texts


def _numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _numbers(values: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_integer(values.type) and pa.types.is_decimal(target):
        values = values.cast(
            pa.decimal128(20, 0)
        )  # Arrow judges an integer by its type's width, a decimal by its value
    return cast_or_null(values, partial(pc.cast, target_type=target))


def _temporal(values: pa.Array, target: pa.DataType) -> pa.Array:
    """Casts dates, times and instants where the meaning stays: which day an instant is in, only its source knows."""
    given = values.type
    clocks = pa.types.is_time(given) and pa.types.is_time(target)
    zoned, wants_zone = (pa.types.is_timestamp(t) and t.tz is not None for t in (given, target))
    days = pa.types.is_date(given) or (pa.types.is_timestamp(given) and not zoned)
    if (
        clocks
        or (zoned and pa.types.is_timestamp(target))
        or (days and not wants_zone and not pa.types.is_time(target))
    ):
        return cast_or_null(values, partial(_there_and_back, target=target))
    return pa.nulls(len(values), target)


def _there_and_back(values: pa.Array, target: pa.DataType) -> pa.Array:
    """Casts, and fails when the way back does not give the same value (a timestamp that would lose its time of day)."""
    there = pc.cast(values, target)
    if pa.types.is_date(target) and pc.equal(pc.cast(there, values.type), values).false_count:
        raise pa.ArrowInvalid("the value does not survive the cast")
    return there


def _texts(values: pa.Array) -> pa.Array:
    """Spells values as text; null where they have none (lists, bytes that are not UTF-8)."""
    if pa.types.is_timestamp(values.type) and values.type.tz:
        values = values.cast(pa.timestamp(values.type.unit, tz="UTC"))
    try:
        return cast_or_null(values, partial(pc.cast, target_type=pa.string()))
    except pa.ArrowNotImplementedError:
        return pa.nulls(len(values), pa.string())
