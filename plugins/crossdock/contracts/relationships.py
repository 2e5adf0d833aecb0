"""References: which columns must exist where, within a contract and across contracts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from open_data_contract_standard.model import Relationship

from crossdock.contracts.model import Rule
from crossdock.contracts.names import Here
from crossdock.contracts.rules import Rules
from crossdock.contracts.yaml_tree import Steps
from crossdock.errors import WrongUse, did_you_mean

Target = tuple[str | None, str]  # (dataset id, or None for the same dataset; column)


def relationship_rules(
    rules: Rules, at: Steps, given: Sequence[Relationship], columns: tuple[str, ...], here: Here
) -> None:
    """Adds a reference rule per relationship.

    Args:
        rules: takes them.
        at: the property or table that has the relationships.
        given: as written; those of a table name its own columns in `from`.
        columns: the property's own name, or () for a table.
        here: how the table and its columns may be named.
    """
    for index, relationship in enumerate(given):
        place = (*at, "relationships", index)
        try:
            rule = _reference(rules, relationship, columns, here)
        except WrongUse as error:
            rules.document.report(place, error.what, error.fix)
        else:
            rules.add(rule, place, named=bool(relationship.id))


def _reference(rules: Rules, given: Relationship, columns: tuple[str, ...], here: Here) -> Rule:
    if (given.type or "foreignKey") != "foreignKey":
        raise WrongUse(f"crossdock can't run a relationship of type '{given.type}'.", fix="Write `type: foreignKey`.")
    own = columns or tuple(_own(text, here) for text in _list(given.from_))
    targets = [_target(rules, text, here) for text in _list(given.to)]
    if len(own) != len(targets) or not own or len({dataset for dataset, _ in targets}) != 1:
        raise WrongUse("`from` and `to` must name as many columns, those of `to` in one dataset.")
    return Rule(
        id=given.id or f"{'+'.join(own)}.reference",
        kind="reference",
        columns=own,
        args={"dataset": targets[0][0], "columns": tuple(column for _, column in targets)},
        dimension="consistency",
    )


def _list(text: str | list[str] | None) -> list[str]:
    return [] if text is None else [text] if isinstance(text, str) else text


def _own(text: str, here: Here) -> str:
    return here.column(_named(text)[1] if "." in text or "/" in text else text)


def _named(text: str) -> tuple[str, str]:
    """Reads "table.column" or "/schema/table/properties/column"."""
    parts = text.strip("/").split("/")
    if len(parts) == 4 and (parts[0], parts[2]) == ("schema", "properties"):
        return parts[1], parts[3]
    table, dot, column = text.rpartition(".")
    if len(parts) > 1 or not dot or not table or not column:
        raise WrongUse(
            f"'{text}' names no column.",
            fix="Write table.column, or <contract file>#/schema/<table>/properties/<column>.",
        )
    return table, column


def _target(rules: Rules, text: str, here: Here) -> Target:
    file, _, pointer = text.rpartition("#")
    table, column = _named(pointer)
    if "://" in file:
        raise WrongUse("crossdock follows no web address.", fix="Name the contract's file, relative to this one.")
    if file:
        path = (rules.document.path.absolute().parent / PurePosixPath(file)).resolve()
        return f"{path.parent.parent.name}/{path.parent.name}", column
    if table not in here.own:
        what = f"This contract's other table '{table}' is" if table in here.others else f"There is no table '{table}'"
        raise WrongUse(
            f"{what} not at hand." if table in here.others else f"{what} in this contract.",
            fix="A table is a dataset with a contract of its own: name that file before '#'.",
        )
    name = here.column(column)
    if name not in rules.columns:
        raise WrongUse(f"There is no column '{column}'.", fix=did_you_mean(column, rules.columns))
    return None, name
