"""`crossdock draft`: a contract written from data, in which every guess waits for a person to confirm it.

It holds no value of a row but those of columns with few values that seem to be about nobody; bounds are rounded outward.
The property `confirm`, at each column and at the dataset, keeps the contract from being used until it is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from crossdock.connections import Connection
from crossdock.contracts.extension import PROPERTY
from crossdock.drafting.column import DraftedColumn, drafted_column
from crossdock.drafting.document import extension_of, property_of
from crossdock.drafting.origin import Origin, file_origin, table_origin
from crossdock.drafting.study import study


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What people call the dataset; "" for what the data suggests."""

    department: str = ""
    dataset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A drafted contract: the document, and how it came about."""

    rows: int
    columns: tuple[DraftedColumn, ...]
    questions: tuple[str, ...]  # about the dataset
    document: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The contract as a YAML file."""
        return yaml.safe_dump(dict(self.document), sort_keys=False, allow_unicode=True, width=120)


def draft_file(path: Path, names: Names, *, scratch: Path) -> Draft:
    """Drafts a contract from a data file.

    Args:
        path: CSV, TSV, JSON, a workbook or parquet; the encoding of text is found out.
        names: what department and dataset are called.
        scratch: an empty folder for copies of the data.

    Raises:
        SourceInvalid: the file can't be read, or holds no plain columns.
    """
    return _draft(file_origin(path), names, scratch)


def draft_table(connection: Connection, table: str, names: Names, *, scratch: Path) -> Draft:
    """Drafts a contract from a table or view of a database.

    Raises:
        SourceInvalid: there is no such table, or it can't be read.
        SourceUnavailable: the database does not answer.
        WrongUse: that is no table's name.
    """
    return _draft(table_origin(connection, table), names, scratch)


def _draft(origin: Origin, names: Names, scratch: Path) -> Draft:
    studied = study(origin, scratch)
    key = studied.keys[0] if studied.keys else ()
    columns = tuple(
        drafted_column(replace(c, key_position=key.index(c.name) + 1 if c.name in key else None), origin, studied)
        for c in studied.columns
    )
    named = replace(names, dataset=names.dataset or origin.word)
    extension, questions = extension_of(origin, studied, columns, named.department, named.dataset)
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": named.dataset,
        "name": named.dataset,
        "version": "0.1.0",
        "status": "draft",
        **({"tenant": named.department} if named.department else {}),
        "schema": [{"name": named.dataset, "properties": [property_of(each) for each in columns]}],
        "customProperties": [{"property": PROPERTY, "value": extension}],
    }
    return Draft(rows=studied.rows, columns=columns, questions=tuple(questions), document=document)
