"""Which SQL types hold our values in a database of SQLAlchemy's, and how MariaDB and MySQL spell the values."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from crossdock.logins import MYSQL_FAMILY

MODE = "ANSI_QUOTES,STRICT_ALL_TABLES"  # what is not on it: NO_BACKSLASH_ESCAPES
_KEY_LENGTH = 255  # characters of a text in a key


def type_of(given: pa.DataType, dialect: sa.Dialect, *, key: bool) -> sa.types.TypeEngine[Any]:
    """Returns the type for a column of an Arrow type, or for one that is part of a primary key."""
    if pa.types.is_decimal(given):
        return sa.Numeric(given.precision, given.scale)
    if pa.types.is_timestamp(given):
        return mysql.DATETIME(fsp=6) if dialect.name in MYSQL_FAMILY else sa.DateTime(timezone=bool(given.tz))
    for matches, made in (
        (pa.types.is_integer, sa.BigInteger()),
        (pa.types.is_floating, sa.Double()),
        (pa.types.is_boolean, sa.Boolean()),
        (pa.types.is_date, sa.Date()),
        (pa.types.is_time, mysql.TIME(fsp=6) if dialect.name in MYSQL_FAMILY else sa.Time()),
    ):
        if matches(given):
            return made
    if dialect.name not in MYSQL_FAMILY:
        return sa.String(_KEY_LENGTH) if key else sa.Text()
    exact = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    if key:
        return mysql.VARCHAR(_KEY_LENGTH, charset="utf8mb4", collation=exact)
    return mysql.LONGTEXT(charset="utf8mb4", collation=exact)


def literals(values: pa.Array) -> pa.Array:
    """Spells values as SQL literals of MariaDB and MySQL, under the `MODE` of our sessions."""
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    text = values.cast(pa.string())
    if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        escaped = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), "'", "''")
        text = pc.binary_join_element_wise("'", escaped, "'", "")
    return text.fill_null("NULL")


def comparable(kind: sa.types.TypeEngine[Any]) -> str:
    """Names a type so that what a consumer has declared is as good as what we would: VARCHAR for text, INT for BIGINT."""
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return f"decimal({kind.precision},{kind.scale})"
    for matches, name in (
        ((sa.Boolean, sa.Integer), "integer"),
        ((sa.Float,), "float"),
        ((sa.String,), "text"),
        ((sa.DateTime,), "timestamp"),
        ((sa.Date,), "date"),
        ((sa.Time,), "time"),
    ):
        if isinstance(kind, matches):
            return name
    return str(kind).lower()
