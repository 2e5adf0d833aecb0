"""Lint says before any data comes what source, engine, transforms and the decision to deliver would refuse."""

import shutil

import pytest

from crossdock.errors import WrongUse
from crossdock.lint import lint
from drafts import PEOPLE, REGISTER, agreement, contract, tree, write
from repositories import commit, git

FOLDER = {"channel": "folder", "connection": "c", "mode": "full", "path": "p"}


@pytest.fixture
def root(tmp_path):
    tree(tmp_path / "contracts")
    (tmp_path / "transforms").mkdir()
    return tmp_path / "contracts"


def said(root, path=None):
    return [f"{p.file.name}: {p.what}" for p in lint(path or root, transforms=root.parent / "transforms").problems]


def test_a_sound_tree_has_nothing_to_say(root):
    report = lint(root, transforms=root.parent / "transforms")
    assert report.problems == ()
    assert (report.departments, report.contracts, report.agreements) == (2, 1, 2)
    assert report.compared is None


def test_a_source_option_that_nothing_reads(root):
    value = REGISTER | {"source": {"kind": "database", "connection": "c", "tabel": "t"}}
    write(root / "police/people/contract.odcs.yaml", contract(crossdock=value))
    found = said(root)
    assert any("'tabel'" in text for text in found)
    assert any("needs the option 'table'" in text for text in found)


def test_a_transform_that_is_no_transform(root):
    write(root.parent / "transforms/t.py", "def other(batch): ...\n")
    write(
        root / "police/people/contract.odcs.yaml",
        contract(crossdock=REGISTER | {"transforms": [{"use": "t", "columns": ["name"]}]}),
    )
    assert any(text.startswith("contract.odcs.yaml") for text in said(root))


def test_what_source_transform_and_channel_refuse_is_named_with_its_line(root):
    source = REGISTER["source"] | {"path": "../../elsewhere.csv"}
    write(root.parent / "transforms/t.py", "def t(batch): ...\n")
    file = root / "police/people/contract.odcs.yaml"
    value = REGISTER | {"source": source, "transforms": [{"use": "t", "columns": ["name"]}]}
    write(file, contract(crossdock=value))
    agreed = root / "police/people/agreements/tax.oaas.yaml"
    write(
        agreed,
        agreement(delivery={"channel": "folder", "connection": "c", "mode": "full", "path": "../up", "colour": "red"}),
    )
    found = {}
    for problem in lint(root, transforms=root.parent / "transforms").problems:
        line = problem.file.read_text("utf-8").splitlines()[problem.line - 1]
        found[problem.path.rpartition("value.")[2]] = (problem.what, line.strip().lstrip("- "))
    assert found["source.path"] == ("The path leaves the connection's folder.", "path: ../../elsewhere.csv")
    assert found["transforms[0].use"][1].startswith("use: t")
    assert found["delivery.path"] == ("The agreement's `path` is no plain relative path.", "path: ../up")
    assert found["delivery.colour"] == ("A delivery by folder has no option 'colour'.", "colour: red")


@pytest.mark.parametrize(
    ("delivery", "said_of_it"),
    [
        ({"channel": "folder"}, "needs the option 'path'"),
        ({"channel": "bucket", "path": "/p"}, "no plain relative path"),
        ({"channel": "database", "tabel": "t"}, "has no option 'tabel'"),
        ({"channel": "database", "table": "a b; drop"}, "no proper table"),
        ({"channel": "database", "table": "t", "format": "csv"}, "has no option 'format'"),
    ],
)
def test_a_delivery_that_its_channel_can_not_make(root, delivery, said_of_it):
    path = root / "police/people/agreements/tax.oaas.yaml"
    write(path, agreement(delivery={"connection": "c", "mode": "full"} | delivery))
    assert any(said_of_it in text for text in said(root))


def test_an_agreement_tells_its_own_faults_though_its_contract_has_some(root):
    write(root / "police/people/contract.odcs.yaml", contract(crossdock=REGISTER | {"titel": {}}))
    path = root / "police/people/agreements/tax.oaas.yaml"
    write(path, agreement(colums=["name"]))
    found = said(root)
    assert any("'titel'" in text for text in found)
    assert "tax.oaas.yaml: There is no key 'colums' here." in found


def test_an_agreement_that_could_never_be_delivered(root):
    path = root / "police/people/agreements/tax.oaas.yaml"
    write(
        path,
        agreement(delivery={"channel": "folder", "connection": "c", "mode": "full", "path": "p", "format": "parket"}),
    )
    assert any("There is no delivery format 'parket'" in text for text in said(root))
    assert said(root, path) == said(root)


