"""Quality rules of type sql: one SELECT over the extract alone, checked before any data is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import duckdb

from crossdock.contracts.model import Column
from crossdock.contracts.sandbox import TIMES, Sandbox, Table, parsed_by, quoted, unsteady_functions
from crossdock.errors import WrongUse, did_you_mean

_LONGEST = 20_000
_OBJECT, _PROPERTY = {"object", "table", "model", "schema"}, {"property", "column", "field"}
_PLACE = re.compile(r"(\"?)(\$?)\{(\w+)\}\1")
_TABLE_FUNCTIONS = {"unnest", "range", "generate_series"}
# The words of SQL for them look like columns, and macros of DuckDB hide others.
_UNSTEADY_WORDS = frozenset(
    {"localtime", "localtimestamp", "current_time", "current_localtime", "current_localtimestamp", "current_user",
     "session_user", "user", "current_role", "current_catalog", "current_schema", "current_schemas", "current_database",
     "current_query", "ago", "age to now", "pg_conf_load_time", "pg_postmaster_start_time"}
)  # fmt: skip
_NUMBERS = re.compile(r"(u?(tiny|small|big|huge)?int(eger)?|float|double|decimal|bignum)")
_UNKNOWN = re.compile(r'(?:[Cc]olumn "|a column named ")([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query that can be run: every name in it is known, and it returns a number or (`is_truth`) true or false.

    `dated`: it asks for the time, so another day may have another answer.
    """

    sql: str
    tables: tuple[str, ...]
    is_truth: bool
    dated: bool

    def args(self) -> dict[str, Any]:
        """Returns it as args of a rule of kind "query"."""
        return {"sql": self.sql, "tables": self.tables} | ({"dated": True} if self.dated else {})


def read_query(text: str, tables: Sequence[str], columns: Sequence[Column], column: str | None) -> Query:
    """Returns a query as it will be run.

    Args:
        text: as written; `${object}` and `${property}` (and ODCS's other words for them) stand for the quoted names.
        tables: the names by which it may call the table.
        columns: of the table.
        column: the property at which the query stands; None for the table.

    Raises:
        WrongUse: it is no single SELECT, names what is not there, reaches outside, or returns no number.
    """
    if not text.strip() or len(text) > _LONGEST:
        raise WrongUse(f"A rule of type sql needs a `query` of at most {_LONGEST:,} characters.")
    table = Table.empty(tables, columns)
    sql = _PLACE.sub(lambda found: _named(found, tables, column), text).strip().rstrip(";")
    nodes = list(_nodes(_tree(sql)))
    _check_tables(nodes, table)
    words = {*_functions(nodes), *_words(nodes, table)}
    for word in sorted((words - TIMES) & (_unsteady() | _UNSTEADY_WORDS)):
        raise WrongUse(
            f"The query asks for {word}, which has another answer every time or everywhere.",
            fix="Ask only what the rows answer; the time is now() or current_date.",
        )
    kind = _type(sql, table)
    if not _NUMBERS.fullmatch(kind) and kind != "boolean":
        raise WrongUse(f"The query returns a {kind}, not a number.", fix="Select one number, such as count(*).")
    return Query(sql=sql, tables=tuple(tables), is_truth=kind == "boolean", dated=bool(words & TIMES))


def _named(found: re.Match[str], tables: Sequence[str], column: str | None) -> str:
    word = found[3].lower()
    if word in _OBJECT and tables:
        return quoted(tables[0])
    if word in _PROPERTY and column is None:
        raise WrongUse(f"The query says {found[0]}, but stands at no property.", fix="Move it to one, or name it.")
    if word in _PROPERTY and column:
        return quoted(column)
    if found[2]:
        fix = did_you_mean(word, _OBJECT | _PROPERTY)
        raise WrongUse(f"The query says {found[0]}, which stands for nothing.", fix=fix)
    return found[0]


def _tree(sql: str) -> Any:
    try:
        text = parsed_by(sql)
        tree = json.loads(text) if text else None
    except duckdb.Error as error:
        raise WrongUse(f"The query is no SQL: {_first_line(error)}", fix="It is read as DuckDB reads it.") from None
    except RecursionError:
        raise WrongUse("The query nests too deep.", fix="Write it with fewer parentheses.") from None
    if tree is None or tree.get("error"):
        raise WrongUse(
            "A query is one SELECT and nothing else.", fix="Write `SELECT count(*) FROM ${object} WHERE ...`."
        )
    return tree


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _check_tables(nodes: Sequence[Mapping[str, Any]], table: Table) -> None:
    """Whatever is read must be the table under one of its names, or a part of the query that has a name."""
    paths = list(table.paths())
    known = {tuple(part.lower() for part in path) for path in paths}
    known |= {(str(node["key"]).lower(),) for node in nodes if "key" in node and "value" in node}
    for node in nodes:
        kind = node.get("type")
        name = str(node.get("function", {}).get("function_name", "")) if kind == "TABLE_FUNCTION" else ""
        if (kind == "TABLE_FUNCTION" and name.lower() not in _TABLE_FUNCTIONS) or kind == "SHOW_REF":
            raise WrongUse(f"A query may ask the rows of this table only, not {name or 'what a table is'}.")
        if node.get("sample") is not None:
            raise WrongUse("A query may take no sample: another one would have another answer.")
        path = tuple(map(str, node["qualified_name"]["path"])) if kind == "BASE_TABLE" else ()
        if path and tuple(part.lower() for part in path) not in known:
            fix = did_you_mean(".".join(path), [".".join(each) for each in paths])
            raise WrongUse(f"The query reads '{'.'.join(path)}', which is not this table.", fix=fix)


def _functions(nodes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the names of functions; age() of one moment is until now, by a clock that is not ours."""
    for node in nodes:
        if "function_name" in node:
            name = str(node["function_name"]).lower()
            yield "age to now" if name == "age" and len(node.get("arguments", ())) == 1 else name


def _words(nodes: Sequence[Mapping[str, Any]], table: Table) -> Iterator[str]:
    """Yields the lone names that are no column of the table: SQL has some words for functions without parentheses."""
    columns = {name.lower() for name in table.called()}
    names = (node["column_names"] for node in nodes if node.get("class") == "COLUMN_REF")
    return (str(name[0]).lower() for name in names if len(name) == 1 and str(name[0]).lower() not in columns)


@cache
def _unsteady() -> frozenset[str]:
    return unsteady_functions()


def _type(sql: str, table: Table) -> str:
    try:
        with Sandbox(table, now=datetime.now(UTC)) as sandbox:
            return sandbox.type_of(sql)
    except duckdb.Error as error:
        unknown = _UNKNOWN.search(_first_line(error))
        if unknown and unknown[1].lower() not in {name.lower() for name in table.called()}:
            fix = did_you_mean(unknown[1], table.called())
            raise WrongUse(f"The query asks for a column '{unknown[1]}', which is not there.", fix=fix) from None
        raise WrongUse(f"The query can't be asked of this table: {_first_line(error)}") from None


def _first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0][:300]
