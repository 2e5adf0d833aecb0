import pytest

from crossdock.logins import turned_away


class Told(Exception):
    """A driver's error, in the forms that drivers have for it."""

    def __init__(self, *arguments, **attributes):
        super().__init__(*arguments)
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    ("error", "family", "code"),
    [
        (Told("28000", "[28000] Login failed for user 'x'. (18456)"), "mssql", "SQLSTATE 28000"),  # pyodbc
        (Told({"S": "FATAL", "C": "28P01", "M": "password"}), "postgresql", "SQLSTATE 28P01"),  # pg8000
        (Told(1045, "Access denied", sqlstate="28000"), "another", "SQLSTATE 28000"),  # mysql.connector
        (Told("no such database", pgcode="3D000"), "postgresql", "SQLSTATE 3D000"),  # psycopg2
        (Told(1045, "Access denied"), "mysql", "error 1045"),
        (Told(1045, "ORA-01045"), "oracle", ""),
        (Told("08001", "[08001] server not found"), "mssql", ""),
        (Told("28000 rows were lost"), "another", ""),
        (Told(), "another", ""),
        (None, "another", ""),
    ],
)
def test_only_what_a_database_says_of_our_login_counts(error, family, code):
    assert turned_away(error, family) == code
