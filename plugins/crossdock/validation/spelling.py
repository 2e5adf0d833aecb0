"""Texts as values of a type: a text that does not spell one in full becomes null, and so does an impossible date.

Patterns come before Arrow's own parsers, which also read spellings that a person would not mean ("0x1F" is 31 there).
They leave few texts that then fail, so that whole columns are cast at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Context, Decimal
from functools import cache, partial

import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.arrow import arrow_type
from crossdock.contracts.model import Column, LogicalType
from crossdock.errors import WrongUse

Cast = Callable[[pa.Array], pa.Array]

_INTEGER = r"^[+-]?0*[0-9]{1,19}$"
_FLOAT = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_EXPONENT = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][+-]?[0-9]{1,3}$"
_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_OFFSET = r"(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)"
_FIELDS = {
    "Y": "[0-9]{4}",
    "m": "[0-9]{1,2}",
    "d": "[0-9]{1,2}",
    "H": "[0-9]{1,2}",
    "M": "[0-9]{1,2}",
    "S": "[0-9]{1,2}",
}
_LONGEST = 500  # characters of a number with an exponent
_EXACT = Context(prec=2_000)  # more digits than such a number can have
_NO_TEXT = pa.scalar(None, pa.string())
_SINGLY = 16  # rows below which a failing piece is tried value by value


def parse_texts(texts: pa.StringArray, column: Column) -> pa.Array:
    """Returns the values that texts spell, in the column's type; null where they are null or spell none."""
    if column.formats:
        texts = pc.coalesce(*(_in_iso(texts, form) for form in column.formats))
    return _PARSERS[column.type](texts, arrow_type(column))


def cast_or_null(values: pa.Array, cast: Cast) -> pa.Array:
    """Casts all values at once; when that fails, halves the array until the failing values stand alone as nulls."""
    try:
        return cast(values)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, cast(values.slice(0, 0)).type)
    size = 1 if len(values) <= _SINGLY else (len(values) + 1) // 2
    return pa.concat_arrays([cast_or_null(values.slice(start, size), cast) for start in range(0, len(values), size)])


def _parse(texts: pa.Array, pattern: str, cast: Cast) -> pa.Array:
    matching = pc.match_substring_regex(texts, pattern)
    if matching.false_count:
        texts = pc.if_else(matching, texts, _NO_TEXT)
    return cast_or_null(texts, cast)


def _signed(texts: pa.Array, target: pa.DataType) -> pa.Array:
    """Casts numbers; Arrow knows no plus sign."""
    plus = pc.starts_with(texts, "+")
    return pc.cast(pc.utf8_ltrim(texts, characters="+") if plus.true_count else texts, target)


def _floats(texts: pa.Array, target: pa.DataType) -> pa.Array:
    typed = _parse(texts, _FLOAT, partial(_signed, target=target))
    return pc.if_else(pc.is_finite(typed), typed, pa.scalar(None, target))  # 1e999 is no number but infinity


def _numbers(texts: pa.Array, target: pa.DataType) -> pa.Array:
    return _decimals(texts, target) if pa.types.is_decimal(target) else _floats(texts, target)


def _decimals(texts: pa.Array, target: pa.Decimal128Type) -> pa.Array:
    """Casts those that fit precision and scale by their look at once, and only those with an exponent one by one."""
    plain = _parse(texts, _decimal_pattern(target.precision, target.scale), partial(_signed, target=target))
    if plain.null_count == texts.null_count:
        return plain
    powers = pc.match_substring_regex(texts, _EXPONENT)
    if not powers.true_count:
        return plain
    # Arrow takes 1.5e-308 for zero: Python's decimals are exact.
    found = (_exact(text, target) for text in texts.filter(powers).to_pylist())
    return pc.replace_with_mask(plain, pc.fill_null(powers, False), pa.array(found, target))


def _exact(text: str, target: pa.Decimal128Type) -> Decimal | None:
    if len(text) > _LONGEST:
        return None
    units = _EXACT.scaleb(Decimal(text), target.scale)
    fits = units.adjusted() < target.precision and units == units.to_integral_value(context=_EXACT)
    return _EXACT.scaleb(units, -target.scale) if fits else None


@cache
def _decimal_pattern(precision: int, scale: int) -> str:
    whole = precision - scale
    digits = f"0*[0-9]{{1,{whole}}}" if whole else "0+"
    fraction = f"[0-9]{{1,{scale}}}0*" if scale else "0+"
    return rf"^[+-]?({digits}(\.({fraction})?)?|\.{fraction})$"


