"""From values as they arrived to the contract's types: what fits is converted exactly, what does not is marked.

Nothing is rounded, cut or guessed. Text for a number, date or instant must spell it in full (ISO 8601, or a pattern
that the column's contract gives); an empty text is null there, and stays an empty text in a string column.
An instant with an offset becomes UTC; one without is taken as it stands, and fits only a column without a time zone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.arrow import arrow_schema, arrow_type
from crossdock.contracts.model import Column, Contract

_INTEGER = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_OFFSET = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_INSTANT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([ T]{_CLOCK})?$"
_INSTANT_OFFSET = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]{_CLOCK}{_OFFSET}"
_SINGLY = 16  # rows below which a failing piece is tried value by value

Cast = Callable[[pa.Array], pa.Array]


def cast_batch(raw: pa.RecordBatch, contract: Contract) -> tuple[pa.RecordBatch, dict[str, pa.BooleanArray]]:
    """Returns a batch in `arrow_schema(contract)` and, per column, a mask of the values that do not fit.

    Args:
        raw: values as they arrived, under contract column names; columns may be missing (they come back as nulls).
        contract: says which type each column must have.

    Returns:
        The typed batch, in which misfits are null, and one mask per column of the contract (true = did not fit).
        The schema's own nullability is not enforced here: a missing value is another rule's business.
    """
    columns: list[pa.Array] = []
    misfits: dict[str, pa.BooleanArray] = {}
    for column in contract.columns:
        index = raw.schema.get_field_index(column.name)
        values = _plain(raw.column(index)) if index >= 0 else pa.nulls(raw.num_rows, arrow_type(column))
        values = _without(values, contract.null_tokens)
        typed = _typed(values, column)
        columns.append(typed)
        misfits[column.name] = pc.and_(values.is_valid(), typed.is_null()) if typed.null_count else _none(raw.num_rows)
        if typed.null_count and column.type != "string" and pa.types.is_string(values.type):
            misfits[column.name] = pc.and_(misfits[column.name], pc.fill_null(pc.not_equal(values, ""), False))
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(contract)])
    return pa.RecordBatch.from_arrays(columns, schema=schema), misfits


def _none(rows: int) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(False), rows)


def _plain(values: pa.Array) -> pa.Array:
    """Returns values without dictionary, extension or view encodings, texts as plain strings."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _plain(values.dictionary_decode())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _cast_or_null(values, partial(pc.cast, target_type=pa.string()))
    return values


def _without(values: pa.Array, tokens: tuple[str, ...]) -> pa.Array:
    if not tokens or not pa.types.is_string(values.type):
        return values
    return pc.if_else(pc.is_in(values, value_set=pa.array(tokens, pa.string())), pa.scalar(None, pa.string()), values)


def _typed(values: pa.Array, column: Column) -> pa.Array:
    """Returns values in the column's type, null where they are null or do not fit."""
    target = arrow_type(column)
    if values.type == target or pa.types.is_null(values.type):
        return values.cast(target)
    if pa.types.is_string(values.type):
        return _parsed(values, column, target)
    if pa.types.is_timestamp(values.type) and pa.types.is_timestamp(target):
        return _instants(values, target)
    if _safe(values.type, target):
        return _cast_or_null(values, partial(_there_and_back, target=target))
    if pa.types.is_nested(values.type):
        return pa.nulls(len(values), target)
    return _parsed(_cast_or_null(values, partial(pc.cast, target_type=pa.string())), column, target)


def _safe(given: pa.DataType, target: pa.DataType) -> bool:
    """True where Arrow's checked cast is exact or fails; a binary float has no exact decimal, so it goes by its text."""
    exact = pa.types.is_integer(given) or pa.types.is_decimal(given)
    numbers = exact and (pa.types.is_integer(target) or pa.types.is_decimal(target) or pa.types.is_float64(target))
    floats = pa.types.is_floating(given) and (pa.types.is_float64(target) or pa.types.is_integer(target))
    return numbers or floats or (pa.types.is_temporal(given) and pa.types.is_temporal(target))


