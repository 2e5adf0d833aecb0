"""Lint says before any data comes what source, engine, transforms and the decision to deliver would refuse."""

import pytest

from crossdock.lint import lint
from drafts import REGISTER, agreement, contract, tree, write


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
    assert report.to_dict()["problems"] == []


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


def test_an_agreement_that_could_never_be_delivered(root):
    path = root / "police/people/agreements/tax.oaas.yaml"
    write(
        path,
        agreement(delivery={"channel": "folder", "connection": "c", "mode": "full", "path": "p", "format": "parket"}),
    )
    assert any("There is no delivery format 'parket'" in text for text in said(root))
    assert said(root, path) == said(root)
