"""References: which columns must exist where, within a contract and across contracts."""

from __future__ import annotations

from collections.abc import Sequence

from open_data_contract_standard.model import Relationship

from crossdock.contracts.documents import Steps
from crossdock.contracts.rules import Rules
from crossdock.errors import did_you_mean

Target = tuple[str | None, str]  # (dataset id, or None for the same dataset; column)


def relationship_rules(
    rules: Rules, at: Steps, given: Sequence[Relationship], columns: tuple[str, ...], here: tuple[str, str]
) -> None:
    """Adds a reference rule per relationship.

    Args:
        rules: takes them.
        at: where the relationships stand in the file.
        given: as written; at schema level each names its own columns in `from`.
        columns: the property's own name, or () at schema level.
        here: name of this contract's schema object, and its dataset id.
    """
    for index, relationship in enumerate(given):
        place = (*at, index)
        if (relationship.type or "foreignKey") != "foreignKey":
            rules.document.report(
                (*place, "type"), f"crossdock can't run a '{relationship.type}'.", "Write `type: foreignKey`."
            )
            continue
        own = columns or tuple(name.rpartition(".")[2].rpartition("/")[2] for name in _list(relationship.from_))
        targets = [_target(rules, (*place, "to"), text, here) for text in _list(relationship.to)]
        found = [target for target in targets if target]
        if len(found) != len(targets):
            continue
        if len(own) != len(found) or not own or len({dataset for dataset, _ in found}) != 1:
            rules.document.report(place, "`from` and `to` must name as many columns, those of `to` in one dataset.")
            continue
        args = {"dataset": found[0][0], "columns": tuple(column for _, column in found)}
        name = relationship.id or f"{'+'.join(own)}.reference"
        rules.make(name, "reference", own, place, dimension="consistency", args=args)


def _list(text: str | list[str] | None) -> list[str]:
    return [] if text is None else [text] if isinstance(text, str) else text


def _target(rules: Rules, at: Steps, text: str, here: tuple[str, str]) -> Target | None:
    """Reads "object.column", "/schema/object/properties/column", or either behind "<contract file>#"."""
    file, mark, pointer = text.rpartition("#")
    parts = pointer.strip("/").split("/")
    if len(parts) == 4 and (parts[0], parts[2]) == ("schema", "properties"):
        name, column = parts[1], parts[3]
    elif len(parts) == 1 and "." in parts[0]:
        name, _, column = parts[0].rpartition(".")
    else:
        rules.document.report(
            at,
            f"'{text}' names no column.",
            "Write object.column, or <contract file>#/schema/<object>/properties/<column>.",
        )
        return None
    if mark and file:
        path = (rules.document.path.absolute().parent / file).resolve()
        return f"{path.parent.parent.name}/{path.parent.name}", column
    if name != here[0]:
        rules.document.report(at, f"This contract has no object '{name}'.", "Name another contract's file before '#'.")
        return None
    if column not in rules.columns:
        rules.document.report(at, f"There is no column '{column}'.", did_you_mean(column, rules.columns))
        return None
    return None, column
