"""`drift` in a contract: which rules it makes, and what is refused."""

import pytest

from drafts import PEOPLE, contract, problems, read

COLUMNS = [
    *PEOPLE,
    {"name": "salary", "logicalType": "number"},
    {"name": "since", "logicalType": "date", "required": True},
    {"name": "grade", "logicalType": "string", "quality": [
        {"metric": "invalidValues", "arguments": {"validValues": ["A", "B"]}, "mustBe": 0},
    ]},
    {"name": "free", "logicalType": "object"},
]  # fmt: skip


UNCONDITIONAL = {"sharing": {"class": "unconditional"}}


def drifting(tmp_path, **given):
    found = read(tmp_path, contract(COLUMNS, crossdock=UNCONDITIONAL | {"drift": given}))
    return found, {rule.id: rule for rule in found.rules if rule.kind == "drift"}


def test_without_bounds_nothing_is_compared(tmp_path):
    found, rules = drifting(tmp_path)
    assert rules == {}
    assert found.new_columns == "discard"


def test_a_bound_is_a_rule_per_severity_and_column(tmp_path):
    found, rules = drifting(
        tmp_path,
        columns="freeze",
        history=5,
        rows={"warning": 10, "error": 50},
        missing={"error": 5},
        values={"warning": 20},
        shares={"error": 12.5},
    )
    assert found.new_columns == "freeze"
    assert rules.keys() == {
        "drift.rows", "drift.rows.warning", "salary.drift.missing", "grade.drift.missing", "free.drift.missing",
        "born.drift.values.warning", "income.drift.values.warning", "salary.drift.values.warning",
        "since.drift.values.warning", "grade.drift.shares",
    } | {f"{c.name}.drift.missing" for c in found.columns if not c.required}  # fmt: skip
    rows = rules["drift.rows.warning"]
    assert (rows.severity, dict(rows.args)) == ("warning", {"measure": "rows", "max": 10, "history": 5})
    assert rows.reason == "The number of rows is more than 10 % away from the median of the last extracts."
    assert rules["grade.drift.shares"].columns == ("grade",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"columns": "frozen"}, "freeze"),
        ({"row": {"error": 1}}, "Did you mean 'rows'?"),
        ({"rows": {"eror": 1}}, "Did you mean 'error'?"),
        ({"rows": {"error": 0}}, "greater than 0"),
        ({"rows": {"error": "much"}}, "drift.rows.error"),
        ({"history": 2}, "greater than or equal to 3"),
        ({"rows": {"error": 5, "warning": 10}}, "Set `warning` below `error`"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path, given, said):
    found = problems(tmp_path, contract(COLUMNS, crossdock=UNCONDITIONAL | {"drift": given}))
    assert any(said in problem for problem in found), found


@pytest.mark.parametrize(
    ("measure", "said"),
    [("missing", "Every column is required"), ("values", "No column but keys"), ("shares", "list of valid values")],
)
def test_a_measure_that_is_about_no_column_is_named(tmp_path, measure, said):
    text = {"name": "only", "logicalType": "string", "required": True}
    found = problems(tmp_path, contract([text], crossdock={"drift": {measure: {"error": 5}}}))
    assert any(said in problem for problem in found), found
