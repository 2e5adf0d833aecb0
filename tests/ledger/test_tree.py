from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ledger.paths import is_continued, root_by_inclusion
from crossdock.ledger.tree import Tree, consistency, inclusion, leaf_hash, root_of

# The inputs and roots that Certificate Transparency's implementations test themselves with.
INPUTS = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:half]) + by_definition(leaves[half:])).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size):
    assert root_of([leaf_hash(data) for data in INPUTS[:size]]).hex() == ROOTS[size - 1]


def test_no_leaf_has_the_hash_of_nothing():
    assert Tree().root() == by_definition([])


trees = st.integers(1, 70).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(trees)
def test_a_tree_taken_up_again_grows_to_the_same_root(tree):
    size, cut = tree
    leaves = [leaf_hash(str(n).encode()) for n in range(size)]
    first = Tree()
    for leaf in leaves[:cut]:
        first.add(leaf)
    again = Tree(first.size, first.peaks)
    for leaf in leaves[cut:]:
        again.add(leaf)
    assert again.root() == by_definition(leaves)
    assert len(again.peaks) == size.bit_count()


@given(trees, st.data())
def test_a_path_leads_from_its_leaf_to_the_root_and_from_no_other(tree, data):
    size, index = tree
    leaves = [leaf_hash(str(n).encode()) for n in range(size)]
    path, root = inclusion(leaves, index), by_definition(leaves)
    assert root_by_inclusion(str(index).encode(), index, size, path) == root
    assert root_by_inclusion(b"another", index, size, path) != root
    other = data.draw(st.integers(-1, size + 1).filter(lambda n: n != index))
    assert root_by_inclusion(str(index).encode(), other, size, path) != root
    assert root_by_inclusion(str(index).encode(), index, size, [*path, root]) != root
    if path:
        assert root_by_inclusion(str(index).encode(), index, size, path[:-1]) != root


@given(trees, st.data())
def test_a_later_tree_proves_that_it_continues_an_earlier_one_and_no_other(tree, data):
    size, before = tree[0], tree[1] + 1
    leaves = [leaf_hash(str(n).encode()) for n in range(size)]
    path = consistency(leaves, before)
    earlier, later = (before, by_definition(leaves[:before])), (size, by_definition(leaves))
    assert is_continued(earlier, later, path)
    rewritten = [leaf_hash(b"rewritten"), *leaves[1:]]
    assert not is_continued((before, by_definition(rewritten[:before])), later, path)
    assert not is_continued(earlier, (size, by_definition(rewritten)), consistency(rewritten, before))
    assert not is_continued(earlier, later, [*path, later[1]])
    wrong = data.draw(st.integers(0, size).filter(lambda n: n != before))
    assert not is_continued((wrong, earlier[1]), later, path)
