"""Connections in both of Airflow's spellings, from both of the places where Airflow looks."""

from __future__ import annotations

import json
import string
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.connections import Connection, local_lookup
from crossdock.errors import WrongUse

WORD = st.text(string.ascii_letters + string.digits + "@:/?#%& +é中", min_size=1, max_size=12)
HOST = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,5})?", fullmatch=True)


FIELDS = st.fixed_dictionaries(
    {
        "conn_type": st.just("postgres"),
        "host": HOST,
        "port": st.none() | st.integers(1, 65535),
        "login": WORD,
        "password": WORD,
        "schema": st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True),
        "extra": st.dictionaries(WORD, WORD, max_size=3),
    }
)


def as_uri(fields, *, packed):
    """Spells a connection as Airflow's `get_uri` does: extra as a query, or packed where a query can't hold it."""
    login, password = (quote(fields[name], safe="") for name in ("login", "password"))
    port = f":{fields['port']}" if fields["port"] else ""
    extra = {"__extra__": json.dumps(fields["extra"])} if packed else fields["extra"]
    query = f"?{urlencode(extra)}" if extra else ""
    return f"{fields['conn_type']}://{login}:{password}@{fields['host']}{port}/{fields['schema']}{query}"


@given(fields=FIELDS, packed=st.booleans())
def test_both_spellings_mean_the_same(fields, packed):
    ours = Connection.parse("c", json.dumps(fields))
    assert Connection.parse("c", as_uri(fields, packed=packed)) == ours
    assert (ours.host, ours.port, ours.login, ours.password, dict(ours.extra)) == tuple(
        fields[name] for name in ("host", "port", "login", "password", "extra")
    )


def test_secrets_are_not_shown():
    connection = Connection(id="c", type="http", login="me", password="hush", extra={"token": "hush"})
    assert "hush" not in repr(connection)


@pytest.mark.parametrize("extra", [None, "", {}, "{}"])
def test_no_extra(extra):
    assert Connection.from_fields("c", {"conn_type": "fs", "extra": extra}).extra == {}


def test_a_file_of_connections(tmp_path):
    file = tmp_path / "connections.json"
    file.write_text(json.dumps({"a": {"conn_type": "fs", "extra": {"path": "/x"}}, "b": "postgres://u:p%40@h:1/d"}))
    find = local_lookup(file)
    assert find("a") == Connection(id="a", type="fs", extra={"path": "/x"})
    assert find("b") == Connection(id="b", type="postgres", host="h", port=1, login="u", password="p@", schema="d")


def test_the_environment_goes_first(tmp_path, monkeypatch):
    file = tmp_path / "connections.json"
    file.write_text(json.dumps({"a": {"conn_type": "fs"}}))
    monkeypatch.setenv("AIRFLOW_CONN_A", "sqlite:///x.db")
    assert local_lookup(file)("a").type == "sqlite"


def test_an_unknown_connection_is_named_with_the_nearest(tmp_path):
    file = tmp_path / "connections.json"
    file.write_text(json.dumps({"dept_transport": {"conn_type": "fs", "password": "hush"}}))
    with pytest.raises(
        WrongUse, match=r"dept_transprot.*AIRFLOW_CONN_DEPT_TRANSPROT.*Did you mean 'dept_transport'"
    ) as e:
        local_lookup(file)("dept_transprot")
    assert "hush" not in str(e.value)
    with pytest.raises(WrongUse, match="None is known here"):
        local_lookup(tmp_path / "none.json")("x")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "\xff",
        '{"a": 3}',
        '{"a": {"port": "no"}}',
        '{"a": {"extra": "{"}}',
    ],
)
def test_a_damaged_file_is_named(tmp_path, content):
    file = tmp_path / "connections.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(WrongUse, match=r"connections\.json"):
        local_lookup(file)("a")
