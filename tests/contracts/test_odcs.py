"""A contract file as a whole: names, tables, the crossdock property, and nothing that is silently passed over."""

import copy
import pickle

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_data_contract_standard.model import OpenDataContractStandard

from crossdock.contracts.arrow import arrow_schema
from crossdock.contracts.model import Contract, Label, Subject, Tolerance
from crossdock.contracts.nested import routes
from crossdock.contracts.odcs import read_contract
from crossdock.errors import ContractInvalid
from drafts import PEOPLE, REGISTER, contract, problems, read, tree, write


def test_the_folders_name_a_dataset_in_a_tree(tmp_path):
    root = tree(tmp_path)
    found = read_contract(root / "police/people/contract.odcs.yaml")
    assert (found.id, found.department, found.dataset) == ("police/people", "police", "people")
    assert found == read_contract(root / "police/people/contract.odcs.yaml", root=root)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, "local/people"),
        ({"name": "Air Quality", "domain": "Environment"}, "environment/air_quality"),
        ({"name": "人口", "tenant": "公安"}, "公安/人口"),
        ({"id": "urn:x:y"}, "local/urn_x_y"),
    ],
)
def test_elsewhere_the_contract_names_itself(tmp_path, header, expected):
    assert read(tmp_path, contract(**header)).id == expected


def test_what_the_header_says_is_kept(tmp_path):
    found = read(
        tmp_path, contract(crossdock=REGISTER, domain="population", description={"purpose": "Who lives here."})
    )
    assert (found.version, found.status, found.theme, found.description) == (
        "1.0.0",
        "active",
        "population",
        "Who lives here.",
    )
    assert (found.title, found.sharing, found.sharing_basis) == (
        Label(zh="登记", en="Register"),
        "conditional",
        "Article 34",
    )
    assert found.source
    assert (found.source.kind, found.source.connection) == ("files", "dept")
    assert found.source.options == {"path": "*.csv", "format": "csv"}
    assert found.primary_key == ("id",)
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_contract_of_other_people_shares_nothing_and_pulls_nothing(tmp_path):
    found = read(tmp_path, contract(customProperties=[{"property": "owner", "value": "x"}]))
    assert (found.sharing, found.source, found.subject, found.transforms) == ("none", None, None, ())


def test_key_columns_are_ordered_by_position_then_as_written(tmp_path):
    columns = [
        {"name": "a", "logicalType": "string", "primaryKey": True},
        {"name": "b", "logicalType": "string", "primaryKey": True, "primaryKeyPosition": 2},
        {"name": "c", "logicalType": "string", "primaryKey": True, "primaryKeyPosition": 1},
        {"name": "d", "logicalType": "string", "primaryKey": False, "primaryKeyPosition": -1},
    ]
    found = read(tmp_path, contract(columns))
    assert found.primary_key == ("c", "b", "a")
    assert [c.key_position for c in found.columns] == [3, 2, 1, None]
    assert [c.required for c in found.columns] == [True, True, True, False]
    assert "c+b+a.unique" in {rule.id for rule in found.rules}


TWO = [
    {"name": "orders", "physicalName": "t_orders", "properties": [{"name": "x", "logicalType": "string"}]},
    {"name": "items", "id": "items_id", "properties": [{"name": "y", "logicalType": "string"}]},
]


@pytest.mark.parametrize(("name", "column"), [("orders", "x"), ("t_orders", "x"), ("items", "y"), ("items_id", "y")])
def test_one_of_several_tables_is_read_by_name(tmp_path, name, column):
    assert [c.name for c in read(tmp_path, contract() | {"schema": TWO}, schema=name).columns] == [column]


@pytest.mark.parametrize(
    ("schema", "name", "said"),
    [
        (TWO, None, "describes 2 tables, and a dataset is one: orders, items."),
        (TWO, "order", "no table 'order'. Did you mean 'orders'?"),
        ([TWO[0], TWO[0]], "orders", "several tables 'orders'"),
        ([], None, "describes no table"),
        ([{"name": "empty"}], None, "has no properties"),
    ],
)
def test_a_table_that_is_not_clear_is_asked_for(tmp_path, schema, name, said):
    (found,) = problems(tmp_path, contract() | {"schema": schema}, schema=name)
    assert said in found


