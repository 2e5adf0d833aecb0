"""Where a connection leads is told without a secret, and is another text wherever it is another system."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from crossdock.connections import Connection
from crossdock.delivery.channels.channel import address
from delivery.samples import agreement

SECRET = "hunter2"
DATABASE = Connection(id="c", type="postgres", host="db.tax", port=5432, login="in", password=SECRET, schema="tax")
URL = Connection(
    id="c",
    type="generic",
    extra={"sqlalchemy_url": f"mssql+pyodbc://in:{SECRET}@db.tax:1433/tax?driver=x&PWD={SECRET}"},
)
ODBC = Connection(
    id="c",
    type="generic",
    extra={"sqlalchemy_url": f"mssql+pyodbc:///?odbc_connect=SERVER=db.tax;DATABASE=tax;UID=in;PWD={SECRET}"},
)
FOLDER = Connection(id="c", type="fs", extra={"path": "/srv/tax"})
BUCKET = Connection(
    id="c", type="aws", login="in", password=SECRET, schema="tax", extra={"endpoint_url": f"https://in:{SECRET}@s3.tax"}
)
SFTP = Connection(
    id="c", type="sftp", host="sftp.tax", login="in", password=SECRET, extra={"path": "/in", "private_key": SECRET}
)
WEBHOOK = Connection(id="c", type="http", host="https://tax", password=SECRET, extra={"path": "in"})

CASES = [
    ("database", DATABASE, "postgres://in@db.tax:5432/tax"),
    ("database", replace(DATABASE, type="mariadb"), "mariadb://in@db.tax:5432/tax"),
    ("database", Connection(id="c", type="sqlite", host="/srv/tax.db"), "/srv/tax.db"),
    ("database", URL, "mssql://in@db.tax:1433/tax"),
    ("database", ODBC, "mssql://@/ SERVER=db.tax DATABASE=tax"),
    ("folder", FOLDER, "/srv/tax"),
    ("bucket", BUCKET, "https://s3.tax, bucket tax"),
    ("sftp", SFTP, "sftp://in@sftp.tax:22/in"),
    ("webhook", WEBHOOK, "https://tax/in"),
]


def of(channel, connection):
    return address(agreement("name", channel=channel), connection)


@pytest.mark.parametrize(("channel", "connection", "told"), CASES)
def test_an_address_says_where_and_no_secret(channel, connection, told):
    assert of(channel, connection) == told
    assert SECRET not in of(channel, connection)


@pytest.mark.parametrize(("channel", "connection", "told"), CASES)
def test_another_password_or_option_is_no_other_address(channel, connection, told):
    extra = dict(connection.extra) | {"timeout": 5, "sslmode": "require", "host_key": "another"}
    assert of(channel, replace(connection, id="d", password="another", extra=extra)) == told


OTHERS = [
    ("database", replace(DATABASE, host="other")),
    ("database", replace(DATABASE, port=5433)),
    ("database", replace(DATABASE, schema="other")),
    ("database", replace(DATABASE, login="other")),
    ("folder", replace(FOLDER, extra={"path": "/srv/other"})),
    ("bucket", replace(BUCKET, schema="other")),
    ("bucket", replace(BUCKET, extra={"endpoint_url": "https://other"})),
    ("sftp", replace(SFTP, host="other")),
    ("sftp", replace(SFTP, login="other")),
    ("sftp", replace(SFTP, extra={"path": "/other"})),
    ("webhook", replace(WEBHOOK, host="https://other")),
]


@pytest.mark.parametrize(("channel", "connection"), OTHERS)
def test_another_system_is_another_address(channel, connection):
    known = {of(each, connection) for each, connection, _ in CASES if each == channel}
    assert of(channel, connection) not in known


def test_a_link_that_leads_elsewhere_is_another_address(tmp_path):
    there = SimpleNamespace(one=tmp_path / "one", two=tmp_path / "two", link=tmp_path / "link")
    there.link.symlink_to(there.one)
    linked = replace(FOLDER, extra={"path": str(there.link)})
    assert of("folder", linked) == str(there.one)
    there.link.unlink()
    there.link.symlink_to(there.two)
    assert of("folder", linked) == str(there.two)
