from typing import Literal

import pydantic
import pytest
from open_data_contract_standard.model import OpenDataContractStandard

from crossdock.contracts.documents import MAX_BYTES, parsed, read_document, spelled
from crossdock.errors import ContractInvalid
from drafts import contract, write


class Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    size: int
    word: str = ""


class Whole(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str
    parts: list[Part] = []
    named: dict[str, Literal["none"] | Part] = {}
    either: str | list[str] | None = None


def checked(tmp_path, text):
    document = read_document(write(tmp_path / "f.yaml", text))
    value = parsed(document, Whole, document.data)
    return value, [str(problem).partition("f.yaml:")[2] for problem in document.problems]


def test_paths_are_spelled_as_people_read_them():
    assert spelled(("schema", 0, "properties", 3, "name")) == "schema[0].properties[3].name"
    assert spelled(()) == ""


def test_a_file_that_fits_becomes_its_model(tmp_path):
    value, problems = checked(tmp_path, "name: n\nparts: [{size: 1}]\nnamed: {a: none, b: {size: 2}}\neither: [x]\n")
    assert (value, problems) == (
        Whole(name="n", parts=[Part(size=1)], named={"a": "none", "b": Part(size=2)}, either=["x"]),
        [],
    )


def test_everything_wrong_is_noted_at_once_with_line_path_and_nearest_name(tmp_path):
    _, problems = checked(
        tmp_path,
        "name: 1.0\nparts:\n  - {size: x}\n  - size: 1\n    wrd: a\nnamed: {b: {siz: 2}}\neither: {}\nnme: 1\n",
    )
    assert problems == [
        "5: parts[1].wrd: There is no key 'wrd' here. Did you mean 'word'?",
        "6: named.b.siz: There is no key 'siz' here. Did you mean 'size'?",
        "8: nme: There is no key 'nme' here. Did you mean 'name'?",
        "1: name: Input should be a valid string. Put it in quotes.",
        "3: parts[0].size: Input should be a valid integer, unable to parse string as an integer.",
        "6: named.b.size: Field required.",
        "7: either: Input should be a valid string or Input should be a valid list.",
    ]


def test_what_does_not_fit_is_left_out_so_that_the_rest_is_seen(tmp_path):
    document = read_document(write(tmp_path / "f.yaml", {"name": "n", "parts": 5}))
    assert parsed(document, Whole, document.data) == Whole(name="n")
    document.report(("parts",), "follows from the misfit")
    assert [problem.path for problem in document.problems] == ["parts"]


@pytest.mark.parametrize("team", [[{"username": "a", "role": "b"}], {"name": "t", "members": [{"username": "a"}]}])
def test_both_forms_of_a_team_are_known(tmp_path, team):
    document = read_document(write(tmp_path / "f.yaml", contract(team=team)))
    assert parsed(document, OpenDataContractStandard, document.data)
    assert document.problems == []


def test_a_misspelt_key_of_either_form_is_found(tmp_path):
    for team in ([{"usrname": "a"}], {"members": [{"usrname": "a"}]}):
        document = read_document(write(tmp_path / "f.yaml", contract(team=team)))
        parsed(document, OpenDataContractStandard, document.data)
        assert [p.fix for p in document.problems] == ["Did you mean 'username'?"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "mapping at its top"),
        (b"- a\n", "mapping at its top"),
        (b"a: \xff\xfe", "not UTF-8 (byte 3)"),
        ("a: 姓名".encode("gb18030"), "not UTF-8"),
        (b"a: [", "no valid YAML"),
        (b"a: 1\na: 2\n", None),
        (b"#" * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path, content, said):
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    if said is None:
        assert [(p.path, p.line) for p in read_document(path).problems] == [("a", 2)]
        return
    with pytest.raises(ContractInvalid) as caught:
        read_document(path)
    assert said in str(caught.value)


def test_files_that_are_not_there_or_no_files_say_so(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ContractInvalid, match="can't be read"):
            read_document(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes("\ufeffa: 1\n".encode())
    assert read_document(path).data == {"a": 1}