def _there_and_back(values: pa.Array, target: pa.DataType) -> pa.Array:
    """Casts, and fails when the way back does not give the same value (a timestamp that would lose its time of day)."""
    there = pc.cast(values, target)
    if (
        pa.types.is_temporal(values.type)
        and not pc.all(pc.equal(pc.cast(there, values.type), values)).as_py()
        and (values.null_count < len(values))
    ):
        raise pa.ArrowInvalid("the value does not survive the cast")
    return there


def _instants(values: pa.Array, target: pa.DataType) -> pa.Array:
    if values.type.tz is None and target.tz is not None:
        return pa.nulls(len(values), target)  # Which instant it is, only its source knows.
    return _cast_or_null(values, partial(pc.cast, target_type=target))


def _parsed(values: pa.Array, column: Column, target: pa.DataType) -> pa.Array:
    """Parses text; the pattern comes first, because Arrow also reads spellings that a person would not mean."""
    if column.type == "string":
        return values
    if column.type == "integer":
        return _parse(values, _INTEGER, lambda text: pc.cast(pc.utf8_ltrim(text, characters="+"), target))
    if column.type == "number":
        return _parse(values, _NUMBER, partial(_number, target=target))
    if column.type == "boolean":
        return _boolean(values)
    if column.formats:
        return _by_formats(values, column, target)
    if column.type == "date":
        return _parse(values, _DATE, partial(pc.cast, target_type=target))
    if column.type == "time":
        return _parse(values, f"^{_CLOCK}$", partial(_clock, target=target))
    zoned = _parse(values, _INSTANT_OFFSET, partial(_zoned, target=target))
    return (
        zoned if column.timezone else pc.coalesce(_parse(values, _INSTANT, partial(pc.cast, target_type=target)), zoned)
    )


def _parse(values: pa.Array, pattern: str, cast: Cast) -> pa.Array:
    matching = pc.match_substring_regex(values, pattern)
    if not pc.all(matching).as_py():
        values = pc.if_else(matching, values, pa.scalar(None, pa.string()))
    return _cast_or_null(values, cast)


def _number(text: pa.Array, target: pa.DataType) -> pa.Array:
    typed = pc.cast(pc.utf8_ltrim(text, characters="+"), target)
    if pa.types.is_floating(target) and not pc.all(pc.is_finite(typed)).as_py() and typed.null_count < len(typed):
        raise pa.ArrowInvalid("the number is too large")
    return typed


def _boolean(values: pa.Array) -> pa.Array:
    word = pc.utf8_lower(values)
    true, false = (pc.is_in(word, value_set=pa.array(words)) for words in (["true", "1"], ["false", "0"]))
    return pc.if_else(true, pa.scalar(True), pc.if_else(false, pa.scalar(False), pa.scalar(None, pa.bool_())))


def _clock(text: pa.Array, target: pa.DataType) -> pa.Array:
    return pc.cast(pc.cast(pc.binary_join_element_wise("1970-01-01", text, "T"), pa.timestamp("us")), target)


def _zoned(text: pa.Array, target: pa.DataType) -> pa.Array:
    instants = pc.cast(text, pa.timestamp("us", tz="UTC"))
    return instants if target.tz else pc.cast(instants, target)


def _by_formats(values: pa.Array, column: Column, target: pa.DataType) -> pa.Array:
    """Parses with the contract's own patterns; a text must come out of its pattern as it went in (no 30 February)."""
    found = pa.nulls(len(values), pa.timestamp("us"))
    for form in column.formats:
        read = pc.strptime(values, format=form, unit="us", error_is_null=True)
        found = pc.coalesce(found, pc.if_else(pc.equal(_spelled(read, form), values), read, pa.scalar(None, read.type)))
    return found.cast(pa.timestamp("us", tz="UTC")) if target == pa.timestamp("us", tz="UTC") else found.cast(target)


def _spelled(instants: pa.Array, form: str) -> pa.Array:
    return pc.strftime(instants.cast(pa.timestamp("s")), format=form)


def _cast_or_null(values: pa.Array, cast: Cast) -> pa.Array:
    """Casts all values at once; when that fails, halves the array until the failing values stand alone as nulls."""
    try:
        return cast(values)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, cast(values.slice(0, 0)).type)
    size = 1 if len(values) <= _SINGLY else (len(values) + 1) // 2
    pieces = [_cast_or_null(values.slice(start, size), cast) for start in range(0, len(values), size)]
    return pa.concat_arrays(pieces)
