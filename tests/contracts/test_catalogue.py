"""A tree of contracts: what holds together, what does not, and that one wrong file costs only itself."""

from pathlib import Path

import pytest

from crossdock.contracts.catalogue import load_catalogue, read_department
from crossdock.contracts.oaas import read_agreement
from crossdock.contracts.odcs import read_contract
from crossdock.errors import ContractInvalid
from drafts import PEOPLE, REGISTER, agreement, contract, tree, write

HERE = Path(__file__).parents[2]
OURS = HERE / "contracts"
PEOPLE_FILE = "police/people/contract.odcs.yaml"
DIVISIONS = "tax/divisions/contract.odcs.yaml"
CODES = contract([{"name": "code", "logicalType": "string", "primaryKey": True}], crossdock=REGISTER)


def load(tmp_path, files=None):
    transforms = tmp_path / "transforms"
    write(transforms / "half_width.py", "")
    return load_catalogue(tree(tmp_path / "contracts", files), transforms=transforms)


def said(catalogue, tmp_path):
    return [
        f"{p.file.relative_to(tmp_path / 'contracts')}{f':{p.line}' if p.line else ''}: {p.path}: {p.what} {p.fix}".strip()
        for p in catalogue.problems
    ]


def referring(to):
    columns = [PEOPLE[0], {"name": "region", "logicalType": "string", "relationships": [{"to": to}]}]
    return contract(columns, crossdock=REGISTER)


def test_a_tree_that_holds_together(tmp_path):
    found = load(tmp_path, {"police/people/agreements/public.oaas.yaml": None, "README.md": "for people"})
    assert found.problems == ()
    assert set(found.departments) == {"police", "tax"}
    assert found.departments["police"].name.zh == "公安"
    assert set(found.contracts) == {"police/people"}
    assert set(found.agreements) == {"police/people/tax"}


def test_names_across_files_hold(tmp_path):
    steps = {"transforms": [{"use": "half_width", "columns": ["name"], "reference": "tax/divisions"}]}
    people = referring("../../tax/divisions/contract.odcs.yaml#/schema/people/properties/code")
    people["customProperties"][0]["value"] = (
        REGISTER | steps | {"transforms": [steps["transforms"][0] | {"columns": ["region"]}]}
    )
    files = {PEOPLE_FILE: people, DIVISIONS: CODES, "police/people/agreements/tax.oaas.yaml": agreement(columns=["id"])}
    found = load(tmp_path, files)
    assert found.problems == ()
    assert found.contracts["police/people"].refers_to == {"tax/divisions"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {PEOPLE_FILE: contract(crossdock=REGISTER | {"transforms": [{"use": "halfwidth", "columns": ["name"]}]})},
            "value.transforms[0].use: There is no transform 'halfwidth'. Did you mean 'half_width'?",
        ),
        (
            {PEOPLE_FILE: contract(crossdock=REGISTER | {"transforms": [{"use": "half_width", "columns": ["name"], "reference": "tax/division"}]}), DIVISIONS: CODES},
            "value.transforms[0].reference: There is no dataset 'tax/division'. Did you mean 'tax/divisions'?",
        ),
        (
            {PEOPLE_FILE: referring("../../tax/division/contract.odcs.yaml#people.code"), DIVISIONS: CODES},
            "relationships[0].to: There is no dataset 'tax/division'. Did you mean 'tax/divisions'?",
        ),
        (
            {PEOPLE_FILE: referring("../../tax/divisions/contract.odcs.yaml#people.cod"), DIVISIONS: CODES},
            "relationships[0].to: Dataset 'tax/divisions' has no column 'cod'. Did you mean 'code'?",
        ),
    ],
)  # fmt: skip
def test_a_contract_that_names_what_does_not_exist_is_left_out(tmp_path, files, expected):
    found = load(tmp_path, files)
    assert "police/people" not in found.contracts
    lines = said(found, tmp_path)
    assert lines[0].startswith(f"{PEOPLE_FILE}:")
    assert expected in lines[0]
    assert all("The contract of 'police/people' is wrong" in line for line in lines[1:])
    assert not found.agreements


def test_a_broken_file_costs_only_itself(tmp_path):
    found = load(tmp_path, {DIVISIONS: "a: [", "tax/codes/contract.odcs.yaml": CODES})
    assert set(found.contracts) == {"police/people", "tax/codes"}
    assert len(found.agreements) == 2
    (line,) = said(found, tmp_path)
    assert line.startswith(f"{DIVISIONS}:2: : This is no valid YAML")


