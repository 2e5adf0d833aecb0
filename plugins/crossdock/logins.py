"""Whether a database, of any kind, says that it does not know us: to try that again helps nobody, and may lock an account.

The SQL standard has a code for it: SQLSTATE class 28 (login) and 3D (database). Drivers tell it where they tell every
SQLSTATE; of PostgreSQL, where one keeps it to itself while connecting (libpq, and so psycopg), `postgres_access` asks.
"""

from __future__ import annotations

import re

MYSQL_FAMILY = ("mysql", "mariadb")
# No right to the database, wrong password, no such database, no login by this way.
_MYSQL_STRANGER = (1044, 1045, 1049, 1698)
_STRANGER = ("28", "3D")


def turned_away(error: BaseException | None, family: str) -> str:
    """Returns by which code a database has turned us away; "" if it did not, or does not say.

    Args:
        error: the driver's.
        family: the name of SQLAlchemy's dialect.
    """
    first = next(iter(getattr(error, "args", ())), None)
    if family in MYSQL_FAMILY and first in _MYSQL_STRANGER:
        return f"error {first}"
    state = _sqlstate(error, first)
    return f"SQLSTATE {state}" if state.startswith(_STRANGER) else ""


def _sqlstate(error: BaseException | None, first: object) -> str:
    """Finds it as an attribute (psycopg, mysql.connector), in a field of the first argument (pg8000), or as that (ODBC)."""
    told = [getattr(error, name, None) for name in ("sqlstate", "pgcode")]
    told.append(first.get("C") if isinstance(first, dict) else first)
    return next((each for each in told if isinstance(each, str) and re.fullmatch("[0-9A-Z]{5}", each)), "")
