"""Objects, arrays, maps and vectors in a contract: their types, the paths inside of them, and what is refused."""

import pyarrow as pa
import pytest

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.nested import routes
from drafts import PEOPLE, REGISTER, contract, problems, read

TEXT = {"logicalType": "string"}
ADDRESS = {
    "name": "address",
    "logicalType": "object",
    "properties": [
        {"name": "city", "physicalName": "City", "logicalType": "string", "required": True},
        {"name": "geo", "properties": [{"name": "lat", "logicalType": "number", "physicalType": "decimal(8,5)"}]},
    ],
}
PHONES = {"name": "phones", "logicalType": "array", "items": {**TEXT, "logicalTypeOptions": {"minLength": 3}}}
ORDERS = {"name": "orders", "logicalType": "array", "items": {"logicalType": "object", "properties": [ADDRESS]}}
NAMES = {"name": "names", "logicalType": "map", "map": {"key": TEXT, "value": {"logicalType": "date"}}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (ADDRESS, pa.struct([("city", pa.string()), ("geo", pa.struct([("lat", pa.decimal128(8, 5))]))])),
        (PHONES, pa.list_(pa.string())),
        (NAMES, pa.map_(pa.string(), pa.date32())),
        ({"name": "free", "logicalType": "object"}, pa.string()),
        ({"name": "free", "logicalType": "array"}, pa.string()),
        (
            {"name": "v", "logicalType": "vector", "logicalTypeOptions": {"dimensions": 2, "elementType": "int8"}},
            pa.list_(pa.int64()),
        ),
    ],
)
def test_nested_types_are_arrows(tmp_path, given, expected):
    assert arrow_schema(read(tmp_path, contract([given])))[0].type == expected


def test_what_is_inside_is_named_by_its_path(tmp_path):
    ways = routes(read(tmp_path, contract([ORDERS, NAMES])).columns)
    assert list(ways) == [
        "orders[]",
        "orders[].address",
        "orders[].address.city",
        "orders[].address.geo",
        "orders[].address.geo.lat",
        "names{key}",
        "names{value}",
    ]
    assert ways["orders[].address.city"][-1].source_name == "City"


@pytest.mark.parametrize(
    ("given", "rule", "expected"),
    [
        (ADDRESS, "address.city.not_null", ("not_null", ("address.city",), {})),
        (PHONES, "phones[].length", ("length", ("phones[]",), {"min": 3})),
        (
            PHONES | {"logicalTypeOptions": {"minItems": 0, "maxItems": 3, "uniqueItems": True}},
            "phones.items",
            ("items", ("phones",), {"max": 3}),
        ),
        (
            PHONES | {"logicalTypeOptions": {"uniqueItems": True}},
            "phones.unique_items",
            ("unique_items", ("phones",), {}),
        ),
        (
            PHONES | {"items": {**TEXT, "enum": [{"value": "a"}]}},
            "phones[].in_set",
            ("in_set", ("phones[]",), {"values": ("a",)}),
        ),
        (
            PHONES | {"items": {**TEXT, "quality": [{"metric": "nullValues", "mustBeGreaterThan": 3}]}},
            "phones[].not_null",
            ("count", ("phones[]",), {"of": {"kind": "not_null"}, "min": 4}),
        ),
        (
            ADDRESS | {"logicalTypeOptions": {"required": ["geo"], "minProperties": 2}},
            "address.geo.not_null",
            ("not_null", ("address.geo",), {}),
        ),
        (
            {"name": "x", "logicalType": "object", "logicalTypeOptions": {"required": ["a", "b"]}},
            "x.properties",
            ("properties", ("x",), {"names": ("a", "b")}),
        ),
        (
            {"name": "v", "logicalType": "vector", "logicalTypeOptions": {"dimensions": 2, "elementType": "uint8"}},
            "v[].between",
            ("between", ("v[]",), {"min": 0, "max": 255}),
        ),
        (
            {"name": "v", "logicalType": "vector", "logicalTypeOptions": {"dimensions": 2}},
            "v.items",
            ("items", ("v",), {"min": 2, "max": 2}),
        ),
    ],
)
def test_what_is_promised_inside_is_a_rule_about_the_path(tmp_path, given, rule, expected):
    found = {r.id: r for r in read(tmp_path, contract([given])).rules}[rule]
    assert (found.kind, found.columns, dict(found.args)) == expected


