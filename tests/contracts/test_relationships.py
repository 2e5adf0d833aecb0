import pytest

from drafts import contract, problems, read

COLUMNS = [
    {"name": "code", "id": "code_id", "physicalName": "dm", "logicalType": "string", "primaryKey": True},
    {"name": "parent", "logicalType": "string"},
    {"name": "kind", "logicalType": "string"},
]
OTHER = "../../civil/divisions/contract.odcs.yaml#/schema/divisions/properties/"


def at_parent(relationship):
    return contract([COLUMNS[0], COLUMNS[1] | {"relationships": [relationship]}, COLUMNS[2]], table={"id": "people_id"})


def reference(tmp_path, data):
    (rule,) = (rule for rule in read(tmp_path / "police" / "people", data).rules if rule.kind == "reference")
    return rule


@pytest.mark.parametrize(
    ("to", "dataset", "column"),
    [
        ("people.code", None, "code"),
        ("people.dm", None, "code"),
        ("/schema/people/properties/code", None, "code"),
        ("schema/people_id/properties/code_id", None, "code"),
        (f"{OTHER}code", "civil/divisions", "code"),
        (f"{OTHER[:-1].rpartition('#')[0]}#divisions.code", "civil/divisions", "code"),
        ("../divisions/contract.odcs.yaml#divisions.code", "police/divisions", "code"),
    ],
)
def test_a_property_refers_to_a_column_here_or_in_another_contract(tmp_path, to, dataset, column):
    rule = reference(tmp_path, at_parent({"type": "foreignKey", "to": to}))
    assert (rule.id, rule.columns) == ("parent.reference", ("parent",))
    assert rule.args == {"dataset": dataset, "columns": (column,)}


def test_a_table_refers_by_several_columns(tmp_path):
    given = {"from": ["people.parent", "people.kind"], "to": [f"{OTHER}code", f"{OTHER}kind"], "id": "in_divisions"}
    rule = reference(tmp_path, contract(COLUMNS, table={"relationships": [given]}))
    assert (rule.id, rule.columns) == ("in_divisions", ("parent", "kind"))
    assert rule.args == {"dataset": "civil/divisions", "columns": ("code", "kind")}


def test_a_table_may_refer_to_itself_by_several_columns(tmp_path):
    given = {"from": ["parent", "people.kind"], "to": ["people.code", "/schema/people/properties/kind"]}
    rule = reference(tmp_path, contract(COLUMNS, table={"relationships": [given]}))
    assert rule.columns == ("parent", "kind")
    assert rule.args == {"dataset": None, "columns": ("code", "kind")}


def test_one_column_may_refer_to_two_datasets(tmp_path):
    given = [{"to": f"{OTHER}code"}, {"to": "people.code"}]
    columns = [COLUMNS[0], COLUMNS[1] | {"relationships": given}]
    ids = [rule.id for rule in read(tmp_path, contract(columns)).rules if rule.kind == "reference"]
    assert ids == ["parent.reference", "parent.reference_2"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": "people.cod"}, "There is no column 'cod'. Did you mean 'code'?"),
        ({"to": "persons.code"}, "There is no table 'persons' in this contract."),
        ({"to": "code"}, "names no column"),
        ({"to": "/schema/people"}, "names no column"),
        ({"to": "../x.yaml#"}, "names no column"),
        ({"to": "https://example.com/c.yaml#people.code"}, "follows no web address"),
        ({"to": ["people.code", "people.kind"]}, "must name as many columns"),
        ({"to": []}, "must name as many columns"),
        ({"type": "manyToMany", "to": "people.code"}, "of type 'manyToMany'"),
    ],
)
def test_what_leads_nowhere_is_a_problem(tmp_path, given, said):
    (found,) = problems(tmp_path, at_parent(given))
    assert found.startswith("schema[0].properties[1].relationships[0]")
    assert said in found


def test_another_table_of_the_contract_is_not_at_hand(tmp_path):
    data = at_parent({"to": "receivers.id"})
    data["schema"].append({"name": "receivers", "properties": [{"name": "id", "logicalType": "string"}]})
    (found,) = problems(tmp_path, data, schema="people")
    assert "other table 'receivers' is not at hand. A table is a dataset with a contract of its own" in found
