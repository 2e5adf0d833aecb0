"""What is inside of nested columns: typed and judged as plain Python does it, value by value."""

import json
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.contracts.arrow import arrow_schema, arrow_type
from crossdock.contracts.nested import routes
from crossdock.validation import scan
from crossdock.validation.nesting import reach
from crossdock.validation.typing import cast_batch
from drafts import contract as drafted
from drafts import read
from extracts import accepted, failures, judged

TEXT = {"logicalType": "string"}
PROPERTIES = [
    {"name": "id", **TEXT},
    {
        "name": "address",
        "logicalType": "object",
        "logicalTypeOptions": {"minProperties": 1},
        "properties": [
            {"name": "city", "physicalName": "City", **TEXT, "required": True, "enum": [{"value": "a"}, {"value": "b"}]},
            {"name": "geo", "logicalType": "object", "properties": [{"name": "lat", "logicalType": "integer", "logicalTypeOptions": {"maximum": 90}}]},
        ],
    },
    {
        "name": "phones",
        "logicalType": "array",
        "logicalTypeOptions": {"minItems": 1, "maxItems": 2, "uniqueItems": True},
        "items": {**TEXT, "logicalTypeOptions": {"pattern": "^1", "minLength": 2}},
    },
    {
        "name": "orders",
        "logicalType": "array",
        "logicalTypeOptions": {"uniqueItems": True},
        "items": {
            "logicalType": "object",
            "properties": [
                {"name": "price", "logicalType": "number", "physicalType": "decimal(4,1)", "required": True},
                {"name": "tags", "logicalType": "array", "items": {**TEXT, "required": True}},
            ],
        },
    },
    {"name": "scores", "logicalType": "map", "map": {"key": TEXT, "value": {"logicalType": "integer", "logicalTypeOptions": {"minimum": 0}}}},
]  # fmt: skip

texts = st.sampled_from(["a", "b", "1", "12", "13", "x"])
odd = st.none() | st.sampled_from([[], {}, True, 1.25, "z", [None], {"City": "a"}, {"a": [1]}])
tags = st.none() | st.lists(st.none() | texts, max_size=2)
objects = {
    "address": st.fixed_dictionaries({}, optional={"City": st.none() | texts | odd, "geo": st.fixed_dictionaries({}, optional={"lat": st.sampled_from([1, 90, 91, "7", None, "x"]), "more": odd}) | odd}),
    "phones": st.lists(st.none() | texts | st.just(12), max_size=3),
    "orders": st.lists(st.none() | st.fixed_dictionaries({}, optional={"price": st.sampled_from([1, 1.5, "2.0", 1.25, None, 99999]), "tags": tags}) | odd, max_size=3),
    "scores": st.dictionaries(texts, st.sampled_from([0, 5, -1, "3", None, "x"]), max_size=3),
}  # fmt: skip
rows = st.lists(
    st.fixed_dictionaries({name: st.none() | made | odd for name, made in objects.items()}), min_size=1, max_size=12
)


def fits(value, column):
    """Returns a plain value in the column's type, or raises ValueError."""
    if isinstance(value, dict | list):
        raise TypeError
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if column.type == "integer":
        return int(text)
    if column.type == "number":
        try:
            exact = Decimal(text)
        except InvalidOperation:
            raise ValueError from None
        if exact != exact.quantize(Decimal("0.1")) or abs(exact) > 999:
            raise ValueError
        return exact
    return text


def walk(value, column, broken):
    """Types a JSON value by its column, noting each rule id that it breaks; returns None for what does not fit."""
    if value is None:
        return None
    shape = {"object": dict, "array": list, "map": dict}.get(column.type)
    if shape is None:
        try:
            typed = None if value == "" and column.type != "string" else fits(value, column)
        except (ValueError, TypeError):
            broken.add(f"{column.name}.type")
            return None
        broken |= {f"{column.name}.{what}" for what in plain_faults(typed, column)}
        return typed
    if not isinstance(value, shape):
        broken.add(f"{column.name}.type")
        return None
    parts = inside(value, column, broken)
    broken |= {f"{column.name}.{what}" for what in whole_faults(parts, column)}
    return parts