def test_a_reference_to_a_broken_contract_is_no_second_problem(tmp_path):
    people = referring("../../tax/divisions/contract.odcs.yaml#people.code")
    found = load(tmp_path, {PEOPLE_FILE: people, DIVISIONS: "a: [", "police/people/agreements/tax.oaas.yaml": None})
    assert set(found.contracts) == {"police/people"}
    assert {p.file.parent.name for p in found.problems} == {"divisions"}


def test_an_agreement_with_nobody_is_a_problem(tmp_path):
    found = load(tmp_path, {"police/people/agreements/taxes.oaas.yaml": agreement(consumer="taxes")})
    (line,) = said(found, tmp_path)
    assert line == "police/people/agreements/taxes.oaas.yaml: : There is no department 'taxes'. Did you mean 'tax'?"
    assert set(found.agreements) == {"police/people/tax", "police/people/public"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tax/department.yaml": {"id": "txa", "name": {"zh": "税", "en": "T"}}}, "tax/department.yaml:1: id: The id 'txa' is not the folder's name. Write `id: tax`."),
        ({"tax/department.yaml": {"id": "tax", "name": {"zh": "税"}}}, "tax/department.yaml:2: name.en: Field required."),
        ({"tax/department.yaml": {"id": "tax", "name": {"zh": "税", "en": "T"}, "phone": 1}}, "phone: There is no key 'phone' here."),
        ({"health/note.txt": "x"}, "health/department.yaml: : The file can't be read"),
        ({"public/department.yaml": {"id": "public", "name": {"zh": "公", "en": "P"}}}, "'public' is the public, no department"),
        ({"Tax-Office/department.yaml": {"id": "Tax-Office", "name": {"zh": "税", "en": "T"}}}, "'Tax-Office' can't name a department"),
        ({"tax/codes/contract.yaml": CODES}, "tax/codes/contract.yaml: : Nothing reads a file of this name here. Call it contract.odcs.yaml"),
        ({"tax/codes/contract.odcs.yml": CODES}, "tax/codes: : The folder has no contract.odcs.yaml."),
        ({"police/people/agreements/tax.yaml": agreement()}, "agreements/tax.yaml: : Nothing reads a file of this name here. Call it <consumer>.oaas.yaml"),
        ({"police/departments.yml": "x"}, "police/departments.yml: : Nothing reads a file of this name here. Call it department.yaml"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_or_that_nothing_reads_is_named(tmp_path, files, expected):
    assert any(expected in line for line in said(load(tmp_path, files), tmp_path))


def test_a_tree_that_is_not_there_is_a_problem(tmp_path):
    found = load_catalogue(tmp_path / "contracts", transforms=tmp_path)
    assert [p.what for p in found.problems] == ["There is no contracts folder."]


def test_hidden_folders_are_nobodys(tmp_path):
    assert load(tmp_path, {".git/x/y.yaml": "x", "police/.cache/x.yaml": "x"}).problems == ()


def test_our_own_tree_holds_together():
    found = load_catalogue(OURS, transforms=HERE / "transforms")
    assert [str(p) for p in found.problems] == []
    files = {path for path in OURS.rglob("*.yaml") if path.name != "department.yaml"}
    assert {c.path for c in found.contracts.values()} | {a.path for a in found.agreements.values()} == files


@pytest.mark.parametrize("path", sorted(OURS.rglob("*.yaml")), ids=lambda path: path.relative_to(OURS).as_posix())
def test_each_of_our_files_stands_by_itself_and_its_misspelt_twin_does_not(tmp_path, path):
    def read(file):
        if file.name == "department.yaml":
            return read_department(file)
        if file.name == "contract.odcs.yaml":
            return read_contract(file, root=file.parents[2])
        return read_agreement(file, read_contract(file.parents[1] / "contract.odcs.yaml"))

    assert read(path)
    folder = tmp_path / path.relative_to(OURS).parent
    if path.parent.name == "agreements":
        write(folder.parent / "contract.odcs.yaml", (path.parents[1] / "contract.odcs.yaml").read_text("utf-8"))
        write(folder.parents[1] / "department.yaml", (path.parents[2] / "department.yaml").read_text("utf-8"))
    text = path.read_text("utf-8")
    for twin in (
        text.replace("\nname:", "\nnaem:", 1).replace("\ndescription:", "\ndescripton:", 1),
        text + "\nid: again\n",
        text[: len(text) // 2] + "\n\t[",
        "",
    ):
        with pytest.raises(ContractInvalid) as caught:
            read(write(folder / path.name, twin))
        assert all(problem.file == folder / path.name for problem in caught.value.problems)
