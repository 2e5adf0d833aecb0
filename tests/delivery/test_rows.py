"""Compiled row filters: SQL's meaning, compared with a SQL engine."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.contracts.rows import RowFilter, parse
from crossdock.delivery.rows import expression
from delivery.samples import CONTRACT, SCHEMA, person

TODAY = date(2026, 2, 28)
COLUMNS = {c.name: c for c in CONTRACT.columns}
TEXTS = ["52", "520103", "110101", "it's", "", "%", "_"]
DATES = [date(1990, 1, 1), date(1990, 1, 5), date(2000, 2, 29)]


def _quoted(value):
    return str(value) if isinstance(value, int | float | Decimal) else "'" + str(value).replace("'", "''") + "'"


def _literals(column):
    return {
        "region_code": st.sampled_from(TEXTS),
        "children": st.integers(-1, 4),
        "income": st.sampled_from([Decimal("0.5"), Decimal("1.50"), Decimal(-3)]),
        "birth_date": st.sampled_from(DATES),
        "height": st.sampled_from([1.5, 1.51, 2.0]),
    }[column].map(_quoted)


@st.composite
def predicates(draw):
    """A filter in our language; DuckDB reads the same text, but for `under`."""
    column = draw(st.sampled_from(["region_code", "children", "income", "birth_date", "height"]))
    literal = _literals(column)
    negated = draw(st.sampled_from(["", "not "]))
    kind = draw(st.sampled_from(["comparison", "in", "between", "null", "under"]))
    if kind == "comparison":
        return f"{column} {draw(st.sampled_from(['=', '!=', '<', '<=', '>', '>=']))} {draw(literal)}"
    if kind == "in":
        return f"{column} {negated}in ({', '.join(draw(st.lists(literal, min_size=1, max_size=3)))})"
    if kind == "between":
        return f"{column} {negated}between {draw(literal)} and {draw(literal)}"
    if kind == "under":
        return f"region_code {negated}under {draw(st.sampled_from(TEXTS).filter(bool).map(_quoted))}"
    return f"{column} is {negated}null"


filters = st.recursive(
    predicates(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=5,
)


def _rows():
    rows = [person(n, region_code=TEXTS[n % len(TEXTS)], birth_date=DATES[n % 3]) for n in range(14)]
    for i, column in enumerate(["region_code", "children", "income", "birth_date", "height"]):
        rows[2 * i][column] = rows[2 * i + 1][column] = None
    return pa.Table.from_pylist(rows, SCHEMA)


TABLE = _rows()


def kept(text):
    keep = expression(parse(text, COLUMNS, today=TODAY), SCHEMA)
    return pads.dataset(TABLE).to_table(columns=["resident_id"], filter=keep)["resident_id"].to_pylist()


@settings(max_examples=150, deadline=None)
@given(text=filters)
def test_means_what_it_means_in_sql(text):
    sql = text
    for literal in sorted({_quoted(t) for t in TEXTS}, key=len, reverse=True):
        sql = sql.replace(f"region_code under {literal}", f"starts_with(region_code, {literal})")
        sql = sql.replace(f"region_code not under {literal}", f"not starts_with(region_code, {literal})")
    with duckdb.connect() as database:
        database.register("people", TABLE)
        expected = [r for (r,) in database.execute(f"SELECT resident_id FROM people WHERE {sql}").fetchall()]
    assert kept(text) == expected


def test_no_filter_keeps_all():
    keep = expression(RowFilter(), SCHEMA)
    assert pads.dataset(TABLE).to_table(filter=keep).num_rows == TABLE.num_rows


def test_other_types_compare_too():
    assert len(kept("alive = true and updated_at >= '2026-01-01T08:05:00Z' and opens < '09:00'")) == 9
    assert len(kept("noted_at < '2026-01-01T08:00:00.000124'")) == 14