def inside(value, column, broken):
    if column.type == "map":
        return {key: walk(item, column.children[1], broken) for key, item in value.items()}
    if column.type == "array":
        found = []
        for item in value:
            found.append(walk(item, column.children[0], broken))
            if item is None and column.children[0].required:
                broken.add(f"{column.children[0].name}.not_null")
        return found
    found = {}
    for child in column.children:
        given_part = value.get(child.source_name, value.get(child.field))
        seen = set()
        found[child.field] = walk(given_part, child, seen)
        broken |= seen
        if given_part is None and child.required:
            broken.add(f"{child.name}.not_null")
    return found


def plain_faults(typed, column):
    if column.name == "address.city" and typed not in ("a", "b"):
        yield "in_set"
    if column.name == "address.geo.lat" and typed > 90:
        yield "between"
    if column.name == "scores{value}" and typed < 0:
        yield "between"
    if column.name == "phones[]":
        yield from ["pattern"] * (not typed.startswith("1")) + ["length"] * (len(typed) < 2)


def whole_faults(parts, column):
    if column.name == "address" and not any(part is not None for part in parts.values()):
        yield "properties"
    if column.name == "phones" and not 1 <= len(parts) <= 2:
        yield "items"
    if column.name in ("phones", "orders"):
        there = [repr(part) for part in parts if part is not None]
        if len(set(there)) < len(there):
            yield "unique_items"


@settings(max_examples=60, deadline=None)
@given(data=rows)
def test_every_path_is_typed_and_judged_as_python_does_it(data):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "BATCH_ROWS", 5)
        promised = read(Path(folder), drafted(PROPERTIES))
        expected: dict[str, list[int]] = {}
        typed = []
        for number, row in enumerate(data):
            broken: set[str] = set()
            typed.append(
                {c.name: walk(row[c.name], c, broken) for c in promised.columns if c.name != "id"} | {"id": str(number)}
            )
            # Of a path with a value that does not fit, nobody says that one is missing.
            misfits = {name.removesuffix(".type") for name in broken if name.endswith(".type")}
            for name in broken - {f"{path}.not_null" for path in misfits}:
                expected.setdefault(name, []).append(number)
        good = set(range(len(data))) - {number for found in expected.values() for number in found}
        columns = {name: [None if r[name] is None else json.dumps(r[name]) for r in data] for name in objects}
        result = judged(Path(folder), promised, columns | {"id": [str(n) for n in range(len(data))]})
        found = {name: numbers for name, numbers in failures(result).items() if name != "no_row_accepted"}
        assert {name: found.get(name) for name in {*found, *expected}} == expected
        if good:
            kept = [
                dict(row) | {"scores": None if row["scores"] is None else dict(row["scores"])}
                for row in accepted(result)
            ]
            assert kept == [typed[number] for number in sorted(good)]


def promised(tmp_path, *properties):
    return read(tmp_path, drafted([{"name": "id", **TEXT}, *properties]))


def test_parquet_keeps_its_own_nested_values(tmp_path):
    made = read(tmp_path, drafted(PROPERTIES))
    given_type = pa.struct([("City", pa.string()), ("geo", pa.struct([("lat", pa.int16())])), ("more", pa.bool_())])
    table = pa.table(
        {
            "id": ["1", "2", "3"],
            "address": pa.array([{"City": "a", "geo": {"lat": 91}}, None, {"City": "b"}], given_type),
            "phones": pa.array([["12", "13"], [], None], pa.large_list(pa.string())),
            "orders": pa.array([[{"price": 1.5}], [], None], pa.list_(pa.struct([("price", pa.float32())]))),
            "scores": pa.array([[("b", 1), ("a", 2)], [("a", None)], []], pa.map_(pa.string(), pa.int8())),
        }
    )
    result = judged(tmp_path, made, table)
    assert failures(result) == {"address.geo.lat.between": [0], "phones.items": [1]}
    assert accepted(result) == [
        {"id": "3", "address": {"city": "b", "geo": None}, "phones": None, "orders": None, "scores": []}
    ]


