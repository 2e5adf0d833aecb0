"""How one part of a contract names another: by name, by the name at the source, or by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


class Here:
    """The names by which a contract may speak of this table and of its columns."""

    def __init__(self, own: Sequence[str | None], others: Sequence[str | None], aliases: Mapping[str, str]) -> None:
        self.own, self.others = {name for name in own if name}, {name for name in others if name}
        self.aliases = aliases  # physical names and ids -> column names

    def columns(self, element: str) -> Iterator[str]:
        """Yields the columns of this table that an element ("table.column, ...") names, known or not."""
        for part in filter(None, (word.strip() for word in element.split(","))):
            table, _, column = part.rpartition(".")
            if table not in self.others - self.own:
                yield self.column(column)

    def column(self, name: str) -> str:
        """Returns the contract's name of a column."""
        return self.aliases.get(name, name)
