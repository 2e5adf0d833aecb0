"""Row filters as Arrow expressions: literals are bound values, never text put together."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_

import pyarrow as pa
import pyarrow.compute as pc

from crossdock.contracts.rows import (
    All,
    Comparison,
    Condition,
    Either,
    IsNull,
    Not,
    OneOf,
    Operator,
    RowFilter,
    Under,
)

_COMPARE: dict[Operator, str] = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}


def expression(rows: RowFilter, schema: pa.Schema) -> pc.Expression:
    """Returns the filter over a snapshot's schema; true, false or null per row, and only true rows are shared."""
    return _compile(rows.condition, schema) if rows.condition else pc.scalar(pa.scalar(True))


def _compile(condition: Condition, schema: pa.Schema) -> pc.Expression:
    match condition:
        case All():
            return reduce(and_, [_compile(part, schema) for part in condition.conditions])
        case Either():
            return reduce(or_, [_compile(part, schema) for part in condition.conditions])
        case Not():
            return ~_compile(condition.condition, schema)
        case Comparison() | OneOf() | Under() | IsNull():
            return _test(condition, schema)


def _test(condition: Comparison | OneOf | Under | IsNull, schema: pa.Schema) -> pc.Expression:
    column = pc.field(condition.column)
    match condition:
        case IsNull():
            return pc.is_null(column)
        case Under():
            return pc.starts_with(column, pattern=condition.prefix)
        case OneOf():
            return _one_of(condition, schema)
        case Comparison():
            literal = pc.scalar(pa.scalar(condition.value, schema.field(condition.column).type))
            return getattr(pc, _COMPARE[condition.operator])(column, literal)


def _one_of(condition: OneOf, schema: pa.Schema) -> pc.Expression:
    """Arrow's is_in says false for a null; SQL says null, and so `not in` shares no row without a value.

    Of numbers with a point it takes 0 and -0 for two: they are compared one by one.
    """
    column = pc.field(condition.column)
    if pa.types.is_floating(schema.field(condition.column).type):
        return reduce(or_, [column == pc.scalar(pa.scalar(value, pa.float64())) for value in condition.values])
    values = pa.array(condition.values, schema.field(condition.column).type)
    return pc.if_else(pc.is_null(column), pc.scalar(pa.scalar(None, pa.bool_())), column.isin(values))
