"""The row filter of an agreement: a small safe language (not SQL), checked against the contract's columns and types.

    region_code under '52' and status = 'ACTIVE' and not (birth_date < '1990-01-01' or income is null)

Comparisons `= != < <= > >=`, `[not] in (..)`, `[not] between .. and ..`, `is [not] null`, `[not] under 'prefix'`, joined
by `and`, `or`, `not` and parentheses. Text, dates, timestamps and times stand in single quotes; a column whose name is
no plain word stands in double quotes. `today() - 18 years` is a date (or its first instant) that moves with the day of
the delivery, in China; it counts in days, weeks, months and years. As in SQL, a comparison with a null is neither true nor false, and only rows
for which the whole filter is true are shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Literal, NoReturn, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from crossdock.contracts.bounds import Value
from crossdock.contracts.days import place_of, put_days, spelled
from crossdock.contracts.literals import LiteralKind, bind
from crossdock.contracts.model import NESTED, Column
from crossdock.errors import RowFilterInvalid, did_you_mean

MAX_CHARACTERS = 8_000
MAX_DEPTH = 32

Operator = Literal["=", "!=", "<", "<=", ">", ">="]

_GRAMMAR = r"""
?start: either
?either: all (_OR all)*
?all: negation (_AND negation)*
?negation: NOT negation -> no
    | "(" either ")"
    | column OPERATOR literal -> comparison
    | column [NOT] _IN "(" literal ("," literal)* ")" -> one_of
    | column [NOT] _BETWEEN literal _AND literal -> between
    | column [NOT] _UNDER STRING -> under
    | column _IS [NOT] _NULL -> is_null
?column: NAME | QUOTED
?literal: STRING | NUMBER | TRUTH | today
today: TODAY "(" ")" (SIGN COUNT UNIT)*

