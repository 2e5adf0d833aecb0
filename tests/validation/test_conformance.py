"""Every kernel marks exactly the rows that Great Expectations' own pandas engine finds (result format COMPLETE)."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd  # noqa: TID253 - the oracle
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.bounds import bind_value
from crossdock.validation import scan
from crossdock.validation.plan import plan
from crossdock.validation.suite import expectation_of
from extracts import by_pandas, column, contract, failures, judged, rule

COLUMNS = (
    column("code"),
    column("other"),
    column("whole", "integer"),
    column("other_whole", "integer"),
    column("amount", "number", precision=9, scale=2),
    column("ratio", "number"),
    column("flag", "boolean"),
    column("day", "date"),
    column("other_day", "date"),
    column("moment", "timestamp"),
)
RULES = (
    *(rule(f"{c.name}.not_null", "not_null", c.name) for c in COLUMNS),
    *(rule(f"{c.name}.unique", "unique", c.name) for c in COLUMNS),
    *(
        rule(f"{c.name}.null", "expectation", c.name, type="expect_column_values_to_be_null", kwargs={})
        for c in COLUMNS
    ),
    rule("code.in", "in_set", "code", values=("a", "AB", "中文", "")),
    rule("code.not_in", "not_in_set", "code", values=("a", "b1")),
    rule("code.pattern", "pattern", "code", regex=r"^[A-Z]\d?$"),
    rule("code.unanchored", "pattern", "code", regex="[ab]"),
    rule(
        "code.not_pattern",
        "expectation",
        "code",
        type="expect_column_values_to_not_match_regex",
        kwargs={"regex": r"\d$"},
    ),
    rule("code.length", "length", "code", min=1, max=2),
    rule("code.length_strict", "length", "code", min=1, strict_min=True),
    rule("whole.in", "in_set", "whole", values=(0, 1, -3)),
    rule("whole.between", "between", "whole", min=-1, max=2),
    rule("whole.strict", "between", "whole", min=-1, strict_min=True, max=2, strict_max=True),
    rule("whole.fraction", "between", "whole", min=-0.5, max=1.5),
    rule("amount.between", "between", "amount", min=Decimal("-0.25"), max=Decimal("1.50")),
    rule("amount.strict", "between", "amount", min=Decimal("-0.26"), strict_min=True),
    rule("amount.not_in", "not_in_set", "amount", values=(Decimal("0.50"), 1)),
    rule("ratio.between", "between", "ratio", min=-0.5, max=0.5),
    rule("ratio.strict", "between", "ratio", max=0.5, strict_max=True),
    rule("ratio.in", "in_set", "ratio", values=(0.5, -0.5)),
    rule("day.between", "between", "day", min="2026-01-02", max="2026-01-04"),
    rule("day.strict", "between", "day", min="2026-01-02", strict_min=True),
    rule("day.in", "in_set", "day", values=("2026-01-02", "2026-01-03")),
    rule("moment.between", "between", "moment", min="2026-01-01T12:00:00", max="2026-01-02T00:00:00"),
    rule("days.ordered", "ordered", "day", "other_day"),
    rule("days.strict", "ordered", "day", "other_day", strict=True),
    rule("wholes.ordered", "ordered", "whole", "other_whole"),
    rule("codes.equal", "expectation", "code", "other", type="expect_column_pair_values_to_be_equal", kwargs={}),
    rule(
        "wholes.equal",
        "expectation",
        "whole",
        "other_whole",
        type="expect_column_pair_values_to_be_equal",
        kwargs={},
    ),
    rule("code+day.unique", "unique", "code", "day"),
    rule("whole+flag+amount.unique", "unique", "whole", "flag", "amount"),
)
# Decimal bounds here (-0.25, 1.50) are ones a float holds: GX rounds others, ours are exact (test_bounds.py).
CONTRACT = contract(COLUMNS, RULES)

codes = (
    st.none()
    | st.sampled_from(["", "a", "AB", "b1", "A", "Z9", "中文", "中文字", "a b"])
    | st.text("aAB19中é ", max_size=3)
)
wholes = st.none() | st.integers(-4, 4)
days = st.none() | st.integers(0, 5).map(lambda n: date(2026, 1, 1) + timedelta(days=n))
rows = st.lists(
    st.tuples(
        codes,
        codes,
        wholes,
        wholes,
        st.none() | st.integers(-300, 300).map(lambda n: Decimal(n) / 100),
        st.none() | st.sampled_from([0.0, -0.0, 0.5, -0.5, 0.25, 1e300]),
        st.none() | st.booleans(),
        days,
        days,
        st.none()
        | st.integers(0, 8).map(lambda n: datetime.combine(date(2026, 1, 1), time()) + timedelta(hours=6 * n)),
    ),
    min_size=1,
    max_size=40,
)


def oracle(check):
    """GX's expectation for a rule, with set values in the column's type instead of JSON's."""
    expectation = expectation_of(check)
    if check.rule.kind in ("in_set", "not_in_set"):
        values = [bind_value(value, check.columns[0], where="") for value in check.args["values"]]
        return expectation.copy(update={"value_set": values})
    return expectation


@pytest.fixture(scope="module")
def oracles():
    return [oracle(check) for check in plan(CONTRACT) if check.rule.kind != "type"]


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=rows)
def test_every_kernel_marks_the_rows_that_pandas_marks(data, oracles, monkeypatch):
    monkeypatch.setattr(scan, "BATCH_ROWS", 7)  # several batches even of so few rows
    schema = arrow_schema(CONTRACT)
    table = pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(zip(*data, strict=True), schema, strict=True)],
        schema=schema,
    )
    with TemporaryDirectory() as folder:
        ours = failures(judged(Path(folder), CONTRACT, table))
    frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get)
    theirs = by_pandas(frame, oracles)
    assert {name: (ours.get(name, []), rows) for name, rows in theirs.items() if ours.get(name, []) != rows} == {}