def test_quarantine_keeps_the_text_as_it_came_and_names_the_path(tmp_path):
    made = read(tmp_path, drafted(PROPERTIES))
    text = '{"City":  "nowhere", "geo": {"lat": 1}}'
    result = judged(
        tmp_path,
        made,
        {"id": ["1", "2"], "address": [text, None], **{n: [None, None] for n in ("phones", "orders", "scores")}},
    )
    (row,) = pq.read_table(result.quarantine_file).to_pylist()
    assert row["address"] == text
    assert row["_failures"] == [
        {"rule": "address.city.in_set", "columns": ["address.city"], "reason": "It is not one of the 2 allowed values."}
    ]
    assert b"nowhere" not in result.result


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ('{"b": 1, "a": [1.50, {"z": 1, "y": "中"}]}', '{"a": [1.50, {"y": "中", "z": 1}], "b": 1}'),
        ("{}", "{}"),
        ("[1]", None),
        ("1", None),
        ("{", None),
        ('{"a": 1, "a": 2}', None),
        ('{"a": NaN}', None),
        ('{"a": "\\ud800"}', None),
        ("[" * 5000, None),
    ],
)
def test_an_object_of_free_form_is_json_text_with_its_keys_in_order(tmp_path, text, typed):
    made = promised(tmp_path, {"name": "free", "logicalType": "object"})
    raw = pa.record_batch({"id": ["1"], "free": [text]})
    batch, misfits = cast_batch(raw, made)
    assert batch.column("free").to_pylist() == [typed]
    assert misfits["free"].to_pylist() == [typed is None]


def test_a_map_has_one_order_and_no_key_twice(tmp_path):
    made = promised(
        tmp_path, {"name": "m", "logicalType": "map", "map": {"key": {"logicalType": "integer"}, "value": TEXT}}
    )
    rows = ['{"10": "x", "9": "y"}', '{"1": "x", "01": "y"}', '{"k": "x"}', "{}", None]
    batch, misfits = cast_batch(pa.record_batch({"id": list("12345"), "m": rows}), made)
    assert batch.column("m").to_pylist() == [[(9, "y"), (10, "x")], None, None, [], None]
    assert misfits["m"].to_pylist() == [False, True, False, False, False]
    assert misfits["m{key}"].to_pylist() == [False, False, True, False, False]


def test_the_values_at_a_path_come_with_their_rows(tmp_path):
    made = read(tmp_path, drafted(PROPERTIES))
    way = routes(made.columns)["orders[].tags[]"]
    orders = pa.array([None, [], [None, {"tags": ["a", None]}], [{"tags": []}, {"tags": ["b"]}]], arrow_type(way[0]))
    for start in (0, 2):
        values, rows = reach(orders.slice(start), way)
        assert values.to_pylist() == ["a", None, "b"]
        assert [int(row) + start for row in rows] == [2, 2, 3]


def test_vectors_and_free_arrays_are_judged_as_wholes(tmp_path):
    made = promised(
        tmp_path,
        {"name": "v", "logicalType": "vector", "logicalTypeOptions": {"dimensions": 2}},
        {"name": "any", "logicalType": "array", "logicalTypeOptions": {"maxItems": 2, "uniqueItems": True}},
        {"name": "free", "logicalType": "object", "logicalTypeOptions": {"required": ["a"], "maxProperties": 2}},
    )
    rows = {
        "id": list("12345"),
        "v": ["[1, 2.5]", "[1]", "[1, null]", '[1, "x"]', None],
        "any": ['[1, {"a": 1}]', "[1, 1]", "[1, 2, 3]", None, '[{"a": 1, "b": 2}, {"b": 2, "a": 1}]'],
        "free": ['{"a": 1}', '{"a": null}', '{"a": 1, "b": 1, "c": 1}', "[]", None],
    }
    assert failures(judged(tmp_path, made, rows)) == {
        "v.items": [1],
        "v[].not_null": [2],
        "v[].type": [3],
        "any.unique_items": [1, 4],
        "any.items": [2],
        "free.properties_2": [1],
        "free.properties": [2],
        "free.type": [3],
    }


def test_dates_inside_are_typed_as_columns_are(tmp_path):
    made = promised(tmp_path, {"name": "o", "properties": [{"name": "on", "logicalType": "date"}]})
    batch, _ = cast_batch(pa.record_batch({"id": ["1"], "o": ['{"on": "2026-01-31"}']}), made)
    assert batch.column("o").to_pylist() == [{"on": date(2026, 1, 31)}]
    assert batch.schema.field("o").type == arrow_schema(made).field("o").type
