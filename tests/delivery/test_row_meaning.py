"""Compiled row filters against a plain evaluator in Python that knows nothing of Arrow: three values, every type, every day."""

from __future__ import annotations

import operator
import unicodedata
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.contracts.model import Column
from crossdock.contracts.rows import parse
from crossdock.delivery.rows import expression

COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TYPES = {
    "code": ({"type": "string"}, pa.string()),
    "count": ({"type": "integer"}, pa.int64()),
    "income": ({"type": "number", "precision": 12, "scale": 2}, pa.decimal128(12, 2)),
    "height": ({"type": "number"}, pa.float64()),
    "alive": ({"type": "boolean"}, pa.bool_()),
    "born": ({"type": "date"}, pa.date32()),
    "seen": ({"type": "timestamp", "timezone": True}, pa.timestamp("us", tz="UTC")),
    "noted": ({"type": "timestamp"}, pa.timestamp("us")),
    "opens": ({"type": "time"}, pa.time64("us")),
}
COLUMNS = {name: Column(name=name, source_name=name, **fields) for name, (fields, _) in TYPES.items()}
SCHEMA = pa.schema([(name, kind) for name, (_, kind) in TYPES.items()])
ZONES = [UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-11)), timezone(timedelta(hours=5, minutes=45))]
NIGHT = datetime(2026, 3, 28, 16, 0, tzinfo=UTC)  # midnight in China, hours before clocks change in Europe
DAYS = [date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2000, 2, 29), date(2026, 2, 28), date(2026, 3, 31)]
VALUES = {
    "code": ["", "5", "52", "5201", "52%", "5_", "%", "_", "it's", "5２", "é", "e\u0301", "\\", "\n", "\0", "😀", "'"],
    "count": [0, -1, 1, 2**63 - 1, -(2**63)],
    "income": [Decimal("0.00"), Decimal("-0.01"), Decimal("9999999999.99"), Decimal("1.50")],
    "height": [0.0, -0.0, 1.5, -1e300, 5e-324],
    "alive": [True, False],
    "born": DAYS,
    "seen": [NIGHT + timedelta(microseconds=n) for n in (-1, 0, 1)] + [datetime(1, 1, 1, tzinfo=UTC)],
    "noted": [NIGHT.replace(tzinfo=None) + timedelta(microseconds=n) for n in (-1, 0, 1)],
    "opens": [time(0), time(23, 59, 59, 999999), time(8, 30)],
}


def quoted(text):
    return "'" + str(text).replace("'", "''") + "'"


@st.composite
def literals(draw, column):
    """A literal as it is written, and the value that it means."""
    value = draw(st.sampled_from(VALUES[column]))
    if column == "seen":
        zone = draw(st.sampled_from(ZONES if value.year > 1 else ZONES[:2]))
        return quoted(value.astimezone(zone).isoformat()), value
    if column == "noted":
        return quoted(value.isoformat()), value
    if column == "alive":
        return draw(st.sampled_from(["true", "TRUE"] if value else ["false", "False"])), value
    if column == "height":
        return f"{Decimal(value):f}", value
    return quoted(value) if column in ("code", "born", "opens") else str(value), value


def neg(value):
    return None if value is None else not value


def both(a, b):
    return False if False in (a, b) else None if None in (a, b) else True


def either(a, b):
    return neg(both(neg(a), neg(b)))


def on(column, test):
    return lambda row: None if row[column] is None else test(row[column])