def test_a_query_reaches_inside_with_sql(tmp_path):
    entry = {"query": "select count(*) from people where address.city = 'x' or len(phones) > 3 or names['a'] is null"}
    read(tmp_path, contract([ADDRESS, PHONES, NAMES], table={"quality": [entry]}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (ADDRESS | {"primaryKey": True}, "A column of type object is no key"),
        (ADDRESS | {"unique": True}, "a rule of kind 'unique' is about plain columns"),
        (ADDRESS | {"enum": [{"value": "a"}]}, "'in_set' says nothing of a column of type object"),
        (
            PHONES | {"quality": [{"metric": "invalidValues", "arguments": {"validValues": ["a"]}}]},
            "State it for what is inside",
        ),
        (PHONES | {"items": {**TEXT, "unique": True}}, "items.unique: crossdock can't run `unique` inside"),
        (PHONES | {"items": {**TEXT, "quality": [{"metric": "duplicateValues"}]}}, "inside of another column"),
        (PHONES | {"items": {**TEXT, "quality": [{"query": "select 1"}]}}, "A query asks whole columns"),
        (
            PHONES | {"items": {**TEXT, "relationships": [{"to": "people.phones"}]}},
            "Only whole columns refer",
        ),
        (PHONES | {"logicalTypeOptions": {"minItems": -1}}, "a whole number of at least 0"),
        (PHONES | {"logicalTypeOptions": {"minItems": 3, "maxItems": 2}}, "No value is in this range"),
        (PHONES | {"logicalTypeOptions": {"maxItem": 2}}, "can't run the option 'maxItem' of type array"),
        (ADDRESS | {"logicalTypeOptions": {"required": ["cty"]}}, "no property 'cty'. Did you mean 'city'?"),
        (ADDRESS | {"logicalTypeOptions": {"required": "city"}}, "lists names of properties"),
        (
            ADDRESS | {"properties": [*ADDRESS["properties"], {"name": "CITY", **TEXT}]},
            "the property 'CITY' twice, or but for case",
        ),
        (ADDRESS | {"properties": [TEXT]}, "A property needs a name"),
        ({"name": "x", "logicalType": "map"}, "needs `map` with `key` and `value`"),
        (NAMES | {"map": {"key": {"logicalType": "object"}, "value": TEXT}}, "keys of a map are plain values"),
        ({"name": "x", **TEXT, "items": TEXT}, "A property of type string has no `items`"),
        ({"name": "x", "logicalType": "vector"}, "A vector needs `dimensions`"),
        (
            {"name": "x", "logicalType": "vector", "logicalTypeOptions": {"dimensions": 2, "normalized": True}},
            "can't check that a vector is normalized",
        ),
        (
            {"name": "x", "logicalType": "vector", "logicalTypeOptions": {"dimensions": 2, "elementType": "int9"}},
            "Did you mean 'int8'?",
        ),
    ],
)
def test_what_cannot_be_run_of_nested_columns_is_named(tmp_path, given, said):
    found = problems(tmp_path, contract([PEOPLE[0], given]))
    assert any(said in problem for problem in found), found


def test_a_path_and_a_column_cannot_have_one_name(tmp_path):
    (found,) = problems(tmp_path, contract([PHONES, {"name": "phones[]", **TEXT}]))
    assert "also the path of something inside" in found


def test_nesting_has_a_bottom(tmp_path):
    given = TEXT
    for _ in range(40):
        given = {"logicalType": "array", "items": given}
    assert "nest deeper than 16 levels" in problems(tmp_path, contract([{"name": "x", **given}]))[0]


@pytest.mark.parametrize(
    "term",
    [{"subject": {"kind": "person", "column": "address"}}, {"source": {"kind": "files", "watermark": "address"}}],
)
def test_what_names_a_plain_column_takes_no_nested_one(tmp_path, term):
    found = problems(tmp_path, contract([PEOPLE[0], ADDRESS], crossdock=REGISTER | term))
    assert any("'address' is of type object" in problem for problem in found), found
