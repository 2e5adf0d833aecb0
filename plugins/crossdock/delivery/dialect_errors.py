"""What a database that SQLAlchemy speaks to says no with: in our words, by number and kind, and never by its own text."""

from __future__ import annotations

import sqlalchemy as sa

from crossdock.errors import ConsumerRefused, ConsumerUnavailable, CrossdockError
from crossdock.logins import turned_away

CONSTRAINTS = {
    1048: "not_null",
    1062: "unique",
    1264: "out_of_range",
    1406: "too_long",
    1452: "foreign_key",
    1644: "trigger",
    3819: "check",
    4025: "check",
}

# No right, a table that is otherwise, names, rows or a key that it can't have: trying again helps nobody.
_LASTING = (
    *(1059, 1060, 1071, 1072, 1074, 1091, 1117, 1118, 1138, 1142, 1143, 1166, 1171, 1227, 1265, 1300, 1370),
    *(1553, 1833),
)


def number(error: sa.exc.DBAPIError) -> int:
    """Returns the number that MariaDB and MySQL give their errors; 0 where there is none."""
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else 0


def kind_of(error: sa.exc.DBAPIError) -> str:
    """Returns what kind of error it is, for people."""
    found = number(error)
    return f"error {found}" if found else type(error.orig).__name__


def translated(error: sa.exc.DBAPIError, where: str, family: str) -> CrossdockError:
    """Returns our error for a driver's: `ConsumerUnavailable` where trying again may help, else `ConsumerRefused`."""
    if code := turned_away(error.orig, family):
        return not_let_in(code, where)
    passing = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    if passing and number(error) not in (*CONSTRAINTS, *_LASTING):
        return ConsumerUnavailable(
            f"The database does not answer, or not now ({kind_of(error)}).",
            where=where,
            fix="Check its address, login and network, and our rights there.",
        )
    return refused(kind_of(error), where)


def not_let_in(code: str, where: str) -> ConsumerRefused:
    """Returns the error of a database that does not know us."""
    fix = "Check login, password and database name in the connection, and what the server lets this login do."
    return ConsumerRefused(f"The database does not let us in ({code}).", where=where, fix=fix)


def refused(kind: str, where: str) -> ConsumerRefused:
    """Returns the error of a database that will not take a delivery."""
    return ConsumerRefused(
        f"The database refused the delivery ({kind}).", where=where, fix="Check the table and our rights on it."
    )
