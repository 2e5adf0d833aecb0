"""What became of a contract's columns, from one version to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from crossdock.contracts.change import Change, Level
from crossdock.contracts.model import NESTED, Column, Contract, Sharing


def column_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yields columns removed, renamed, added and altered, in the order of the old contract, added ones last."""
    after = {column.name: column for column in new.columns}
    renamed = _renamed(old, new)
    for column in old.columns:
        if column.name in after:
            changes = _altered(column, after[column.name], (old.sharing, new.sharing))
            yield from (replace(change, columns=(column.name,)) for change in changes)
        elif column.name in renamed:
            now = renamed[column.name]
            what = f"Column '{column.name}' is now called '{now.name}'."
            yield Change(what=what, level="major", aspect="form", columns=(column.name,), path=now.path)
        else:
            what = f"Column '{column.name}' is removed."
            yield Change(what=what, level="major", aspect="form", columns=(column.name,), path=column.path)
    known = {column.name for column in (*old.columns, *renamed.values())}
    for column in new.columns:
        if column.name not in known:
            what = f"Column '{column.name}' is added."
            yield Change(
                what=what, level="minor", aspect="form", columns=(column.name,), path=column.path, burdens=True
            )
    yield from _key(old, new)


def retyped(old: Column, new: Column) -> bool:
    """True when a consumer's column for it would have to be of another type."""
    return _type(old) != _type(new)


def _renamed(old: Contract, new: Contract) -> Mapping[str, Column]:
    """Finds columns that are read from the same place of the source under another name."""
    before = {column.name for column in old.columns}
    gone = {c.source_name: c.name for c in old.columns if all(c.name != other.name for other in new.columns)}
    fresh = [column for column in new.columns if column.name not in before]
    return {gone[column.source_name]: column for column in fresh if column.source_name in gone}


def _altered(old: Column, new: Column, sharing: tuple[Sharing, Sharing]) -> Iterator[Change]:
    name, path = old.name, new.path
    if retyped(old, new):
        yield Change(
            what=f"Column '{name}' was of type {_type(old)} and is now of type {_type(new)}.",
            level="major", aspect="type", columns=(name,), path=path, burdens=_narrower(old, new),
        )  # fmt: skip
    if old.required and not new.required:
        what = f"Column '{name}' is no longer required: it may come without a value."
        yield Change(what=what, level="major", aspect="values", columns=(name,), path=path)
    if new.required and not old.required:
        what = f"Column '{name}' is now required."
        yield Change(what=what, level="minor", aspect="values", columns=(name,), path=path, burdens=True)
    yield from _classified(old, new, sharing)
    for what in _words(old, new):
        yield Change(what=f"Column '{name}': {what}", level="patch", aspect="values", columns=(name,), path=path)
    if not retyped(old, new):
        yield from _inside(old, new, sharing)


def _inside(old: Column, new: Column, sharing: tuple[Sharing, Sharing]) -> Iterator[Change]:
    """Yields what became of the parts of an object, array or map; consumers receive the column as a whole."""
    after = {child.field: child for child in new.children}
    for child in old.children:
        if child.field in after:
            yield from _altered(child, after[child.field], sharing)
        else:
            yield Change(what=f"'{child.name}' is removed.", level="major", aspect="type", path=child.path)
    before = {child.field for child in old.children}
    for child in new.children:
        if child.field not in before:
            yield Change(what=f"'{child.name}' is added.", level="minor", aspect="type", path=child.path, burdens=True)


def _words(old: Column, new: Column) -> Iterator[str]:
    """Yields what of a column only the source, or nobody but a reader, sees."""
    if old.source_name != new.source_name:
        yield f"it is now read from '{new.source_name}', no longer from '{old.source_name}'."
    if old.formats != new.formats and old.type == new.type:
        yield "its text at the source is read by another pattern."
    if old.label != new.label:
        yield "its label changed."
    if old.description != new.description:
        yield "its description changed."


def _classified(old: Column, new: Column, sharing: tuple[Sharing, Sharing]) -> Iterator[Change]:
    """A column that is no longer public can no longer be published; other classes bind people, not programs."""
    if old.classification == new.classification:
        return
    was, is_ = (
        c.classification == "public" or (c.classification is None and kind == "unconditional")
        for c, kind in ((old, sharing[0]), (new, sharing[1]))
    )
    what = f"Column '{old.name}' is classified as {new.classification or 'nothing'}, no longer as {old.classification or 'nothing'}."
    level: Level = "major" if was and not is_ else "minor"
    yield Change(what=what, level=level, aspect="form", columns=(old.name,), path=new.path)


def _key(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = old.primary_key, new.primary_key
    if before == after:
        return
    path = next((c.path for c in new.columns if c.key_position), "schema")
    if not before:
        what = f"The primary key is now {', '.join(after)}; there was none."
        yield Change(what=what, level="minor", aspect="key", path=path, burdens=True)
        return
    what = f"The primary key was {', '.join(before)} and is now {', '.join(after) or 'none'}."
    yield Change(what=what, level="major", aspect="key", path=path, burdens=bool(after))


def _type(column: Column) -> str:
    if column.type == "number" and column.precision is not None:
        return f"decimal({column.precision},{column.scale or 0})"
    if column.type in NESTED and not column.children:
        return f"{column.type} of any form"
    return "timestamp with time zone" if column.timezone else column.type


def _narrower(old: Column, new: Column) -> bool:
    """True when a value that was good before may no longer be one."""
    if new.type == "string":
        return False
    if (old.type, new.type) == ("integer", "number"):
        return new.precision is not None
    if old.type == new.type == "number" and new.precision is not None:
        whole_before, whole_now = ((c.precision or 0) - (c.scale or 0) for c in (old, new))
        return old.precision is None or whole_now < whole_before or (new.scale or 0) < (old.scale or 0)
    return old.type != new.type or old.type == "timestamp"