@pytest.mark.parametrize(
    ("terms", "place", "what"),
    [
        ({"protect": {"income": {"generalise": "0.01"}}}, "protect.income", "it cannot be generalised to '0.01'"),
        ({"protect": {"born": {"mask": {"keepFirst": 1, "keepLast": 0}}}}, "protect.born", "only text can be masked"),
        ({"delivery": {**FOLDER, "format": "parket"}}, "delivery.format", "no delivery format 'parket'"),
        ({"rows": "region = 'a' and like 3"}, "rows", "row filter, character 23: It cannot be read from here on."),
        ({"rows": "born > 3"}, "rows", "row filter, character 8: Column 'born' is of type date"),
    ],
)
def test_what_can_not_be_delivered_is_named_with_its_place(root, terms, place, what):
    path = root / "police/people/agreements/tax.oaas.yaml"
    write(path, agreement(**{"columns": ["id", "born", "income"], "delivery": FOLDER} | terms))
    (problem,) = lint(root, transforms=root.parent / "transforms").problems
    assert problem.path == f"customProperties[0].value.{place}"
    assert what in problem.what
    line = path.read_text("utf-8").splitlines()[problem.line - 1]
    assert line.strip().startswith(place.rpartition(".")[2])


@pytest.mark.parametrize(
    ("delivery", "header", "met"),
    [
        (FOLDER, {}, True),
        (FOLDER | {"path": "p/", "format": "csv"}, {"status": "requested"}, True),
        (FOLDER | {"path": "q"}, {}, False),
        (FOLDER | {"connection": "d"}, {}, False),
        (FOLDER | {"channel": "bucket"}, {}, False),
        (FOLDER, {"status": "retired"}, False),
        (FOLDER, {"startTimestamp": "2031-01-01T00:00:00+08:00", "endTimestamp": "2032-01-01T00:00:00+08:00"}, False),
    ],
)
def test_two_agreements_that_deliver_to_one_place(root, delivery, header, met):
    write(root / "health/department.yaml", (root / "tax/department.yaml").read_text().replace("tax", "health"))
    write(root / "police/people/agreements/health.oaas.yaml", agreement(consumer="health", delivery=FOLDER))
    path = root / "police/people/agreements/tax.oaas.yaml"
    write(path, agreement(delivery=delivery, header=header))
    found = lint(root, transforms=root.parent / "transforms").problems
    told = [(p.file, p.path.rpartition("value.")[2], p.what) for p in found]
    assert told == [(path, "delivery.path", "Agreement police/people/health delivers to the same place.")] * met


# against a revision


@pytest.fixture
def repository(root):
    """The tree, committed, in a repository of its own."""
    git(root.parent, "init", "-q")
    commit(root.parent)
    return root


def against(root, revision="HEAD"):
    return lint(root, transforms=root.parent / "transforms", against=revision)


def test_nothing_changed_since(repository):
    report = against(repository)
    assert (report.problems, report.compared.datasets, report.compared.findings) == ((), (), ())


def test_every_contract_is_held_against_its_own_past(repository):
    other = repository / "police/other/contract.odcs.yaml"
    write(other, contract(crossdock=REGISTER))
    commit(repository.parent)
    write(other, contract(PEOPLE[:-1], crossdock=REGISTER))
    write(repository / "police/people/contract.odcs.yaml", contract(PEOPLE[:-1], crossdock=REGISTER, version="2.0.0"))
    found = against(repository).compared.findings
    assert [(f.file.parent.name, f.path) for f in found] == [("other", "version"), ("agreements", "")]
    assert found[1].file.name == "public.oaas.yaml"
    assert against(repository, "HEAD~1").compared.datasets[0].fate == "added"


def test_problems_and_findings_are_told_together(repository):
    write(repository / "police/people/contract.odcs.yaml", contract(PEOPLE[:-1], crossdock=REGISTER))
    report = against(repository)
    assert any("public.oaas.yaml" in str(p.file) for p in report.problems)
    assert {f.path for f in report.compared.findings} == {"version", ""}


def test_a_removed_contract_with_a_live_agreement(repository):
    shutil.rmtree(repository / "police/people")
    (public, tax) = against(repository).compared.findings
    assert "Consumer 'public' would break" in public.what
    assert "retired" in tax.fix
    assert tax.file == repository / "police/people/agreements/tax.oaas.yaml"


def test_what_was_broken_at_the_revision_holds_nothing_up(repository):
    write(repository / "police/people/contract.odcs.yaml", "kind: Nothing\n")
    commit(repository.parent)
    write(repository / "police/people/contract.odcs.yaml", contract(PEOPLE[:-1], crossdock=REGISTER))
    assert against(repository).compared.findings == ()


def test_only_a_folder_has_revisions(repository):
    with pytest.raises(WrongUse, match="folder"):
        lint(repository / "police/people/contract.odcs.yaml", transforms=repository, against="HEAD")