@st.composite
def predicates(draw):
    """A test of one column, as text and as a function of a row."""
    column = draw(st.sampled_from(sorted(TYPES)))
    negated = draw(st.booleans())
    word = "not " if negated else ""
    kind = draw(st.sampled_from(["comparison", "in", "between", "null", *["under"] * (column == "code")]))
    if kind == "comparison" or (kind == "between" and column == "alive"):
        sign = draw(st.sampled_from(["=", "!="] if column == "alive" else sorted(COMPARE)))
        text, value = draw(literals(column))
        return f"{column} {sign} {text}", on(column, lambda held: COMPARE[sign](held, value))
    if kind == "in":
        listed = draw(st.lists(literals(column), min_size=1, max_size=3))
        found = on(column, lambda held: any(held == value for _, value in listed))
        text = f"{column} {word}in ({', '.join(each for each, _ in listed)})"
    elif kind == "between":
        (low_text, low), (high_text, high) = draw(literals(column)), draw(literals(column))
        found = on(column, lambda held: low <= held <= high)
        text = f"{column} {word}between {low_text} and {high_text}"
    elif kind == "under":
        prefix = draw(st.sampled_from([value for value in VALUES["code"] if value]))
        found = on(column, lambda held: held[: len(prefix)] == prefix)
        text = f"{column} {word}under {quoted(prefix)}"
    else:
        found = lambda row: row[column] is None  # noqa: E731
        text = f"{column} is {word}null"
    return text, (lambda row: neg(found(row))) if negated else found


filters = st.recursive(
    predicates(),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]}) AND ({p[1][0]})", lambda r: both(p[0][1](r), p[1][1](r)))),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]}) or ({p[1][0]})", lambda r: either(p[0][1](r), p[1][1](r)))
        ),
        inner.map(lambda p: (f"not ({p[0]})", lambda r: neg(p[1](r)))),
    ),
    max_leaves=6,
)
ROWS = st.lists(
    st.fixed_dictionaries({n: st.one_of(st.none(), st.sampled_from(values)) for n, values in VALUES.items()}),
    min_size=1,
    max_size=8,
)


def kept(text, rows, today=date(2026, 1, 1)):
    table = pa.Table.from_pylist(
        [row | {"at": n} for n, row in enumerate(rows)], SCHEMA.append(pa.field("at", pa.int64()))
    )
    keep = expression(parse(text, COLUMNS, today=today), table.schema)
    return pads.dataset(table).to_table(columns=["at"], filter=keep)["at"].to_pylist()


@settings(max_examples=400, deadline=None)
@given(made=filters, rows=ROWS)
def test_means_what_a_plain_evaluator_says(made, rows):
    text, means = made
    assert kept(text, rows) == [n for n, row in enumerate(rows) if means(row) is True]


def moved(day, sign, count, unit):
    """Calendar arithmetic written out: the last day of a month that has no such day."""
    count = count if sign == "+" else -count
    if unit.startswith(("day", "week")):
        return day + timedelta(days=count * (7 if unit.startswith("week") else 1))
    months = day.year * 12 + day.month - 1 + count * (12 if unit.startswith("year") else 1)
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


STEPS = st.lists(
    st.tuples(
        st.sampled_from("+-"),
        st.integers(0, 400),
        st.sampled_from(["day", "days", "week", "weeks", "month", "months", "year", "years"]),
    ),
    max_size=3,
)


@settings(deadline=None)
@given(today=st.dates(date(1900, 1, 1), date(2200, 12, 31)), steps=STEPS)
def test_days_are_counted_over_the_ends_of_months(today, steps):
    day = today
    for step in steps:
        day = moved(day, *step)
    text = "today()" + "".join(f" {sign} {count} {unit}" for sign, count, unit in steps)
    rows = [dict.fromkeys(TYPES) | {"born": day + timedelta(days=n)} for n in (-1, 0, 1)]
    assert kept(f"born < {text}", rows, today) == [0]
    assert kept(f"born = {text}", rows, today) == [1]


def test_texts_are_equal_when_their_characters_are():
    """Not when they look alike: a filter says exactly what leaves."""
    composed, apart = "é", "e\u0301"
    assert unicodedata.normalize("NFC", apart) == composed
    rows = [dict.fromkeys(TYPES) | {"code": text} for text in (composed, apart, "５2", "52")]
    assert kept(f"code = '{composed}'", rows) == [0]
    assert kept("code under '5'", rows) == [3]
    assert kept("code under 'e'", rows) == [1]


@pytest.mark.parametrize("most", ["count=1 or ", "count!=1 and ", "height in (0,1) or "])
def test_the_longest_filter_is_no_danger(most):
    text = most * (7_900 // len(most)) + "count = 1"
    assert kept(text, [dict.fromkeys(TYPES) | {"count": 1}]) in ([0], [])
