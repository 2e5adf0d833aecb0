"""A consumer's table has the agreed columns: it is made when missing, and altered when the agreement was.

Altered is only what is as crossdock left it: the marker row of each delivery tells the columns and key that it found or
made. Another key is given to a table of PostgreSQL, MariaDB and MySQL, and to one of SQLite that we made; elsewhere a key that
would be in the way is for the consumer to alter.
Grants, views and what is indexed stay; what a column that leaves takes along is for the database to say.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa

from crossdock.delivery.databases import MARKER, Alteration, Database, Table, quoted, quoted_names
from crossdock.delivery.prepared import Goods
from crossdock.errors import ConsumerRefused
from crossdock.faults import reached

_TEXT, _NUMBER = pa.string(), pa.int64()
MARKER_COLUMNS = (
    ("delivery_id", _TEXT),
    ("agreement", _TEXT),
    ("dataset", _TEXT),
    ("target", _TEXT),
    ("sequence", _NUMBER),  # order of the snapshot delivered
    ("intended_at", _TEXT),
    ("rows", _NUMBER),
    ("deleted", _NUMBER),
    ("digest", _TEXT),  # SHA-256 of the manifest
    ("delivered_at", _TEXT),
    ("layout", _TEXT),  # the table's columns, as `spelled` tells them
)
LOST = "If the consumer lost its data, let it restore them, or name another table in the agreement to begin anew."
Columns = dict[str, str]  # comparable type by name


def make_tables(database: Database, table: Table, goods: Goods) -> None:
    """Makes the marker table, and the table itself, where they are missing."""
    marker = table.beside(MARKER)
    if database.columns(marker) is None:
        _make(database, marker, MARKER_COLUMNS, ("delivery_id",))
    if goods.replaces and database.columns(table) is None:
        _make(database, table, [(field.name, field.type) for field in goods.schema], goods.key_columns)


def _make(database: Database, table: Table, columns: Sequence[tuple[str, pa.DataType]], key: Sequence[str]) -> None:
    spelled = [f"{quoted(name)} {database.type_of(kind, key=name in key)}" for name, kind in columns]
    if key:
        spelled.append(f"PRIMARY KEY ({quoted_names(key)})")
    # Where that ends a transaction, and the lock with it, somebody else may be making it too.
    unless = "IF NOT EXISTS " if database.ddl_commits else ""
    database.execute(f"CREATE TABLE {unless}{table} ({', '.join(spelled)})")


def agreed_columns(database: Database, goods: Goods) -> Columns:
    """Returns the columns that the table is to have."""
    return {field.name: database.comparable(database.type_of(field.type)) for field in goods.schema}


def is_agreed(database: Database, table: Table, goods: Goods) -> bool:
    """Returns whether the table has the agreed columns and key and no others, or is not there yet."""
    found = database.columns(table)
    if found is None:
        return True
    keyed = not database.alters_key(table) or database.primary_key(table) == frozenset(goods.key_columns)
    return keyed and dict(found) == agreed_columns(database, goods)


def spelled(columns: Iterable[tuple[str, str]], *keys: Collection[str]) -> str:
    """Returns columns as JSON, for the marker row, each with whether it is part of the key, or of each that it may be."""
    told = [(name, kind, *(name in key for key in keys)) for name, kind in sorted(columns)]
    return json.dumps(told, ensure_ascii=False)


def key_left(database: Database, table: Table, goods: Goods, before: str) -> Collection[str]:
    """Returns the key that the table has by what was agreed: where it can't be dropped, it outlives its agreement.

    Args:
        database: with the goods in it.
        table: theirs.
        goods: what was put into it.
        before: layout by the marker row of the delivery before; "" when there was none.
    """
    if goods.key_columns or database.alters_key(table) or not before:
        return goods.key_columns
    found, (_, keys) = database.primary_key(table), _left(before)
    return found if not keys or found in keys else ()


def admit_columns(database: Database, table: Table, goods: Goods, last: tuple[str, str] | None) -> None:
    """Sees that the table has the agreed columns, and alters it where a new agreement has others.

    Args:
        database: in a transaction of ours; altering ends it where `ddl_commits`.
        table: is there.
        goods: what is to be put into it.
        last: id and layout by the marker row of the delivery that it holds under this agreement.

    Raises:
        ConsumerRefused: somebody else has altered the table, or we can't.
    """
    found, wanted = dict(database.columns(table) or ()), agreed_columns(database, goods)
    left, keys = _left(last[1]) if last else (set(), frozenset())
    rekeyed = _rekeyed(database, table, goods, keys) if last and goods.replaces else None
    if found == wanted and rekeyed is None:
        return
    ours = left != set(wanted.items()) and set(found.items()) <= left | set(wanted.items())
    if found != wanted and not (goods.replaces and last and ours):
        raise refused(
            database, table,
            f"The table has other columns than agreed. It has: {_listed(found)}. Agreed: {_listed(wanted)}.",
            "Alter or remove the table, or name another one in the agreement.",
        )  # fmt: skip
    marker = table.beside(MARKER)
    if last and database.ddl_commits:
        # Killed from here on, the table is still known as ours, whatever the agreement says by then.
        may_be = keys if rekeyed is None else keys | {frozenset(goods.key_columns)}
        both = spelled(left | set(wanted.items()), *may_be)
        database.execute(f"UPDATE {marker} SET layout = ? WHERE delivery_id = ?", (both, last[0]))  # noqa: S608 - quoted names
    else:
        database.execute(f"DELETE FROM {table}")  # noqa: S608 - all is replaced, and nothing is converted in vain
    change = _alteration(database, goods, found, wanted, rekeyed)
    failed = database.alter(table, change)
    # Where altering commits, another process may have been faster.
    if failed and not (database.ddl_commits and is_agreed(database, table, goods)):
        way = (
            "empty the table if its rows break the agreed key, " if rekeyed is not None and database.ddl_commits else ""
        )
        raise refused(
            database, table,
            f"What is agreed is laid out otherwise now, and the database does not let us alter the table ({failed}).",
            f"Give our role the right, remove the views and keys that need these columns, {way}or alter it yourselves: {change}.",
        )  # fmt: skip
    reached("delivery.database.altered")


def _rekeyed(database: Database, table: Table, goods: Goods, left: frozenset[frozenset[str]]) -> frozenset[str] | None:
    """Returns the primary key that has to give way to the agreed one; None when it may stay.

    Left alone is a key of the consumer's own, and what can't be changed where nothing but the key itself would break:
    a table without one, or with one where none is agreed any more.

    Args:
        database: in a transaction of ours.
        table: is there.
        goods: replaces what the table holds.
        left: the agreed key of the last delivery, or which it may be; none if its marker does not tell.

    Raises:
        ConsumerRefused: the key is another, and we can't alter it there.
    """
    found, wanted = database.primary_key(table), frozenset(goods.key_columns)
    if found == wanted or (left and found not in left):
        return None
    if left and database.alters_key(table):
        return found
    if not (found and wanted):
        return None
    raise refused(
        database, table,
        f"The agreed key is ({quoted_names(goods.key_columns)}) now, but the table's primary key is "
        f"({quoted_names(sorted(found))}): new rows might break it.",
        "Let the agreed key be the table's primary key, or remove the table: then it is made anew.",
    )  # fmt: skip


def _alteration(
    database: Database, goods: Goods, found: Columns, wanted: Columns, rekeyed: frozenset[str] | None
) -> Alteration:
    types = {f.name: database.type_of(f.type, key=f.name in goods.key_columns) for f in goods.schema}
    changing = rekeyed ^ frozenset(goods.key_columns) if rekeyed is not None else frozenset()
    return Alteration(
        lost=tuple(name for name in found if name not in wanted),
        gained={name: kind for name, kind in types.items() if name not in found},
        retyped={name: kind for name, kind in types.items() if name in found and found[name] != wanted[name]},
        key=goods.key_columns,
        respelled={n: kind for n, kind in types.items() if n in changing and found.get(n) == wanted[n]},
        rekeyed=rekeyed,
    )


def _left(text: str) -> tuple[set[tuple[str, str]], frozenset[frozenset[str]]]:
    """Reads a marker row's layout, which the consumer could have written: columns, and the keys that it may be, if it tells."""
    try:
        told = [(str(name), str(kind), list(keys)) for name, kind, *keys in json.loads(text)]
    except (ValueError, TypeError, RecursionError):
        return set(), frozenset()
    columns = {(name, kind) for name, kind, _ in told}
    many = min((len(keys) for *_, keys in told), default=0)
    return columns, frozenset(frozenset(name for name, _, keys in told if keys[n]) for n in range(many))


def _listed(columns: Columns) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def refused(database: Database, table: Table, what: str, fix: str) -> ConsumerRefused:
    """Returns the error for a table that can't be filled."""
    return ConsumerRefused(what, where=f"{database.name}, table {table}", fix=fix)
