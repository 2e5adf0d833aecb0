import pytest

from crossdock.contracts.expectations import SUPPORTED, rule_of_expectation
from crossdock.errors import WrongUse


def test_a_pair_expectation_is_an_ordered_rule_from_the_smaller_column_to_the_greater():
    kwargs = {"column_A": "expire", "column_B": "registered", "or_equal": True}
    expected = ("ordered", ("registered", "expire"), {"strict": False})
    assert rule_of_expectation("expect_column_pair_values_a_to_be_greater_than_b", kwargs) == expected
    assert rule_of_expectation("ExpectColumnPairValuesAToBeGreaterThanB", kwargs) == expected
    assert rule_of_expectation(
        "expect_column_pair_values_a_to_be_greater_than_b", {"columnA": "expire", "columnB": "registered"}
    ) == ("ordered", ("registered", "expire"), {"strict": True})


@pytest.mark.parametrize(
    ("name", "kwargs", "expected"),
    [
        (
            "expect_table_row_count_to_be_between",
            {"minValue": 1, "maxValue": 9},
            ("row_count", (), {"min": 1, "max": 9}),
        ),
        ("expect_table_row_count_to_equal", {"value": 7}, ("row_count", (), {"min": 7, "max": 7})),
        (
            "expect_column_values_to_be_between",
            {"column": "x", "min_value": 1, "strict_min": True, "max_value": None},
            ("between", ("x",), {"min": 1, "strict_min": True}),
        ),
        ("expect_column_values_to_be_in_set", {"column": "x", "value_set": [1]}, ("in_set", ("x",), {"values": (1,)})),
        ("expect_column_values_to_match_regex", {"column": "x", "regex": "^a"}, ("pattern", ("x",), {"regex": "^a"})),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"]}, ("unique", ("a", "b"), {})),
        (
            "expect_column_values_to_have_gb11643_check_digit",
            {"column": "x"},
            ("checksum", ("x",), {"scheme": "gb11643"}),
        ),
        (
            "expect_column_values_to_not_match_regex",
            {"column": "x", "regex": "a"},
            ("expectation", ("x",), {"type": "expect_column_values_to_not_match_regex", "kwargs": {"regex": "a"}}),
        ),
    ],
)
def test_expectations_become_the_rules_they_mean(name, kwargs, expected):
    assert rule_of_expectation(name, kwargs) == expected


@pytest.mark.parametrize(
    ("name", "kwargs", "said"),
    [
        ("expect_column_values_to_be_uniqe", {"column": "x"}, "Did you mean 'expect_column_values_to_be_unique'"),
        ("expect_column_values_to_be_unique", {}, "needs the keyword 'column'"),
        ("expect_column_values_to_be_unique", {"column": 3}, "names its columns as text"),
        ("expect_column_values_to_be_unique", {"column": "x", "mostly": 0.9}, "tolerance"),
        ("expect_column_values_to_be_unique", {"column": "x", "row_condition": "y>1"}, "takes no keyword"),
        ("expect_column_values_to_be_between", {"column": "x"}, "needs min_value or max_value"),
        ("expect_column_values_to_be_in_set", {"column": "x", "value_set": "abc"}, "list"),
        ("expect_column_values_to_match_regex", {"column": "x", "regex": 5}, "must be text"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a"]}, "several columns"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a", "b"], "ignore_row_if": "never"}, "nulls"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_way_out(name, kwargs, said):
    with pytest.raises(WrongUse, match=said):
        rule_of_expectation(name, kwargs)


def test_every_supported_expectation_names_its_keywords():
    assert all(keywords for keywords in SUPPORTED.values())
