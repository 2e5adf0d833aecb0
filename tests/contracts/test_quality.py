import pytest

from crossdock.contracts.model import Tolerance
from drafts import column_rules, contract, problems, read


def of_column(tmp_path, entry, logical="string"):
    return column_rules(tmp_path, {"logicalType": logical, "quality": [entry]})


def of_table(tmp_path, *entries):
    made = read(tmp_path, contract(table={"quality": list(entries)}))
    known = {rule.id for rule in read(tmp_path, contract()).rules}
    return {rule.id: rule for rule in made.rules if rule.id not in known}


IN_SET = {"metric": "invalidValues", "arguments": {"validValues": ["a", None]}}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"metric": "nullValues", "mustBe": 0}, ("x.not_null", "not_null", {})),
        ({"metric": "nullValues"}, ("x.not_null", "not_null", {})),
        ({"type": "library", "rule": "nullCheck"}, ("x.not_null", "not_null", {})),
        ({"metric": "duplicateValues", "mustBeLessThan": 1}, ("x.unique", "unique", {})),
        ({"metric": "duplicateValues", "mustBeLessOrEqualTo": 0, "unit": "percent"}, ("x.unique", "unique", {})),
        (IN_SET, ("x.in_set", "in_set", {"values": ("a",)})),
        ({"rule": "validValues", "validValues": ["a"]}, ("x.in_set", "in_set", {"values": ("a",)})),
        ({"metric": "invalidValues", "arguments": {"pattern": "^a"}}, ("x.pattern", "pattern", {"regex": "^a"})),
        ({"metric": "missingValues"}, ("x.not_null", "not_null", {})),
        (
            {"type": "library", "rule": "between", "customProperties": [{"property": "min", "value": "a"}]},
            ("x.between", "between", {"min": "a"}),
        ),
        (
            {"metric": "missingValues", "arguments": {"missingValues": ["", "N/A"]}},
            ("x.not_in_set", "not_in_set", {"values": ("", "N/A")}),
        ),
    ],
)
def test_metrics_that_count_failing_rows_are_row_rules(tmp_path, entry, expected):
    (rule,) = of_column(tmp_path, entry).values()
    assert (rule.id, rule.kind, dict(rule.args)) == expected
    assert rule.tolerance == Tolerance()


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"mustBeLessThan": 10}, Tolerance(rows=9)),
        ({"mustBeLessThan": 1.5}, Tolerance(rows=1)),
        ({"mustBeLessOrEqualTo": 10}, Tolerance(rows=10)),
        ({"mustBeBetween": [0, 7]}, Tolerance(rows=7)),
        ({"mustBeLessOrEqualTo": 5, "unit": "percent"}, Tolerance(percent=5)),
        ({"mustBeLessThan": 1, "unit": "%"}, Tolerance(percent=0.999999999)),
        ({"mustBeBetween": [0, 2.5], "unit": "percent"}, Tolerance(percent=2.5)),
        ({"mustBeGreaterOrEqualTo": 0}, Tolerance()),
    ],
)
def test_an_upper_bound_is_how_many_rows_may_fail(tmp_path, bound, expected):
    (rule,) = of_column(tmp_path, {"metric": "nullValues", **bound}).values()
    assert (rule.kind, rule.tolerance) == ("not_null", expected)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"mustBe": 3}, {"min": 3, "max": 3}),
        ({"mustNotBe": 0}, {"min": 1}),
        ({"mustBeGreaterThan": 0}, {"min": 1}),
        ({"mustBeGreaterThan": 1.5}, {"min": 2}),
        ({"mustBeGreaterOrEqualTo": 4}, {"min": 4}),
        ({"mustBeBetween": [2, 5]}, {"min": 2, "max": 5}),
        ({"mustBeGreaterThan": 2, "mustBeLessThan": 5}, {"min": 3, "max": 4}),
        ({"mustBeGreaterThan": 0, "unit": "percent"}, {"min": 0, "strict_min": True, "percent": True}),
        ({"mustBe": 5, "unit": "percent"}, {"min": 5, "max": 5, "percent": True}),
        ({"mustBeBetween": [2.5, 5], "unit": "percent"}, {"min": 2.5, "max": 5, "percent": True}),
        ({"mustNotBe": 3}, {"gaps": ((3, 3),)}),
        ({"mustNotBe": 3, "mustBeLessThan": 9}, {"max": 8, "gaps": ((3, 3),)}),
        ({"mustNotBeBetween": [1.5, 4]}, {"gaps": ((2, 4),)}),
        ({"mustNotBeBetween": [0, 4]}, {"min": 5}),
        ({"mustNotBeBetween": [1, 2], "unit": "percent"}, {"gaps": ((1, 2),), "percent": True}),
    ],
)
def test_where_rows_must_fail_none_is_to_blame_and_they_are_counted(tmp_path, bound, expected):
    (rule,) = of_column(tmp_path, IN_SET | bound).values()
    of = {"kind": "in_set", "values": ("a",)}
    assert (rule.kind, dict(rule.args), rule.tolerance) == ("count", {"of": of, **expected}, Tolerance())


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({}, {"min": 1}),
        ({"mustBeGreaterThan": 0}, {"min": 1}),
        ({"mustBeBetween": [10, 20]}, {"min": 10, "max": 20}),
        ({"mustBe": 5}, {"min": 5, "max": 5}),
        ({"mustBeLessThan": 5}, {"max": 4}),
        ({"mustNotBe": 7}, {"gaps": ((7, 7),)}),
        ({"mustNotBe": 0}, {"min": 1}),
    ],
)
def test_row_counts_are_about_the_extract(tmp_path, bound, expected):
    (rule,) = of_table(tmp_path, {"type": "library", "metric": "rowCount", **bound}).values()
    assert (rule.id, rule.kind, rule.columns, dict(rule.args)) == ("row_count", "row_count", (), expected)