def _booleans(texts: pa.Array, _: pa.DataType) -> pa.Array:
    lower = pc.utf8_lower(texts)
    true, false = (pc.is_in(lower, value_set=pa.array(words)) for words in (["true", "1"], ["false", "0"]))
    return pc.if_else(true, pa.scalar(True), pc.if_else(false, pa.scalar(False), pa.scalar(None, pa.bool_())))


def _clock(texts: pa.Array, target: pa.DataType) -> pa.Array:
    return pc.cast(pc.cast(pc.binary_join_element_wise("1970-01-01", texts, "T"), pa.timestamp("us")), target)


def _instants(texts: pa.Array, target: pa.TimestampType) -> pa.Array:
    """Casts instants: with an offset they become UTC; without one they stand as they are, if the column has no zone."""
    zoned = partial(_parse, pattern=f"^{_DATE}[ T]{_CLOCK}{_OFFSET}$", cast=partial(_utc, target=target))
    if target.tz:
        return zoned(texts)
    local = _parse(texts, f"^{_DATE}([ T]{_CLOCK})?$", partial(pc.cast, target_type=target))
    return local if local.null_count == texts.null_count else pc.coalesce(local, zoned(texts))


def _utc(texts: pa.Array, target: pa.DataType) -> pa.Array:
    instants = pc.cast(texts, pa.timestamp("us", tz="UTC"))
    return instants if target.tz else pc.cast(instants, target)


def _in_iso(texts: pa.Array, form: str) -> pa.Array:
    """Returns texts of a strptime pattern as ISO 8601 text; null where they do not follow it.

    Arrow's strptime takes 30 February for 2 March; taking the digits apart leaves the calendar to the ISO parser.
    """
    pattern, parts = _fields(form)
    found = pc.extract_regex(texts, pattern)
    if not parts:
        return pa.nulls(len(texts), pa.string())
    padded = {part: pc.utf8_lpad(pc.struct_field(found, part), 2, padding="0") for part in parts}
    day = pc.binary_join_element_wise(*(padded[p] for p in "Ymd"), "-") if "Y" in padded else None
    clock = pc.binary_join_element_wise(*(padded[p] for p in "HMS" if p in padded), ":") if "H" in padded else None
    both = [part for part in (day, clock) if part is not None]
    return both[0] if len(both) == 1 else pc.binary_join_element_wise(*both, "T")


@cache
def _fields(form: str) -> tuple[str, frozenset[str]]:
    """Turns a strptime pattern into a regular expression with a group per field, and names the fields.

    No field when they are not a whole date, clock or both: the rest would be a guess. Digits that follow one another
    without a separator have their full width (20200105), others may lack a leading zero (2020/1/5).
    """
    words = re.findall(r"%.|[^%]+", form)
    pattern = "".join(_expression(*around) for around in _around(words))
    names = frozenset(word[1] for word in words if word[0] == "%" and word != "%%")
    whole = [frozenset(part) for part in ("Ymd", "HM", "HMS", "YmdHM", "YmdHMS")]
    return f"^{pattern}$", names if names in whole else frozenset()


def _around(words: list[str]) -> Iterator[tuple[str, str, str]]:
    return zip(["", *words], words, [*words[1:], ""], strict=False)


def _expression(before: str, word: str, after: str) -> str:
    if word[0] != "%" or word == "%%":
        return re.escape(word[-1] if word == "%%" else word)
    if word[1] not in _FIELDS:
        raise WrongUse(
            f"The date pattern part '{word}' is not known.",
            where="formats",
            fix="Use %Y, %m, %d, %H, %M and %S.",
        )
    beside_digits = before.startswith("%") or after.startswith("%") or before[-1:].isdigit() or after[:1].isdigit()
    width = _FIELDS[word[1]].replace("{1,2}", "{2}") if beside_digits else _FIELDS[word[1]]
    return f"(?P<{word[1]}>{width})"


_PARSERS: Mapping[LogicalType, Callable[[pa.Array, pa.DataType], pa.Array]] = {
    "string": lambda texts, _: texts,
    "integer": lambda texts, target: _parse(texts, _INTEGER, partial(_signed, target=target)),
    "number": _numbers,
    "boolean": _booleans,
    "date": lambda texts, target: _parse(texts, f"^{_DATE}$", partial(pc.cast, target_type=target)),
    "time": lambda texts, target: _parse(texts, f"^{_CLOCK}$", partial(_clock, target=target)),
    "timestamp": _instants,
}
