"""Which rows of an extract broke which rule: one bit per row and broken rule, kept batch by batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pyarrow as pa


class Marks:
    """Rows are known by arrival number, from 0; batches by their number, from 0, in order of arrival.

    A rule that nothing in a batch broke takes no room there, so that memory is at most rules x rows / 8 bytes.
    """

    def __init__(self) -> None:
        self._starts: list[int] = [0]
        self._bits: list[dict[str, np.ndarray]] = []

    @property
    def rows(self) -> int:
        """How many rows the batches hold in all."""
        return self._starts[-1]

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return len(self._bits)

    def add_batch(self, rows: int, broken: Mapping[str, pa.BooleanArray]) -> None:
        """Appends the next batch with a mask (without nulls) per rule that was judged in it."""
        self._starts.append(self.rows + rows)
        self._bits.append({rule: _packed(mask) for rule, mask in broken.items() if mask.true_count})

    def add_rows(self, rule: str, arrivals: np.ndarray) -> None:
        """Marks rows, by ascending arrival number, as breaking a rule that was judged over the whole extract."""
        cuts = np.searchsorted(arrivals, self._starts)
        for batch, bits in enumerate(self._bits):
            inside = arrivals[cuts[batch] : cuts[batch + 1]]
            if len(inside):
                mask = np.zeros(self.size(batch), np.bool_)
                mask[inside - self._starts[batch]] = True
                bits[rule] = np.packbits(mask, bitorder="little")

    def clear(self, rule: str, batch: int, places: np.ndarray) -> None:
        """Takes a rule's mark from rows of a batch, given by their places in it."""
        mask = self._unpacked(batch, self._bits[batch].pop(rule))
        mask[places] = False
        if mask.any():
            self._bits[batch][rule] = np.packbits(mask, bitorder="little")

    def count(self, rule: str) -> int:
        """Returns how many rows broke a rule."""
        return sum(int(np.bitwise_count(bits[rule]).sum()) for bits in self._bits if rule in bits)

    def count_any(self, rules: Collection[str]) -> int:
        """Returns how many rows broke at least one of the rules."""
        return sum(int(self.broken(batch, rules).sum()) for batch in range(self.batches))

    def start(self, batch: int) -> int:
        """Returns the arrival number of a batch's first row."""
        return self._starts[batch]

    def size(self, batch: int) -> int:
        """Returns how many rows a batch holds."""
        return self._starts[batch + 1] - self._starts[batch]

    def masks(self, batch: int, rules: Iterable[str]) -> dict[str, np.ndarray]:
        """Returns a mask per rule that a row of the batch broke, in the order of the rules given."""
        bits = self._bits[batch]
        return {rule: self._unpacked(batch, bits[rule]) for rule in rules if rule in bits}

    def broken(self, batch: int, rules: Iterable[str]) -> np.ndarray:
        """Returns True for every row of the batch that broke at least one of the rules."""
        bits = [self._bits[batch][rule] for rule in rules if rule in self._bits[batch]]
        if not bits:
            return np.zeros(self.size(batch), np.bool_)
        return self._unpacked(batch, np.bitwise_or.reduce(bits))

    def _unpacked(self, batch: int, bits: np.ndarray) -> np.ndarray:
        return np.unpackbits(bits, count=self.size(batch), bitorder="little").view(np.bool_)


def _packed(mask: pa.BooleanArray) -> np.ndarray:
    """Returns a mask's bits as Arrow has them, in memory of their own, with zeros after the last."""
    if mask.offset % 8:
        return np.packbits(mask.to_numpy(zero_copy_only=False), bitorder="little")
    first, rows = mask.offset // 8, len(mask)
    bits = np.frombuffer(mask.buffers()[1], np.uint8)[first : first + (rows + 7) // 8].copy()
    if rows % 8:
        bits[-1] &= (1 << rows % 8) - 1
    return bits
