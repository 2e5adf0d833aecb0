"""Lines of access logs, in each format as its server writes it, and lines that nobody should have written."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.usage.lines import read_line
from crossdock.usage.robots import is_robot

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"
NGINX = f'203.0.113.7 - - [05/Mar/2026:09:30:12 +0800] "GET /open/a/b/latest.json?x=1 HTTP/1.1" 200 512 "-" "{BROWSER}"'
S3 = (
    "79a5 province [05/Mar/2026:01:30:12 +0000] 203.0.113.7 - 3E57427F33A59F07 REST.GET.OBJECT open/a/b/latest.json "
    f'"GET /province/open/a/b/latest.json?x=1 HTTP/1.1" 200 - 512 512 70 10 "-" "{BROWSER}" - Ht3= SigV4 TLS AuthHeader h TLSv1.3'
)
SEAWEED = {
    "bucket": "province", "time": 1772674212, "remote_ip": "203.0.113.7:50412", "operation": "REST.GET.OBJECT",
    "key": "/open/a/b/latest.json", "status": 200, "user_agent": BROWSER,
}  # fmt: skip


@pytest.mark.parametrize("line", [NGINX, S3, json.dumps(SEAWEED)], ids=["nginx", "s3", "seaweedfs"])
def test_each_format_tells_the_same(line):
    found = read_line(line)
    assert found.at == datetime(2026, 3, 5, 1, 30, 12, tzinfo=UTC)
    assert (found.method, found.status, found.agent) == ("GET", 200, BROWSER)
    assert found.path.endswith("/open/a/b/latest.json")
    assert found.asker == f"203.0.113.7\n{BROWSER}"


def test_who_says_who_they_are_is_one_user_wherever_they_are():
    lines = [NGINX.replace("- -", "- ann"), NGINX.replace("- -", "- ann").replace("203.0.113.7", "198.51.100.1")]
    assert {read_line(line).asker for line in lines} == {"user ann"}
    assert read_line(S3.replace("203.0.113.7 -", "203.0.113.7 arn:ann")).asker == "user arn:ann"


@pytest.mark.parametrize("user", ["-", "", "anonymous"])
def test_whoever_says_nothing_is_an_address_with_a_program(user):
    for address in ("203.0.113.7", "203.0.113.8"):
        found = read_line(json.dumps(SEAWEED | {"requester": user, "remote_ip": address}))
        assert (found.asker, found.user) == (f"{address}\n{BROWSER}", "")
    assert read_line(NGINX.replace("- -", f"- {user or '-'}")).user == ""


@pytest.mark.parametrize(
    ("address", "one"),
    [("2001:db8::7", "2001:db8::7"), ("2001:0DB8:0::7", "2001:db8::7"), ("::ffff:203.0.113.7", "203.0.113.7"), ("::1", "::1")],
)  # fmt: skip
def test_an_address_has_one_spelling(address, one):
    for line in (NGINX.replace("203.0.113.7", address), S3.replace("203.0.113.7", address)):
        assert read_line(line).asker.startswith(f"{one}\n")
    for spelled in (address, f"[{address}]:50412"):
        assert read_line(json.dumps(SEAWEED | {"remote_ip": spelled})).asker.startswith(f"{one}\n")


@pytest.mark.parametrize("line", [NGINX, S3, json.dumps(SEAWEED)], ids=["nginx", "s3", "seaweedfs"])
def test_a_line_that_is_cut_tells_the_same_or_nothing(line):
    whole = read_line(line)
    for place in range(1, len(line)):
        assert read_line(line[:place]) in (None, whole), line[:place]
        rest = read_line(line[place:])
        # Within the first number of an address nobody can see that something is missing, and before it nothing is.
        assert rest is None or rest == whole or line[:place].isdecimal() or line is S3, line[place:]


def test_the_website_of_a_bucket_writes_the_same_log():
    assert read_line(S3.replace("REST.GET", "WEBSITE.GET")) == read_line(S3)


def test_the_name_of_an_object_is_no_address():
    assert (
        read_line(json.dumps(SEAWEED | {"key": "open/a/b/50%25 or less?.json"})).path == "open/a/b/50%25 or less?.json"
    )


def test_paths_are_decoded():
    assert read_line(NGINX.replace("/open/a/b", "/open/a/%E4%BA%BA%E5%8F%A3")).path == "/open/a/人口/latest.json"


@pytest.mark.parametrize(
    "line",
    ["", "-", "{", "{}", "[]", "null", '{"time": "x"}', '{"time": 1e400}', NGINX[:60], NGINX.replace("05/Mar", "35/Mar"),
     NGINX.replace("GET /open/a/b/latest.json?x=1 HTTP/1.1", ""), NGINX.replace(" 200 ", " 2000 "), "x" * 100_000,
     '{"a":' * 50_000, NGINX.replace("203.0.113.7", "client.example.org"), NGINX[4:], NGINX.replace("203.0.113.7", "1.2.3.4.5")],
)  # fmt: skip
def test_what_is_no_request_is_none(line):
    assert read_line(line) is None


@given(st.text())
def test_no_line_breaks_it(line):
    read_line(line)
    read_line(NGINX.replace("/open", line))
    read_line("{" + line)


@pytest.mark.parametrize(
    "agent", ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bingbot/2.0", "", "-"]
)
def test_robots(agent):
    assert is_robot(agent)


@pytest.mark.parametrize(
    "agent", [BROWSER, "curl/8.5.0", "python-requests/2.32.3", "Python-urllib/3.11", "duckdb/v1.4"]
)
def test_people_and_their_tools(agent):
    assert not is_robot(agent)
