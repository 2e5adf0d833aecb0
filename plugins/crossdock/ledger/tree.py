"""Merkle trees as RFC 6962 defines them: one hash over many leaves, and short proofs of what is among them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def leaf_hash(data: bytes) -> bytes:
    """Returns a leaf's hash: SHA-256 over a zero byte and the data."""
    digest = hashlib.sha256(b"\x00")
    digest.update(data)
    return digest.digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that only grows, known by the roots of its perfect subtrees: a few dozen hashes, however large it is.

    Args:
        size: how many leaves the subtrees hold.
        peaks: their roots, the largest subtree's first, one per set bit of `size`.
    """

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    def add(self, leaf: bytes) -> None:
        """Appends a leaf, given by its hash."""
        self.peaks.append(leaf)
        whole = self.size
        while whole & 1:  # two subtrees of one size become one
            right, left = self.peaks.pop(), self.peaks.pop()
            self.peaks.append(_node(left, right))
            whole >>= 1
        self.size += 1

    def root(self) -> bytes:
        """Returns the hash over all leaves; that of no byte when there is none."""
        if not self.peaks:
            return hashlib.sha256().digest()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = _node(peak, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Returns the root over leaves, given by their hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Returns the hashes that lead from one leaf (counted from 0) to the root, the nearest first."""
    if len(leaves) <= 1:
        return []
    half = _half(len(leaves))
    left, right = leaves[:half], leaves[half:]
    if index < half:
        return [*inclusion(left, index), root_of(right)]
    return [*inclusion(right, index - half), root_of(left)]


def consistency(leaves: Sequence[bytes], earlier: int) -> list[bytes]:
    """Returns the hashes that lead from the tree over the first `earlier` leaves (at least one) to that over all."""
    return _consistency(leaves, earlier, known=True)


def _consistency(leaves: Sequence[bytes], earlier: int, *, known: bool) -> list[bytes]:
    if earlier == len(leaves):
        return [] if known else [root_of(leaves)]
    half = _half(len(leaves))
    left, right = leaves[:half], leaves[half:]
    if earlier <= half:
        return [*_consistency(left, earlier, known=known), root_of(right)]
    return [*_consistency(right, earlier - half, known=False), root_of(left)]


def _half(leaves: int) -> int:
    """Returns the largest power of two below the number of leaves."""
    return 1 << (leaves - 1).bit_length() - 1
