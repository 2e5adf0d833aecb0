"""One dataset of a tree is read alone, and says the same of it as the whole."""

import pytest

from crossdock.contracts.catalogue import ContractsTree
from drafts import REGISTER, contract, tree, write


@pytest.fixture
def root(tmp_path):
    tree(tmp_path / "contracts")
    (tmp_path / "transforms").mkdir()
    return tmp_path / "contracts"


def test_a_part_says_what_the_whole_says(root):
    write(root / "police/other/contract.odcs.yaml", contract(crossdock=REGISTER))
    part, whole = ContractsTree(root, root.parent / "transforms"), ContractsTree(root, root.parent / "transforms").whole
    for dataset in whole.contracts:
        alone = part.part(dataset)
        assert alone.contracts[dataset] == whole.contracts[dataset]
        assert alone.departments == whole.departments
        assert alone.agreements == {k: a for k, a in whole.agreements.items() if a.dataset == dataset}
    assert set(part.part("police/people").contracts) == {"police/people"}


def test_a_broken_neighbour_costs_nothing_and_a_broken_contract_says_so(root):
    write(root / "police/broken/contract.odcs.yaml", {"kind": "DataContract"})
    found = ContractsTree(root, root.parent / "transforms")
    assert found.part("police/people").problems == ()
    assert found.part("police/broken").problems != ()
    assert "police/broken" not in found.part("police/broken").contracts
    assert found.part("police/none").contracts == {}


def test_once_the_whole_is_read_nothing_is_read_again(root):
    found = ContractsTree(root, root.parent / "transforms")
    assert found.part("police/people") is found.part("police/people")
    whole = found.whole
    assert found.part("police/people") is whole
