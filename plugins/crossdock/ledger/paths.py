"""Where the paths of a Merkle proof lead (RFC 9162, sections 2.1.3.2 and 2.1.4.2). Shares no code with what made them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def _over(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_over(peaks: Sequence[bytes]) -> bytes:
    """Returns the root over a tree's perfect subtrees, the largest first."""
    if not peaks:
        return hashlib.sha256().digest()
    *larger, root = peaks
    for peak in reversed(larger):
        root = _over(peak, root)
    return root


def root_by_inclusion(data: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Returns the root that a path leads to from one of `size` leaves, or None when no path has that form."""
    if not 0 <= index < size:
        return None
    at, last = index, size - 1
    root = hashlib.sha256(b"\x00" + data).digest()
    for step in path:
        if not last:
            return None
        if at & 1 or at == last:
            root = _over(step, root)
            at, last = _up_to_a_right_child(at, last)
        else:
            root = _over(root, step)
        at, last = at >> 1, last >> 1
    return root if not last else None


def is_continued(earlier: tuple[int, bytes], later: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """True when a path proves that the earlier tree (leaves and root) is the beginning of the later one."""
    (first, first_root), (second, second_root) = earlier, later
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    steps = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if not last:
            return False
        if at & 1 or at == last:
            old, new = _over(step, old), _over(step, new)
            at, last = _up_to_a_right_child(at, last)
        else:
            new = _over(new, step)
        at, last = at >> 1, last >> 1
    return not last and old == first_root and new == second_root


def _up_to_a_right_child(at: int, last: int) -> tuple[int, int]:
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last