def test_a_bound_that_everything_keeps_is_no_rule(tmp_path):
    assert of_table(tmp_path, {"metric": "rowCount", "mustBeGreaterOrEqualTo": 0}) == {}


def test_duplicates_of_several_properties_are_a_composite_key(tmp_path):
    entry = {"metric": "duplicateValues", "arguments": {"properties": ["name", "born"]}, "mustBe": 0}
    (rule,) = of_table(tmp_path, entry).values()
    assert (rule.id, rule.kind, rule.columns) == ("name+born.unique", "unique", ("name", "born"))


def test_missing_words_that_the_type_cannot_hold_fail_as_values_already(tmp_path):
    entry = {"metric": "missingValues", "arguments": {"missingValues": ["N/A", -1, ""]}}
    found = of_column(tmp_path, entry, "integer")
    assert {r.id: dict(r.args) for r in found.values()} == {"x.not_null": {}, "x.not_in_set": {"values": (-1,)}}


@pytest.mark.parametrize(
    "implementation",
    [
        {"type": "expect_column_values_to_match_regex", "kwargs": {"regex": "^a"}},
        {"expectation_type": "ExpectColumnValuesToMatchRegex", "kwargs": {"regex": "^a"}, "meta": {"a": 1}},
        "type: expect_column_values_to_match_regex\nkwargs:\n  column: x\n  regex: ^a\n",
    ],
)
@pytest.mark.parametrize(
    "engine", ["greatExpectations", "great-expectations", "great_expectations", "GreatExpectations"]
)
def test_expectations_are_about_their_property(tmp_path, implementation, engine):
    (rule,) = of_column(tmp_path, {"type": "custom", "engine": engine, "implementation": implementation}).values()
    assert (rule.id, rule.kind, rule.columns, dict(rule.args)) == ("x.pattern", "pattern", ("x",), {"regex": "^a"})


def test_an_expectation_may_be_about_two_columns_or_the_table(tmp_path):
    pair = {
        "id": "order",
        "type": "custom",
        "engine": "greatExpectations",
        "implementation": {
            "type": "expect_column_pair_values_to_be_equal",
            "kwargs": {"column_A": "name", "column_B": "region"},
        },
    }
    count = {
        "engine": "greatExpectations",
        "implementation": {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 3}},
    }
    found = of_table(tmp_path, pair, count)
    assert {r.id: (r.kind, r.columns) for r in found.values()} == {
        "order": ("expectation", ("name", "region")),
        "table.row_count": ("row_count", ()),
    }


def test_what_an_entry_says_of_itself_is_kept(tmp_path):
    entry = {"metric": "nullValues", "name": "never  empty", "severity": "info", "dimension": "completeness"}
    (rule,) = of_column(tmp_path, entry | {"description": "Fill it in."}).values()
    assert (rule.id, rule.severity, rule.dimension) == ("never_empty", "warning", "completeness")
    assert (rule.reason, rule.path) == ("Fill it in.", "schema[0].properties[0].quality[0]")


