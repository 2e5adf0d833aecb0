import pyarrow as pa
import pyarrow.compute as pc
import pytest

from drafts import column_rules, contract, problems


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"logicalType": "string", "required": True}, {"x.not_null": ("not_null", {})}),
        ({"logicalType": "string", "unique": True}, {"x.unique": ("unique", {})}),
        (
            {"logicalType": "string", "primaryKey": True, "unique": True, "required": True},
            {"x.not_null": ("not_null", {}), "x.unique": ("unique", {})},
        ),
        (
            {"logicalType": "string", "enum": [{"value": "1", "label": "男"}, {"value": 2}, {"value": None}]},
            {"x.in_set": ("in_set", {"values": ("1", 2)})},
        ),
        (
            {"logicalType": "string", "logicalTypeOptions": {"minLength": 2, "maxLength": 4, "pattern": "^a"}},
            {"x.length": ("length", {"min": 2, "max": 4}), "x.pattern": ("pattern", {"regex": "^a"})},
        ),
        (
            {"logicalType": "integer", "logicalTypeOptions": {"minimum": 1299.0, "exclusiveMaximum": 5000}},
            {"x.between": ("between", {"min": 1299.0, "max": 5000, "strict_max": True})},
        ),
        (
            {"logicalType": "integer", "logicalTypeOptions": {"minimum": 1, "exclusiveMinimum": True}},
            {"x.between": ("between", {"min": 1, "strict_min": True})},
        ),
        (
            {"logicalType": "date", "logicalTypeOptions": {"maximum": "2026-01-01", "exclusiveMaximum": False}},
            {"x.between": ("between", {"max": "2026-01-01"})},
        ),
        (
            {"logicalType": "integer", "logicalTypeOptions": {"format": "u8"}},
            {"x.format": ("between", {"min": 0, "max": 255})},
        ),
        (
            {"logicalType": "integer", "logicalTypeOptions": {"format": "u128"}},
            {"x.format": ("between", {"min": 0, "max": 2**63 - 1})},
        ),
        ({"logicalType": "number", "logicalTypeOptions": {"format": "f32"}}, {}),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "password"}}, {}),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"defaultTimezone": "Etc/UTC"}}, {}),
    ],
)
def test_options_become_rules(tmp_path, given, expected):
    found = column_rules(tmp_path, given)
    assert {name: (rule.kind, dict(rule.args)) for name, rule in found.items()} == expected
    assert all(rule.columns == ("x",) and rule.severity == "error" and rule.reason for rule in found.values())


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        ("email", ["a@b.cn", "x.y+z@mail.gov.cn"], ["a@b", "a b@c.cn", "@b.cn", "a@b.cn "]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000", "x"]),
        ("uri", ["https://a.cn/b?c", "urn:x:y"], ["a.cn", "http://a b"]),
        ("hostname", ["a.gov.cn", "localhost"], ["-a.cn", "a..b", "a_b"]),
        ("ipv4", ["10.0.0.1", "255.255.255.255"], ["256.1.1.1", "1.2.3", "1.2.3.4.5"]),
        ("byte", ["aGk=", "", "aGVsbG8h"], ["aGk", "a=Gk", "a b="]),
    ],
)
def test_text_formats_are_patterns_that_run(tmp_path, form, right, wrong):
    rule = column_rules(tmp_path, {"logicalType": "string", "logicalTypeOptions": {"format": form}})["x.format"]
    found = pc.match_substring_regex(pa.array(right + wrong), rule.args["regex"]).to_pylist()
    assert found == [True] * len(right) + [False] * len(wrong)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"logicalType": "integer", "logicalTypeOptions": {"multipleOf": 5}}, "can't run the option 'multipleOf'"),
        ({"logicalType": "string", "logicalTypeOptions": {"minimum": 1}}, "can't run the option 'minimum'"),
        ({"logicalType": "string", "logicalTypeOptions": {"patern": "a"}}, "Did you mean 'pattern'?"),
        ({"logicalType": "boolean", "logicalTypeOptions": {"pattern": "a"}}, "of type boolean"),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "ipv7"}}, "Did you mean 'ipv4'?"),
        ({"logicalType": "integer", "logicalTypeOptions": {"format": "i33"}}, "can't check the format 'i33'"),
        ({"logicalType": "string", "logicalTypeOptions": {"pattern": "(?=a)"}}, "RE2"),
        ({"logicalType": "string", "logicalTypeOptions": {"minLength": -1}}, "whole number of at least 0"),
        ({"logicalType": "string", "logicalTypeOptions": {"minLength": "2"}}, "whole number of at least 0"),
        ({"logicalType": "integer", "logicalTypeOptions": {"minimum": "many"}}, "no value of column 'x'"),
        ({"logicalType": "integer", "enum": [{"value": "one"}]}, "no value of column 'x'"),
        ({"logicalType": "string", "enum": []}, "allows no value"),
    ],
)
def test_options_that_cannot_be_run_are_problems(tmp_path, given, said):
    (found,) = problems(tmp_path, contract([{"name": "x", **given}]))
    assert said in found


@pytest.mark.parametrize(
    "given",
    [
        {"logicalType": "integer", "logicalTypeOptions": {"minimum": 10, "maximum": 1}},
        {"logicalType": "integer", "logicalTypeOptions": {"exclusiveMinimum": 1, "exclusiveMaximum": 2}},
        {"logicalType": "integer", "logicalTypeOptions": {"minimum": 10**30}},
        {"logicalType": "number", "logicalTypeOptions": {"minimum": 1, "exclusiveMaximum": 1}},
        {"logicalType": "date", "logicalTypeOptions": {"minimum": "2021-01-01", "maximum": "2020-01-01"}},
        {"logicalType": "timestamp", "logicalTypeOptions": {"exclusiveMinimum": "2021-01-01", "maximum": "2021-01-01"}},
        {"logicalType": "string", "logicalTypeOptions": {"minLength": 5, "maxLength": 4}},
    ],
)
def test_a_range_that_holds_no_value_is_a_problem(tmp_path, given):
    (problem,) = problems(tmp_path, contract([{"name": "x", **given}]))
    assert "No value is in this range" in problem


@pytest.mark.parametrize(
    "given",
    [
        {"logicalType": "integer", "logicalTypeOptions": {"minimum": 1, "maximum": 1}},
        {"logicalType": "number", "logicalTypeOptions": {"exclusiveMinimum": 0, "exclusiveMaximum": 1}},
        {"logicalType": "string", "logicalTypeOptions": {"minLength": 18, "maxLength": 18}},
        {"logicalType": "date", "logicalTypeOptions": {"minimum": "2020-01-01T10:00:00", "maximum": "2020-01-02"}},
    ],
)
def test_a_range_of_one_value_is_none(tmp_path, given):
    assert problems(tmp_path, contract([{"name": "x", **given}])) == []
