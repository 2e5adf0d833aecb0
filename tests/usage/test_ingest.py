"""Access logs are counted once, in whatever pieces and however often they are read."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import socketserver
import subprocess
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from crossdock.contracts.catalogue import load_catalogue
from crossdock.errors import WrongUse
from crossdock.storage.state import State
from crossdock.storage.usage import Usage, Uses, usage
from crossdock.usage.ingest import ingest
from killing import KILLED, code, start
from packages import demand
from ports import free_port, wait_until
from s3_server import S3Server

ROOT = Path(__file__).parents[2]
DATASETS = {"transport/flights", "civil_affairs/divisions"}
VERSION = f"versions/{'0f' * 16}/data.parquet"
FIREFOX = "Mozilla/5.0 Firefox/142.0"
KEY = b"k" * 32


def line(
    *,
    ip="203.0.113.7",
    at="05/Mar/2026:09:30:12 +0000",
    path=f"transport/flights/{VERSION}",
    status=200,
    agent=FIREFOX,
    method="GET",
):
    return f'{ip} - - [{at}] "{method} /open/{path} HTTP/1.1" {status} 512 "-" "{agent}"'


@pytest.fixture
def state(tmp_path):
    return State.open(f"sqlite:///{tmp_path / 'state.db'}")


@pytest.fixture
def read(state, tmp_path):
    """Reads lines as a log of its own."""

    def read_lines(*lines, name="access.log"):
        path = tmp_path / name
        path.write_text("".join(f"{each}\n" for each in lines))
        return ingest(state, [path], key=KEY, datasets=DATASETS)

    return read_lines


def total(state, **bounds):
    (found,) = usage(state, Uses(**bounds))
    return found.downloads, found.visits, found.users


def test_downloads_visits_and_users(state, read):
    told = read(
        line(),
        line(ip="203.0.113.8"),
        line(ip="203.0.113.8", path="transport/flights/latest.json"),
        line(path="civil_affairs/divisions/latest.json", at="06/Apr/2026:00:00:01 +0800"),
        line(agent="Googlebot/2.1"),
        line(path=f"nobody/nothing/{VERSION}"),
        line(method="HEAD"),
        line(status=404),
        "nonsense",
    )
    assert told.to_dict() == {"lines": 9, "new": 4, "known": 0, "robots": 1, "others": 3, "unreadable": 1}
    assert total(state) == (2, 2, 2)
    assert usage(state, by=("dataset", "month")) == [
        Usage(key=("civil_affairs/divisions", "2026-04"), downloads=0, visits=1, users=1, downloaders=0),
        Usage(key=("transport/flights", "2026-03"), downloads=2, visits=1, users=2, downloaders=2),
    ]
    assert total(state, department="transport") == (2, 1, 2)
    assert total(state, since="2026-03", until="2026-03") == (2, 1, 2)
    assert total(state, until="2026-02") == (0, 0, 0)
    with pytest.raises(WrongUse, match="'dataset'"):
        usage(state, by=("datasets",))


def test_theme_and_sharing_class_are_those_of_the_contract_in_force(state, read):
    contracts = load_catalogue(ROOT / "contracts", transforms=ROOT / "transforms").contracts
    read(
        line(),
        line(path="civil_affairs/divisions/latest.json"),
        line(ip="203.0.113.8", path="civil_affairs/divisions/latest.json", at="06/Apr/2026:00:00:01 +0000"),
    )
    flights, divisions = (contracts[name] for name in ("transport/flights", "civil_affairs/divisions"))
    assert flights.theme != divisions.theme
    counted = usage(state, by=("month", "theme"), contracts=contracts)
    assert counted == sorted(
        [
            Usage(key=("2026-03", flights.theme), downloads=1, visits=0, users=1, downloaders=1),
            Usage(key=("2026-03", divisions.theme), downloads=0, visits=1, users=1, downloaders=0),
            Usage(key=("2026-04", divisions.theme), downloads=0, visits=1, users=1, downloaders=0),
        ],
        key=lambda each: each.key,
    )
    (both,) = usage(state, by=("sharing",), contracts=contracts)
    assert both == Usage(key=(flights.sharing,), downloads=1, visits=2, users=2, downloaders=1)  # one user used both
    other = {flights.id: replace(flights, theme="elsewhere")}
    assert usage(state, by=("theme", "dataset"), contracts=other) == [
        Usage(key=("", divisions.id), downloads=0, visits=2, users=2, downloaders=0),
        Usage(key=("elsewhere", flights.id), downloads=1, visits=0, users=1, downloaders=1),
    ]
    assert usage(state, Uses(department="nobody"), by=("theme",), contracts=contracts) == []


def test_a_second_click_and_ranges_are_one_download(state, read):
    seconds = [f"05/Mar/2026:09:30:{second:02} +0000" for second in (1, 2, 59)]
    read(*(line(at=at) for at in seconds))
    assert total(state)[0] == 1
    read(line(at="05/Mar/2026:09:31:00 +0000"))
    assert total(state)[0] == 2
    hours = [f"05/Mar/2026:{hour:02}:30:00 +0000" for hour in range(24)]
    read(*(line(at=at, status=206, ip="203.0.113.9") for at in hours))
    assert total(state)[0] == 3


def test_logs_that_grow_rotate_or_come_twice_count_once(state, read, tmp_path):
    lines = [line(ip=f"203.0.113.{n}", at=f"05/Mar/2026:09:{n % 60:02}:00 +0000") for n in range(200)]
    read(*lines[:50])
    read(*lines[:120])
    (tmp_path / "logs" / "old").mkdir(parents=True)
    with gzip.open(tmp_path / "logs" / "old" / "access.log.2.gz", "wt") as old:
        old.writelines(f"{each}\n" for each in lines[:150])
    random.Random(1).shuffle(lines)
    (tmp_path / "logs" / "access.log").write_text("\n".join(lines))
    told = ingest(state, [tmp_path / "logs"], key=KEY, datasets=DATASETS)
    assert (told.new, total(state)) == (80, (200, 0, 200))
    assert ingest(state, [tmp_path / "logs"], key=KEY, datasets=DATASETS).new == 0


def test_nobody_is_named(read, tmp_path):
    read(line(), line(ip="198.51.100.23", path="transport/flights/latest.json"))
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("state.db*"))
    assert b"transport/flights" in kept
    assert not any(word in kept for word in (b"203.0.113", b"198.51.100", b"Firefox"))


def test_a_log_that_breaks_off_is_told_and_can_be_read_again(state, tmp_path):
    path = tmp_path / "access.log.gz"
    whole = gzip.compress("\n".join(line(ip=f"203.0.{n}.1") for n in range(200)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WrongUse, match="can't be read to its end"):
        ingest(state, [path], key=KEY, datasets=DATASETS)
    path.write_bytes(whole)
    ingest(state, [path], key=KEY, datasets=DATASETS)
    assert total(state) == (200, 0, 200)
    with pytest.raises(WrongUse, match="no such log"):
        ingest(state, [tmp_path / "none.log"], key=KEY, datasets=DATASETS)


def test_killed_and_read_again_it_counts_once(tmp_path):
    from hamlet import found

    hamlet = found(tmp_path)
    log = tmp_path / "access.log"
    lines = (line(ip=f"203.{n // 250}.{n % 250}.1", path=f"town_hall/streets/{VERSION}") for n in range(2_500))
    log.write_text("".join(f"{each}\n" for each in lines))
    assert code(start(hamlet.home, fault="usage.recorded", arguments=("usage", "ingest", str(log)))) == KILLED
    exchange = hamlet.open()
    assert total(exchange.state)[0] == 1_000
    assert code(start(hamlet.home, arguments=("usage", "ingest", str(log)))) == 0
    assert total(exchange.state) == (2_500, 0, 2_500)


def test_what_a_real_nginx_writes(state, tmp_path, tmp_path_factory):
    program = demand("nginx", ("nginx-light",), tmp_path_factory, "NO LOG OF A REAL NGINX WAS READ")
    data = tmp_path / "site" / "open" / "transport" / "flights" / VERSION
    data.parent.mkdir(parents=True)
    data.write_bytes(b"PAR1" * 100)
    tmp_path.chmod(0o755)
    port, log = free_port(), tmp_path / "access.log"
    settings = tmp_path / "nginx.conf"
    user = "user root;" if shutil.which("id") and subprocess.check_output(["id", "-u"]).strip() == b"0" else ""
    settings.write_text(
        f"daemon off; {user} pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}} http {{ access_log {log} combined; "
        f"client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f; "
        f"uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s; "
        f"server {{ listen 127.0.0.1:{port}; root {tmp_path}/site; }} }}"
    )
    server = subprocess.Popen([program, "-c", settings, "-e", f"{tmp_path}/error.log"], stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/open/transport/flights/{VERSION}"
        wait_until(lambda: answers(url), "nginx", server)
        answers(url, **{"User-Agent": 'a "quoted" \\ browser, 浏览器'.encode().decode("latin-1")})
        answers(url, Range="bytes=0-3")
        answers(url + "x")
    finally:
        server.terminate()
        server.wait(30)
    told = ingest(state, [log], key=KEY, datasets=DATASETS)
    assert (told.unreadable, told.new, told.others) == (0, 3, 1)
    assert total(state)[0] == 3


def test_what_a_real_seaweedfs_writes(state, tmp_path):
    """Its audit log goes to fluentd, whose place we take: one JSON array of tag, time, record and options each."""
    heard = bytearray()

    class Fluent(socketserver.BaseRequestHandler):
        def handle(self):
            while some := self.request.recv(65_536):
                heard.extend(some)

    folder, log = tmp_path / "weed", tmp_path / "audit.log"
    folder.mkdir()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Fluent) as fluent:
        threading.Thread(target=fluent.serve_forever, daemon=True).start()
        settings = {"fluent_host": "127.0.0.1", "fluent_port": fluent.server_address[1], "marshal_as_json": True}
        (tmp_path / "audit.json").write_text(json.dumps(settings))
        server = S3Server(folder, {"anonymous": ["Read"]}, [f"-s3.auditLogConfig={tmp_path}/audit.json"])
        try:
            server.start()
            client, url = server.s3.client(), f"http://{server.s3.endpoint}/province/open/transport/flights"
            client.make_bucket("province")
            for name in (VERSION, "dictionary.csv", "说明 50%.txt"):
                client.put_object("province", f"open/transport/flights/{name}", io.BytesIO(b"PAR1" * 100), 400)
            for address in ("203.0.113.7", "203.0.113.8", "2001:db8::7"):
                firefox = {"User-Agent": FIREFOX, "X-Real-IP": address, "X-Forwarded-For": address}
                assert answers(f"{url}/{VERSION}", **firefox)
                assert answers(f"{url}/{quote('说明 50%.txt')}", **firefox)
            for first in range(0, 400, 20):
                assert answers(f"{url}/{VERSION}", Range=f"bytes={first}-{first + 19}", **firefox)
            assert not answers(f"{url}/none", **firefox)
            client.get_object("province", f"open/transport/flights/{VERSION}").close()
            wait_until(lambda: heard.count(b"REST.GET.OBJECT") >= 28, "the audit log")
        finally:
            server.stop()
            fluent.shutdown()
    decoder, text, records = json.JSONDecoder(), heard.decode(), []
    while text:
        (_, _, record, _), end = decoder.raw_decode(text)
        records.append(record)
        text = text[end:].lstrip()
    log.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    told = ingest(state, [log], key=KEY, datasets=DATASETS, ours={"admin"})
    assert told.unreadable == 0
    assert total(state) == (3 + 1, 3, 3)  # one came whole, and in ranges
    assert ingest(state, [log], key=KEY, datasets=DATASETS, ours={"admin"}).new == 0


def test_what_the_exchange_reads_itself_is_no_use(state, tmp_path):
    log = tmp_path / "mine.log"
    log.write_text(line().replace("- -", "- crossdock") + "\n" + line().replace("- -", "- ann") + "\n")
    told = ingest(state, [log], key=KEY, datasets=DATASETS, ours={"crossdock"})
    assert (told.new, told.others) == (1, 1)


def test_those_who_only_looked_downloaded_nothing(state, read):
    read(line(), line(ip="203.0.113.8", path="transport/flights/latest.json"))
    (found,) = usage(state)
    assert (found.downloads, found.downloaders, found.visits, found.users) == (1, 1, 1, 2)


def test_a_log_is_the_same_compressed_whatever_it_is_called(state, tmp_path):
    (tmp_path / "access.log.1").write_bytes(
        gzip.compress(f"{line()}\n".encode()) + gzip.compress(f"{line(ip='203.0.113.8')}\n".encode())
    )
    (tmp_path / "plain.gz").write_text(line(ip="203.0.113.9"))
    told = ingest(state, [tmp_path / "access.log.1", tmp_path / "plain.gz"], key=KEY, datasets=DATASETS)
    assert (told.new, told.unreadable) == (3, 0)


@pytest.mark.parametrize("place", [30, 90, 200])
def test_a_log_cut_in_the_middle_of_a_line_counts_once_when_it_is_whole(state, tmp_path, place):
    whole = "".join(f"{line(ip=f'203.0.113.{n}')}\n" for n in range(10))
    parts = [whole[: 5 * len(line()) + place], whole[5 * len(line()) + place :]]
    for name, text in zip(("one", "two"), parts, strict=True):
        (tmp_path / name).write_text(text)
        ingest(state, [tmp_path / name], key=KEY, datasets=DATASETS)
    assert total(state)[0] in (9, 10)
    (tmp_path / "one").write_text(whole)
    ingest(state, [tmp_path / "one"], key=KEY, datasets=DATASETS)
    assert total(state) == (10, 0, 10)


def answers(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return bool(answer.read())
    except OSError:
        return False