def test_text_is_for_people(tmp_path):
    assert of_column(tmp_path, {"type": "text", "description": "Verified by hand."}) == {}
    assert of_column(tmp_path, {"description": "Verified by hand."}) == {}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"metric": "nulValues"}, "can't run the metric 'nulValues'. Did you mean 'nullValues'?"),
        ({"type": "library"}, "can't run the metric ''"),
        ({"rule": "minCheck"}, "needs a property, and `min` or `max`"),
        ({"metric": "nullValues", "severity": "eror"}, "Did you mean 'error'?"),
        ({"metric": "nullValues", "unit": "parts"}, "can't count in 'parts'"),
        ({"metric": "nullValues", "mustNotBeBetween": [2, 1]}, "goes from the smaller"),
        ({"metric": "nullValues", "mustNotBeBetween": [1]}, "at least 2 items"),
        ({"metric": "nullValues", "mustBe": 2, "mustNotBe": 2}, "No number is in the range"),
        ({"metric": "nullValues", "mustBeGreaterThan": 100, "unit": "percent"}, "No number is in the range"),
        ({"metric": "nullValues", "mustBeLessThan": 0, "unit": "percent"}, "No number is in the range"),
        ({"metric": "nullValues", "mustBe": "none"}, "a number from 0 to"),
        ({"metric": "nullValues", "mustBeLessThan": 1e300}, "a number from 0 to"),
        ({"metric": "nullValues", "mustBe": [1]}, "a number from 0 to"),
        ({"metric": "nullValues", "mustBe": 1.5}, "number of rows is whole"),
        ({"metric": "nullValues", "mustBeLessThan": 0}, "No number is in the range"),
        ({"metric": "nullValues", "mustBeGreaterThan": 5, "mustBeLessThan": 5}, "No number is in the range"),
        ({"metric": "rowCount", "mustBeGreaterThan": 5, "unit": "percent"}, "has no share"),
        ({"metric": "rowCount", "arguments": {"where": "x"}}, "takes no arguments"),
        ({"metric": "invalidValues"}, "needs `arguments`"),
        ({"metric": "invalidValues", "arguments": {"validValues": "a"}}, "must be a list"),
        ({"metric": "invalidValues", "arguments": {"validvalues": ["a"]}}, "Did you mean 'validValues'?"),
        ({"metric": "nullValues", "arguments": {"properties": ["x", "y"]}}, "about one property"),
        ({"metric": "nullValues", "arguments": {"properties": ["y"]}}, "There is no column 'y'"),
        ({"metric": "nullValues", "arguments": {"properties": "y"}}, "stands at no property"),
        ({"type": "sql", "name": "q"}, "needs a `query`"),
        ({"query": "select x = 'a' from ${object}"}, "Add `mustBe: true`"),
        ({"query": "select count(*) from ${object}", "mustBe": "1"}, "a number from -1"),
        ({"type": "custm"}, "Did you mean 'custom'?"),
        ({"type": "custom", "engine": "soda", "implementation": "x"}, "no engine 'soda'"),
        ({"type": "custom", "engine": "gx"}, "must be a mapping"),
        ({"type": "custom", "engine": "gx", "implementation": "a: [1"}, "no YAML mapping"),
        ({"type": "custom", "engine": "gx", "implementation": "[" * 5000}, "nests deeper"),
        ({"type": "custom", "engine": "gx", "implementation": {"kwargs": {}}}, "needs `type`"),
        (
            {"type": "custom", "engine": "gx", "implementation": {"type": "expect_x", "regex": "a"}},
            "There is no key 'regex' in an expectation",
        ),
        (
            {"type": "custom", "engine": "gx", "implementation": {"type": "expect_column_values_to_be_nul"}},
            "Did you mean 'expect_column_values_to_be_null'?",
        ),
    ],
)
def test_what_cannot_be_run_is_a_problem_at_its_place(tmp_path, entry, said):
    (found,) = problems(tmp_path, contract([{"name": "x", "logicalType": "string", "quality": [entry]}]))
    assert said in found
    assert found.startswith("schema[0].properties[0].quality[0]")


def test_rules_that_do_not_fit_the_type_are_problems(tmp_path):
    entry = {"metric": "invalidValues", "arguments": {"pattern": "a"}}
    (found,) = problems(tmp_path, contract([{"name": "x", "logicalType": "integer", "quality": [entry]}]))
    assert "a promise about text, but 'x' is of type integer" in found
