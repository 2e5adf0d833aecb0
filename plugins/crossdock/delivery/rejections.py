"""Records that a consumer's system does not take, one by one: the others are delivered all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crossdock.errors import ConsumerRefused, CrossdockError

MOST = 1_000  # records; where more are rejected, the delivery is refused as a whole


class RecordsRejected(ConsumerRefused):
    """The consumer took nothing yet, for these records: each by its place among the delivery's rows, and why in one word."""

    def __init__(self, records: Sequence[tuple[int, str]], *, where: str) -> None:
        self.records = tuple(records)
        super().__init__(
            f"{len(self.records):,} records are rejected.",
            where=where,
            fix="Compare the consumer's constraints with the contract; `crossdock deliveries errors` lists the reasons.",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (self.records, self.where)


def _rebuilt(records: Sequence[tuple[int, str]], where: str) -> CrossdockError:
    return RecordsRejected(records, where=where)


def find_rejected(rows: int, take: Callable[[int, int], str | None]) -> list[tuple[int, str]]:
    """Returns the rows that are not taken, in order, with the reason: halves of what is not taken are tried again.

    It ends early once there are more than MOST.

    Args:
        rows: how many there are.
        take: takes the rows from the first to before the second, or returns why it takes none of them.
    """
    found: list[tuple[int, str]] = []
    waiting = [(0, rows)] if rows else []
    while waiting and len(found) <= MOST:
        first, end = waiting.pop()
        reason = take(first, end)
        if reason is None:
            continue
        if end - first == 1:
            found.append((first, reason))
            continue
        middle = (first + end) // 2
        waiting += [(middle, end), (first, middle)]
    return found
