"""Which type a column has: every type it might have is tried on all of its values, by the parsers that validate them.

Text that looks like a number and is none stays text: leading zeros, plus signs, more than 15 digits, and codes, phone
numbers and postcodes, whose digits nobody adds up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.model import Column
from crossdock.drafting.digits import Digits
from crossdock.sources.databases.declared import Declared
from crossdock.validation.typing import cast_column

# Texts by which sources say that a value is missing; they count as that only where the others are no text.
MISSING = ("NA", "N/A", "n/a", "#N/A", "NULL", "Null", "null", "None", "NaN", "nan", "\\N", "-", "--", "—", "/", "无")
# Date patterns as ODCS writes them, with strptime's and with what a value must look like to be one.
FORMATS: Mapping[str, tuple[str, str, str]] = {
    "yyyy/MM/dd": ("date", "%Y/%m/%d", ""),
    "yyyy.MM.dd": ("date", "%Y.%m.%d", ""),
    "yyyy年MM月dd日": ("date", "%Y年%m月%d日", ""),
    "yyyyMMdd": ("date", "%Y%m%d", r"^(19|20)[0-9]{6}$"),
    "dd/MM/yyyy": ("date", "%d/%m/%Y", ""),
    "MM/dd/yyyy": ("date", "%m/%d/%Y", ""),
    "dd.MM.yyyy": ("date", "%d.%m.%Y", ""),
    "yyyy/MM/dd HH:mm:ss": ("timestamp", "%Y/%m/%d %H:%M:%S", ""),
    "yyyy/MM/dd HH:mm": ("timestamp", "%Y/%m/%d %H:%M", ""),
    "yyyyMMddHHmmss": ("timestamp", "%Y%m%d%H%M%S", r"^(19|20)[0-9]{12}$"),
}
_AMBIGUOUS = {"dd/MM/yyyy", "MM/dd/yyyy"}
_FINEST = 6  # digits after the point of an exact number
_PRECISIONS = (18, 38)  # room for larger values: to change a precision later breaks consumers
_LOCAL = r"^[0-9-]{10}([ T][0-9:.]+)?$"
_BOOLEAN = "(?i)^(true|false)$"
_FIRST_LOOK = 500  # rows: most types are out after them
_MANY = 0.1  # of them
_FEW = 0.01  # of all values: a type that only these stand against is worth a question
_UNITS = ("integer", "number")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A type to try; `only` is what every text must look like beside."""

    column: Column
    only: str = ""