def test_measures_and_dimensions_are_no_columns(tmp_path):
    computed = [
        {"name": "incomes", "semanticType": "measure", "logicalType": "number", "transformLogic": "sum(income)"},
        {"name": "where", "semanticType": "dimension", "logicalType": "string", "transformLogic": "region"},
    ]
    found = read(tmp_path, contract([*PEOPLE[:3], computed[0], PEOPLE[3] | {"semanticType": "column"}, computed[1]]))
    assert [c.name for c in found.columns] == ["id", "name", "born", "income"]
    assert not {"incomes.type", "where.type"} & {rule.id for rule in found.rules}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            contract([*PEOPLE, {"name": "m", "semanticType": "measure", "required": True}]),
            "so no row can be judged by it",
        ),
        (contract([PEOPLE[0] | {"semanticType": "mesure"}]), "Did you mean 'measure'?"),
        (contract(kind="DataProduct"), "kind: This is a 'DataProduct'"),
        (contract(apiVersion="v2.2.2"), "apiVersion: crossdock reads ODCS 3.x"),
        (contract(apiVersion=None), "apiVersion: crossdock reads ODCS 3.x"),
        (contract(id=None), "id: The contract has no id."),
        (contract(version=1.0), "version: Input should be a valid string. Put it in quotes."),
        (contract(verson="1"), "verson: There is no key 'verson' here. Did you mean 'version'?"),
        (contract([{"logicalType": "string"}]), "A property needs a name"),
        (contract([PEOPLE[0], PEOPLE[0]]), "The column name 'id' stands twice."),
        (contract([PEOPLE[0], {"name": "ID", "logicalType": "string"}]), "differs from 'ID' only by case"),
        (contract([{"name": "_arrival", "logicalType": "string"}]), "crossdock keeps for itself"),
        (contract([{"name": "a\nb", "logicalType": "string"}]), "one line"),
        (contract([{"name": " a", "logicalType": "string"}]), "without spaces around it"),
        (
            contract([PEOPLE[1] | {"physicalName": "n"}, PEOPLE[4] | {"physicalName": "n"}]),
            "Two columns are read from 'n'.",
        ),
        (
            contract(
                [PEOPLE[0] | {"primaryKeyPosition": 1}, PEOPLE[1] | {"primaryKey": True, "primaryKeyPosition": 1}]
            ),
            "Two columns have the key position 1.",
        ),
        (contract(crossdock=REGISTER | {"titel": 1}), "customProperties[0].value.titel: There is no key 'titel' here."),
        (contract(crossdock=REGISTER | {"sharing": {"class": "secret"}}), "value.sharing.class: Input should be"),
        (contract(crossdock=REGISTER | {"sharing": {"class": "none"}}), "needs its legal basis"),
        (contract(crossdock=REGISTER | {"subject": {"kind": "person", "column": "idd"}}), "Did you mean 'id'?"),
        (
            contract(crossdock=REGISTER | {"source": {"kind": "file"}}),
            "no kind of source 'file'. Did you mean 'files'?",
        ),
        (
            contract(PEOPLE[1:], crossdock=REGISTER | {"source": {"kind": "files", "watermark": "born"}}),
            "needs a primary key",
        ),
        (contract(crossdock=REGISTER | {"source": {"kind": "files", "watermark": "brn"}}), "Did you mean 'born'?"),
        (contract(crossdock=REGISTER | {"transforms": [{"use": "t", "columns": ["nme"]}]}), "Did you mean 'name'?"),
        (contract(crossdock=REGISTER | {"transforms": [{"use": "t", "columns": []}]}), "transforms[0].columns"),
        (contract(crossdock=REGISTER | {"tolerance": {"percent": 101}}), "tolerance.percent"),
        (contract(crossdock=REGISTER | {"tolerances": {"id.uniqe": {"rows": 1}}}), "Did you mean 'id.unique'?"),
        (contract(crossdock="register"), "customProperties[0].value: Input should be"),
        (contract(customProperties=[{"property": "crosdock", "value": {}}]), "Did you mean 'crossdock'?"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(tmp_path, data, said):
    (found,) = problems(tmp_path, {key: value for key, value in data.items() if value is not None})
    assert said in found


def test_a_status_is_one_of_ours_only_where_sharing_hangs_on_it(tmp_path):
    assert read(tmp_path, contract(status="production")).status == "production"
    root = tree(tmp_path, {"police/people/contract.odcs.yaml": contract(status="activ")})
    with pytest.raises(ContractInvalid, match="Did you mean 'active'"):
        read_contract(root / "police/people/contract.odcs.yaml")


def test_all_problems_of_a_file_come_at_once_in_its_order_with_lines(tmp_path):
    text = """\
apiVersion: v3.1.0
kind: DataContract
id: x
version: 1.0
schema:
  - name: t
    properties:
      - name: a
        logicalType: strng
      - name: b
        logicalType: integer
        logicalTypeOptions: {multipleOf: 2}
        quality:
          - {metric: nulValues}
          - {type: sql, query: select 1 form t}
team: {members: [{usrname: x}]}
"""
    with pytest.raises(ContractInvalid) as caught:
        read_contract(write(tmp_path / "f.yaml", text))
    assert [(p.line, p.path) for p in caught.value.problems] == [
        (4, "version"),
        (9, "schema[0].properties[0].logicalType"),
        (12, "schema[0].properties[1].logicalTypeOptions.multipleOf"),
        (14, "schema[0].properties[1].quality[0]"),
        (15, "schema[0].properties[1].quality[1]"),
        (16, "team.members[0].usrname"),
    ]


def one_column(*quality, **more):
    return contract([{"name": "x", "logicalType": "string", "quality": list(quality), **more}])


def test_one_promise_stated_twice_is_one_rule_with_the_stated_bound(tmp_path):
    bounded = {"metric": "duplicateValues", "mustBeLessOrEqualTo": 5, "unit": "percent"}
    (rule,) = (r for r in read(tmp_path, one_column(bounded, unique=True)).rules if r.kind == "unique")
    assert (rule.id, rule.tolerance) == ("x.unique", Tolerance(percent=5))


def test_different_promises_of_one_kind_are_told_apart(tmp_path):
    found = read(
        tmp_path,
        one_column(
            {"metric": "invalidValues", "arguments": {"pattern": "b"}},
            {"metric": "nullValues", "severity": "warning"},
            logicalTypeOptions={"pattern": "a"},
            required=True,
        ),
    )
    assert {r.id: r.severity for r in found.rules if r.kind in ("pattern", "not_null")} == {
        "x.not_null": "error",
        "x.not_null_2": "warning",
        "x.pattern": "error",
        "x.pattern_2": "error",
    }


def test_names_may_repeat_from_column_to_column(tmp_path):
    entry = {"metric": "nullValues", "name": "filled"}
    columns = [{"name": n, "logicalType": "string", "quality": [entry]} for n in ("a", "b")]
    ids = [r.id for r in read(tmp_path, contract(columns)).rules if r.kind == "not_null"]
    assert ids == ["filled", "b.filled"]


def test_tolerances_are_stated_per_rule_and_once(tmp_path):
    data = contract(crossdock=REGISTER | {"tolerances": {"id.unique": {"percent": 1}}, "tolerance": {"rows": 9}})
    found = read(tmp_path, data)
    assert next(r for r in found.rules if r.id == "id.unique").tolerance == Tolerance(percent=1)
    assert found.tolerance == Tolerance(rows=9)
    bounded = one_column({"metric": "nullValues", "mustBeLessThan": 3})
    bounded["schema"][0]["quality"] = [{"metric": "rowCount"}]
    value = REGISTER | {"tolerances": {"x.not_null": {"rows": 5}, "row_count": {"rows": 1}}}
    bounded["customProperties"] = [{"property": "crossdock", "value": value}]
    assert [p.rpartition("tolerances.")[2] for p in problems(tmp_path, bounded)] == [
        "x.not_null: The rule's own bound says something else. State it once.",
        "row_count: No row can be blamed for this rule, so none can be tolerated.",
    ]


def test_subject_transforms_and_null_words_are_read(tmp_path):
    step = {"use": "half_width", "columns": ["name"], "reference": "a/b", "options": {"form": "NFKC"}}
    value = REGISTER | {
        "subject": {"kind": "person", "column": "id"},
        "transforms": [step],
        "nullTokens": ["NULL", "无"],
    }
    found = read(tmp_path, contract(crossdock=value))
    assert found.subject == Subject(kind="person", column="id")
    assert found.null_tokens == ("NULL", "无")
    (made,) = found.transforms
    assert (made.use, made.columns, made.reference, made.options) == ("half_width", ("name",), "a/b", {"form": "NFKC"})
    assert found.refers_to == {"a/b"}


def test_an_older_contract_of_other_people_is_read_as_far_as_it_can_be_run(tmp_path):
    data = contract(
        [
            {"name": "ref_date", "physicalName": "txn_ref_dt", "logicalType": "date", "physicalType": "timestamp_tz",
             "primaryKeyPosition": -1, "partitioned": True, "partitionKeyPosition": 1, "tags": [],
             "transformSourceObjects": ["t1"], "examples": ["2022-10-03"]},
            {"name": "rcvr_id", "primaryKey": True, "physicalType": "varchar(18)", "criticalDataElement": False,
             "quality": [
                 {"rule": "duplicateCount", "mustBeLessThan": 10, "name": "Fewer than 10 duplicates", "unit": "rows"},
                 {"rule": "validValues", "validValues": ["pounds", "kg"], "mustBe": 0},
                 {"type": "text", "description": "Checked by hand."}]},
            {"name": "country", "logicalType": "string", "encryptedName": "c_enc",
             "quality": [{"rule": "nullCheck", "type": "library", "severity": "error", "businessImpact": "operational",
                          "schedule": "0 20 * * *", "scheduler": "cron",
                          "customProperties": [{"property": "FIELD_NAME", "value": None}]}]},
        ],
        table={"physicalName": "tbl_1", "physicalType": "table", "businessName": "Core Payment Metrics",
               "quality": [{"rule": "rowCount", "type": "library", "mustBeGreaterThan": 1}]},
        apiVersion="v3.0.2",
        dataProduct="my quantum",
        servers=[{"server": "pg", "type": "postgres", "host": "h", "port": 5432, "database": "d", "schema": "s",
                  "driver": "x"}],
        team=[{"username": "a", "role": "Owner", "dateIn": "2022-08-02"}],
        roles=[{"role": "r", "access": "read", "firstLevelApprovers": "Manager"}],
        support=[{"channel": "#help", "tool": "slack", "url": "https://example.com"}],
        price={"priceAmount": 9.95, "priceCurrency": "USD", "priceUnit": "megabyte"},
        slaDefaultElement="tab1.txn_ref_dt",
        slaProperties=[{"property": "latency", "value": 4, "unit": "d"}, {"property": "frequency", "value": 7, "unit": "h"}],
        contractCreatedTs="2022-11-15T02:59:43+00:00",
    )  # fmt: skip
    found = read(tmp_path, data)
    assert [(c.name, c.type, c.timezone) for c in found.columns] == [
        ("ref_date", "timestamp", True),
        ("rcvr_id", "string", False),
        ("country", "string", False),
    ]
    assert {r.id: r.kind for r in found.rules if r.kind != "type"} == {
        "rcvr_id.not_null": "not_null",
        "Fewer_than_10_duplicates": "unique",
        "rcvr_id.in_set": "in_set",
        "country.not_null": "not_null",
        "rcvr_id.unique": "unique",
        "row_count": "row_count",
        "latency": "freshness",
    }


names = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
plain = st.sampled_from(["string", "integer", "number", "boolean", "date", "timestamp", "time"])
nested = st.recursive(
    st.fixed_dictionaries({"logicalType": plain}, optional={"required": st.booleans()}),
    lambda inner: (
        st.fixed_dictionaries(
            {"logicalType": st.just("array"), "items": inner},
            optional={"logicalTypeOptions": st.just({"uniqueItems": True, "maxItems": 3})},
        )
        | st.lists(inner, min_size=1, max_size=3).map(
            lambda parts: {
                "logicalType": "object",
                "properties": [{"name": f"p{number}", **part} for number, part in enumerate(parts)],
            }
        )
        | inner.map(lambda value: {"logicalType": "map", "map": {"key": {"logicalType": "string"}, "value": value}})
    ),
    max_leaves=4,
)
promises = nested | st.fixed_dictionaries(
    {"logicalType": plain},
    optional={
        "required": st.booleans(),
        "unique": st.booleans(),
        "primaryKey": st.booleans(),
        "businessName": names,
        "classification": st.sampled_from(["public", "internal", "restricted"]),
        "quality": st.lists(
            st.sampled_from(
                [
                    {"metric": "nullValues", "mustBe": 0},
                    {"metric": "duplicateValues", "mustBeLessThan": 3},
                    {"metric": "nullValues", "mustNotBeBetween": [3, 5.5], "unit": "percent"},
                    {"type": "sql", "query": "select count(${column}) from ${table}", "mustNotBe": 0.5},
                    {"type": "text", "description": "for people"},
                ]
            ),
            max_size=2,
        ),
    },
)
tables = st.dictionaries(names.filter(str.isprintable), promises, min_size=1, max_size=5).filter(
    lambda found: len({name.lower() for name in found}) == len(found)
)


def meaning(found: Contract):
    return found.columns, found.rules, found.primary_key, arrow_schema(found)


@given(tables)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_what_the_standards_own_package_writes_means_the_same(tmp_path, columns):
    data = contract([{"name": name, **given_promise} for name, given_promise in columns.items()])
    first = read(tmp_path, data)
    written = OpenDataContractStandard.model_validate(data).to_yaml()
    second = read_contract(write(tmp_path / "again.yaml", written))
    assert meaning(second) == meaning(first)
    assert yaml.safe_load(OpenDataContractStandard.from_string(written).to_yaml()) == yaml.safe_load(written)


FULL = contract(
    [
        {**PEOPLE[0], "quality": [{"metric": "nullValues", "mustBe": 0}], "logicalTypeOptions": {"pattern": "a"}},
        {**PEOPLE[3], "logicalTypeOptions": {"minimum": 0}, "enum": [{"value": 1}]},
        {**PEOPLE[2], "relationships": [{"to": "people.id", "type": "foreignKey"}]},
        {"name": "o", "logicalType": "object", "properties": [{"name": "l", "logicalType": "array", "items": PEOPLE[1]}]},
        {"name": "m", "logicalType": "map", "map": {"key": PEOPLE[1], "value": {"logicalType": "vector", "logicalTypeOptions": {"dimensions": 2}}}},
    ],
    table={"quality": [{"query": "select 1 + count(*) from people", "mustBeBetween": [1, 2]}, {"type": "custom", "engine": "gx", "implementation": {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}}}]},
    crossdock=REGISTER | {"tolerances": {"id.unique": {"percent": 1}}, "transforms": [{"use": "t", "columns": ["id"]}]},
    slaProperties=[{"property": "freshness", "value": 1, "unit": "d", "element": "people.born"}],
    team={"members": [{"username": "a"}]},
)  # fmt: skip
junk = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        10**40,
        "",
        "x",
        "people.id",
        "2026-01-01",
        [],
        [None],
        ["x"],
        [[1]],
        {},
        {"x": 1},
        {"type": 5},
    ]
)


def places(data, steps=()):
    yield steps
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(value, (*steps, key))


@given(st.sampled_from([p for p in places(FULL) if p]), junk, st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
def test_any_part_may_be_wrong_and_it_is_said_or_harmless(tmp_path, place, value, add):
    data = copy.deepcopy(FULL)
    part = data
    for step in place[:-1]:
        part = part[step]
    if add and isinstance(part, dict):
        part["x"] = value
    else:
        part[place[-1]] = value
    if said := problems(tmp_path, data):
        assert all(said)
    else:
        found = read(tmp_path, data)
        known = {c.name for c in found.columns} | routes(found.columns).keys()
        assert {c for r in found.rules for c in r.columns} <= known