NOT.2: /(?ai:not)\b/
_OR.2: /(?ai:or)\b/
_AND.2: /(?ai:and)\b/
_IN.2: /(?ai:in)\b/
_BETWEEN.2: /(?ai:between)\b/
_UNDER.2: /(?ai:under)\b/
_IS.2: /(?ai:is)\b/
_NULL.2: /(?ai:null)\b/
TRUTH.2: /(?ai:(true|false))\b/
TODAY.2: /(?ai:today)(?=\s*\()/
SIGN: "+" | "-"
COUNT: /[0-9]{1,6}/
UNIT.2: /(?ai:(day|week|month|year)s?)\b/
OPERATOR: "=" | "!=" | "<=" | ">=" | "<" | ">"
NAME: /[^\W\d]\w*/
QUOTED: /"([^"]|"")+"/
STRING: /'([^']|'')*'/
NUMBER: /[+-]?[0-9]+(\.[0-9]+)?(?!\w)/
%ignore /\s+/
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The column's value compared with a literal."""

    column: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """The column's value is one of several."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Under:
    """The column's text begins with a prefix, as the codes below a region or an industry do."""

    column: str
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull:
    """The column has no value."""

    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The condition is false."""

    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    """Every condition is true."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """At least one condition is true."""

    conditions: tuple[Condition, ...]


Condition = Comparison | OneOf | Under | IsNull | Not | All | Either


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """A checked row filter; without a condition it lets every row pass."""

    condition: Condition | None = None
    is_dated: bool = False  # it means something else tomorrow

    @property
    def columns(self) -> frozenset[str]:
        """Names of the columns the filter looks at (they need not be shared ones)."""
        return frozenset(_columns(self.condition)) if self.condition else frozenset()


def parse(text: str, columns: Mapping[str, Column], *, today: date) -> RowFilter:
    """Reads a row filter and binds its literals to the columns' types.

    Args:
        text: the filter as written; empty for all rows.
        columns: the contract's columns by name.
        today: what `today()` means.

    Raises:
        RowFilterInvalid: the text is no filter, names an unknown column, or compares a column with a literal of another
            type; the message gives the position and never repeats a literal.
    """
    if not text.strip():
        return RowFilter()
    if len(text) > MAX_CHARACTERS:
        raise RowFilterInvalid(
            f"The row filter has {len(text):,} characters, more than the {MAX_CHARACTERS:,} allowed.",
            where="row filter",
            fix="Keep long lists of values in a dataset of their own.",
        )
    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as error:
        _misread(text, error)
    is_dated = put_days(tree, today)
    return RowFilter(condition=_condition(tree, columns, depth=0), is_dated=is_dated)


def _columns(condition: Condition) -> Iterator[str]:
    match condition:
        case All() | Either():
            for part in condition.conditions:
                yield from _columns(part)
        case Not():
            yield from _columns(condition.condition)
        case _:
            yield condition.column


@cache
def _grammar() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True)


def _misread(text: str, error: UnexpectedInput) -> NoReturn:
    token = getattr(error, "token", None)  # only when a word came where it may not stand
    ends = token is not None and token.type == "$END"
    raise RowFilterInvalid(
        "It ends too early." if ends else "It cannot be read from here on.",
        where=place_of(len(text) if ends else error.pos_in_stream),
        fix="Write for example: region_code under '52' and status in ('ACTIVE', 'MOVED') and not income is null.",
    ) from None


def _condition(tree: Tree[Token] | Token, columns: Mapping[str, Column], *, depth: int) -> Condition:
    """Turns a parse tree into conditions; a filter nested too deep is refused before it can exhaust the stack."""
    tree = cast("Tree[Token]", tree)
    if depth > MAX_DEPTH:
        raise RowFilterInvalid(f"It is nested more than {MAX_DEPTH} deep.", where="row filter", fix="Simplify it.")
    if tree.data in ("either", "all"):
        parts = tuple(_condition(part, columns, depth=depth + 1) for part in tree.children)
        return Either(conditions=parts) if tree.data == "either" else All(conditions=parts)
    if tree.data == "no":
        return Not(condition=_condition(tree.children[1], columns, depth=depth + 1))
    return _predicate(str(tree.data), cast("list[Token | None]", tree.children), columns)


def _predicate(kind: str, tokens: list[Token | None], columns: Mapping[str, Column]) -> Condition:
    """Builds one test of one column; `not in`, `not between`, `not under` and `is not null` become Not(...)."""
    name, *rest = tokens
    column = _column(cast("Token", name), columns)
    if kind == "comparison":
        operator, literal = cast("list[Token]", rest)
        return Comparison(column=column.name, operator=_operator(operator, column), value=_bound(literal, column))
    negated, literals = rest[0] is not None, cast("list[Token]", rest[1:])
    condition: Condition
    if kind == "is_null":
        condition = IsNull(column=column.name)
    elif kind == "under":
        condition = _under(literals[0], column)
    elif kind == "between":
        low, high = (_bound(literal, column, ordered=True) for literal in literals)
        condition = All(
            conditions=(
                Comparison(column=column.name, operator=">=", value=low),
                Comparison(column=column.name, operator="<=", value=high),
            )
        )
    else:
        condition = OneOf(column=column.name, values=tuple(_bound(literal, column) for literal in literals))
    return Not(condition=condition) if negated else condition


def _column(name: Token, columns: Mapping[str, Column]) -> Column:
    text = name[1:-1].replace('""', '"') if name.type == "QUOTED" else str(name)
    if text not in columns:
        raise RowFilterInvalid(
            f"The dataset has no column '{text}'.", where=place_of(name.start_pos), fix=did_you_mean(text, columns)
        )
    if columns[text].type in NESTED:
        raise RowFilterInvalid(
            f"Column '{text}' is of type {columns[text].type}: a row filter compares plain values.",
            where=place_of(name.start_pos),
            fix="Let the source give what is meant as a column of its own.",
        )
    return columns[text]


def _operator(token: Token, column: Column) -> Operator:
    if column.type == "boolean" and token not in ("=", "!="):
        raise RowFilterInvalid(
            f"Column '{column.name}' is true or false: '{token}' does not order it.",
            where=place_of(token.start_pos),
            fix="Use = or !=.",
        )
    return cast("Operator", str(token))


def _bound(literal: Token, column: Column, *, ordered: bool = False) -> Value:
    where = place_of(literal.start_pos)
    if ordered and column.type == "boolean":
        raise RowFilterInvalid(
            f"Column '{column.name}' is true or false: it has no range.", where=where, fix="Use = or !=."
        )
    if literal.type == "TODAY":
        return _bound_day(literal, column)
    text = literal[1:-1].replace("''", "'") if literal.type == "STRING" else str(literal)
    return bind(cast("LiteralKind", literal.type), text, column, where=where)


def _bound_day(literal: Token, column: Column) -> Value:
    where = place_of(literal.start_pos)
    if column.type not in ("date", "timestamp"):
        raise RowFilterInvalid(
            f"Column '{column.name}' is of type {column.type}: today() is a date.", where=where, fix="Write a literal."
        )
    return bind("STRING", spelled(date.fromisoformat(literal), column, where), column, where=where)


def _under(literal: Token, column: Column) -> Under:
    where = place_of(literal.start_pos)
    if column.type != "string":
        raise RowFilterInvalid(
            f"Column '{column.name}' is of type {column.type}; `under` looks at the beginning of a text.",
            where=where,
            fix="Use a comparison or between.",
        )
    if literal == "''":
        raise RowFilterInvalid(
            "Every text is under the empty prefix.", where=where, fix="Name a prefix, or leave it out."
        )
    return Under(column=column.name, prefix=str(bind("STRING", literal[1:-1].replace("''", "'"), column, where=where)))