@dataclass(slots=True, kw_only=True)
class TypeGuess:
    """What one column may still be; `add` takes its values batch by batch, `column` decides."""

    name: str
    source_name: str
    declared: Declared | None = None
    _trials: dict[str, _Trial] | None = None  # those that every value, or all but a few, have passed
    _failed: Counter[str] = field(default_factory=Counter)  # how many values each of them is wrong for
    _present: int = 0
    _tokens: dict[str, None] = field(default_factory=dict)
    _digits: Digits = field(default_factory=Digits)

    def add(self, values: pa.Array) -> None:
        """Tries what is left on more values."""
        text = is_text(values.type)
        known = self._without_tokens(values) if text else values
        if self._trials is None:
            self._trials = self._of_text() if text else self._of_type(values.type)
        self._present += len(known) - known.null_count
        for name, trial in list(self._trials.items()):
            self._failed[name] += _failing(known, trial)
            if self._failed[name] > _FEW * self._present:
                del self._trials[name]
        if text and "number" in self._fit:
            self._digits.add(known)

    def column(self) -> Column | None:
        """Returns the column, or None when its values are nothing that a contract can describe."""
        fit = self._fit
        chosen = next((name for name in self._order() if name in fit), None) if self._present else "string"
        if chosen is None:
            return None
        column = fit[chosen].column if chosen in fit else self._as(type="string").column
        return self._exact(column) if chosen == "number" else column

    @property
    def nearly(self) -> tuple[Column, int] | None:
        """What a text column would be but for a few values, and how many these are."""
        column, trials = self.column(), self._trials or {}
        if column is None or column.type != "string" or self.ambiguous:
            return None
        near = next((name for name in self._order() if name in trials and name != "string"), None)
        return (trials[near].column, self._failed[near]) if near else None

    @property
    def _fit(self) -> dict[str, _Trial]:
        return {name: trial for name, trial in (self._trials or {}).items() if not self._failed[name]}

    @property
    def ambiguous(self) -> bool:
        """True when day and month can't be told apart, so that the dates stay text."""
        return self._present > 0 and self._fit.keys() >= _AMBIGUOUS

    @property
    def null_tokens(self) -> tuple[str, ...]:
        """Texts that stand for a missing value here: without them the column would be text."""
        column = self.column()
        return tuple(self._tokens) if self._present and column and column.type != "string" else ()

    def _without_tokens(self, values: pa.Array) -> pa.Array:
        texts = cast_column(values, self._as(type="string").column, ())[0]
        tokens = pc.is_in(texts, value_set=pa.array(MISSING))
        self._tokens.update(dict.fromkeys(texts.filter(tokens).unique().to_pylist()))
        return pc.if_else(pc.or_(tokens, pc.equal(texts, "")), pa.scalar(None, pa.string()), texts)

    def _as(self, **kind: Any) -> _Trial:
        only = kind.pop("only", "")
        return _Trial(column=Column(name=self.name, source_name=self.source_name, **kind), only=only)

    def _of_text(self) -> dict[str, _Trial]:
        formats = {
            form: self._as(type=kind, formats=(pattern,), only=only) for form, (kind, pattern, only) in FORMATS.items()
        }
        return {
            "date": self._as(type="date"),
            **formats,
            "instant": self._as(type="timestamp", timezone=True),
            "moment": self._as(type="timestamp", only=_LOCAL),
            "time": self._as(type="time"),
            "integer": self._as(type="integer"),
            "number": self._as(type="number"),
            "boolean": self._as(type="boolean", only=_BOOLEAN),
            "string": self._as(type="string"),
        }

    def _of_type(self, kind: pa.DataType) -> dict[str, _Trial]:
        given = _of_arrow(kind)
        return ({"given": self._as(**given)} if given else {}) | {"string": self._as(type="string")}

    def _order(self) -> Iterator[str]:
        """Yields the names of types, the narrowest first, without those that would be a mistake."""
        yield from ("given", "date")
        yield from (form for form in FORMATS if not (self.ambiguous and form in _AMBIGUOUS))
        yield from ("instant", "moment", "time")
        text = self.declared is not None and self.declared.text
        number = self.declared is not None and self.declared.number
        if number or not (text or self._digits.of_a_code(self.source_name)):
            yield from _UNITS
        if not text:
            yield "boolean"
        yield "string"

    def _exact(self, column: Column) -> Column:
        """Returns a number with the precision and scale its values need, where they have exact ones."""
        digits, declared = self._digits, self.declared
        if not digits.any or digits.powers or digits.scale > _FINEST:
            return column
        if declared and declared.precision is not None:
            precision, scale = declared.precision, declared.scale or 0
            if 0 <= scale <= precision <= _PRECISIONS[-1] and digits.fit(precision, scale):
                return replace(column, precision=precision, scale=scale)
        enough = next((p for p in _PRECISIONS if digits.fit(p, digits.scale)), None)
        return replace(column, precision=enough, scale=digits.scale) if enough else column


def is_text(kind: pa.DataType) -> bool:
    """True for columns whose values are texts, which may spell values of any type."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def _of_arrow(kind: pa.DataType) -> dict[str, Any]:
    """Returns how a contract describes a type that the source has; empty when it can't."""
    if pa.types.is_dictionary(kind):
        return _of_arrow(kind.value_type)
    if pa.types.is_decimal(kind) and 0 <= kind.scale <= kind.precision <= _PRECISIONS[-1]:
        return {"type": "number", "precision": kind.precision, "scale": kind.scale}
    if pa.types.is_timestamp(kind):
        return {"type": "timestamp", "timezone": kind.tz is not None}
    known = (
        (pa.types.is_integer, "integer"), (pa.types.is_floating, "number"), (pa.types.is_boolean, "boolean"),
        (pa.types.is_date, "date"), (pa.types.is_time, "time"),
    )  # fmt: skip
    return next(({"type": name} for matches, name in known if matches(kind)), {})


def _failing(values: pa.Array, trial: _Trial) -> int:
    """Counts the values that a type is wrong for; when many of the first ones are, only those."""
    head = values.slice(0, _FIRST_LOOK)
    for part in (head, values):
        _, misfits = cast_column(part, trial.column, ())
        if trial.only:
            misfits = pc.or_(misfits, pc.fill_null(pc.invert(pc.match_substring_regex(part, trial.only)), False))
        failing = int(misfits.true_count)
        if failing > _MANY * len(head):
            return failing if part is values else len(values)
    return failing
