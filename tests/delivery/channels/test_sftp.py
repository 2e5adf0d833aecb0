"""The SFTP channel: whom it talks to, what it leaves on the server, and how a server fails."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import socket
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from crossdock.delivery.channels.channel import arrived, deliver
from crossdock.delivery.manifest import verify_manifest
from crossdock.delivery.sftp import run
from crossdock.errors import ConsumerRefused, ConsumerUnavailable
from delivery.carry import make
from delivery.consumers import consumer
from delivery.samples import KEYS, person, shipment
from sftp_server import SftpServer, public

PEOPLE = [person(n) for n in range(3)]
CANARY = "CANARY"


@pytest.fixture
def system(tmp_path, request):
    return consumer("sftp", tmp_path, request)


@pytest.fixture
def server(sftp):
    """The running server, whose behaviour a test may change."""
    yield sftp
    sftp.before = lambda _: 0


@pytest.fixture
def other_server():
    """A server that a test may stop, or give other keys."""
    made = SftpServer()
    made.start()
    yield made
    made.stop()


def at(system, path):
    agreed = system.agreed()
    return replace(agreed, delivery=replace(agreed.delivery, options={"path": path}))


def with_extra(connection, **extra):
    return replace(connection, extra={**connection.extra, **extra})


def sent(system, tmp_path, connection=None, name="1"):
    return deliver(shipment(tmp_path / name, system.agreed(), PEOPLE), connection or system.connection)


def failing(name, failure, after=0):
    """Makes a server answer a kind of request with a failure, but for the first few."""
    seen = []

    def before(asked):
        if asked == name:
            seen.append(asked)
            if len(seen) > after:
                raise failure
        return 0

    return before


def test_a_folder_per_delivery(system, tmp_path):
    delivered = shipment(tmp_path / "1", at(system, "from/police"), PEOPLE)
    receipt = deliver(delivered, system.connection)
    place = tmp_path / "consumer" / "from" / "police" / "d1"
    assert receipt.location == f"sftp://127.0.0.1:{system.connection.port}{place}"
    assert {p.name for p in place.iterdir()} == {"rows.parquet", "manifest.json"}
    assert verify_manifest((place / "manifest.json").read_bytes(), KEYS.public())
    assert (place / "rows.parquet").read_bytes() == delivered.prepared.rows.read_bytes()
    assert list((tmp_path / "consumer" / "from" / "police" / ".incoming").iterdir()) == []


@pytest.mark.parametrize("format_name", ["csv", "jsonl"])
def test_text_formats(system, tmp_path, format_name):
    system.options["format"] = format_name
    sent(system, tmp_path)
    assert set(system.rows()) == {p["resident_id"] for p in PEOPLE}
    assert (tmp_path / "consumer" / "population" / "d1" / f"rows.{format_name}").exists()


@pytest.mark.parametrize("form", ["text", "file", "encrypted"])
def test_a_private_key_lets_us_in(system, server, tmp_path, form):
    file = tmp_path / "key"
    passphrase = "pass phrase" if form == "encrypted" else None
    text = server.user_key.export_private_key(passphrase=passphrase).decode()
    file.write_text(text)
    extra = {"private_key": text} if form == "text" else {"key_file": str(file)}
    if passphrase:
        extra["private_key_passphrase"] = passphrase
    sent(system, tmp_path, replace(with_extra(system.connection, **extra), password=""))
    assert len(system.rows()) == 3


@pytest.mark.parametrize("host_key", ["", "  \n", "ssh-ed25519", "AAAA", "ssh-ed25519 nonsense", "127.0.0.1"])
def test_without_a_host_key_nobody_is_talked_to(system, server, tmp_path, host_key):
    before = server.met
    with pytest.raises(ConsumerRefused, match="Ask the server's operator for its public host key"):
        sent(system, tmp_path, with_extra(system.connection, host_key=host_key))
    assert server.met == before


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_a_server_with_another_key_gets_no_password(system, server, tmp_path, kind):
    pinned = public(asyncssh.generate_private_key(kind))
    before = server.attempts
    with pytest.raises(ConsumerRefused, match="another host key") as caught:
        sent(system, tmp_path, with_extra(system.connection, host_key=pinned))
    assert "host_key" in caught.value.fix
    assert server.attempts == before
    assert list((tmp_path / "consumer").iterdir()) == []


def test_any_of_several_pinned_keys_will_do_and_the_server_may_have_more(system, other_server, tmp_path):
    """A server changes its key: for a while both are pinned."""
    second = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    other_server.stop()
    other_server.host_keys = [other_server.host_key, second]
    other_server.start()
    pinned = public(asyncssh.generate_private_key("ssh-ed25519")) + "\n" + public(second) + "\n"
    sent(system, tmp_path, other_server.connection(tmp_path / "consumer", host_key=public(second)))
    with pytest.raises(ConsumerRefused, match="another host key"):
        sent(system, tmp_path, other_server.connection(tmp_path / "consumer", host_key=pinned.splitlines()[0]), "2")
    other_server.stop()
    other_server.host_keys = [second]
    other_server.start()
    assert arrived(system.agreed(), "d1", other_server.connection(tmp_path / "consumer", host_key=pinned))


def test_keys_and_settings_of_the_user_are_not_used(system, server, tmp_path, monkeypatch):
    """A key that the server would take lies in the user's own folder, and so does the server's key."""
    home = tmp_path / "home" / ".ssh"
    home.mkdir(parents=True)
    server.user_key.write_private_key(home / "id_ed25519")
    (home / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {public(server.host_key)}\n")
    (home / "config").write_text("Host *\n  ProxyCommand false\n")
    monkeypatch.setenv("HOME", str(home.parent))
    with pytest.raises(ConsumerRefused, match="does not let us in"):
        sent(system, tmp_path, replace(system.connection, password="wrong"))
    with pytest.raises(ConsumerRefused, match="host_key"):
        sent(system, tmp_path, with_extra(system.connection, host_key=None), "2")
    sent(system, tmp_path, name="3")


@pytest.mark.parametrize("own_key", [False, True])
def test_an_agent_is_not_asked(system, tmp_path, monkeypatch, own_key):
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode() if own_key else None
    address = tmp_path / "agent"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(address))
        agent.listen()
        agent.settimeout(0.2)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
        with pytest.raises(ConsumerRefused, match="does not let us in"):
            sent(system, tmp_path, replace(with_extra(system.connection, private_key=key), password="wrong"))
        with pytest.raises(TimeoutError):
            agent.accept()


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"password": f"wrong{CANARY}"}, ConsumerRefused, "does not let us in"),
        ({"login": CANARY}, ConsumerRefused, "does not let us in"),
        ({"password": ""}, ConsumerRefused, "neither password nor key"),
        ({"password": f"{CANARY}\x07"}, ConsumerRefused, "does not let us in"),
        ({"login": f"{CANARY}\x07"}, ConsumerRefused, "a character that SSH"),
        ({"login": ""}, ConsumerRefused, "no login"),
        ({"host": ""}, ConsumerRefused, "no proper host"),
        ({"port": 1}, ConsumerUnavailable, "ConnectionRefusedError"),
        ({"host": "no-such-host.invalid"}, ConsumerUnavailable, "gaierror"),
        ({"host": "a..b"}, ConsumerRefused, "no proper host"),
        ({"private_key": CANARY}, ConsumerRefused, "can't be read"),
        ({"key_file": f"/no/{CANARY}"}, ConsumerRefused, "can't be read"),
        ({"path": ""}, ConsumerRefused, "names no folder"),
        ({"path": "/no/such/folder"}, ConsumerUnavailable, "not there"),
        ({"path": "/etc/passwd"}, ConsumerUnavailable, "not there"),
    ],
)
def test_a_connection_that_cannot_be_used(system, tmp_path, change, error, told):
    own = {k: v for k, v in change.items() if k in ("password", "login", "host", "port")}
    extra = {k: v for k, v in change.items() if k not in own}
    broken = replace(with_extra(system.connection, **extra), **own)
    with pytest.raises(error, match=told) as caught:
        sent(system, tmp_path, broken)
    assert CANARY not in f"{caught.value!r} {caught.value}"
    assert list((tmp_path / "consumer").iterdir()) == []


def test_a_wrong_passphrase_is_told(system, server, tmp_path):
    text = server.user_key.export_private_key(passphrase="right").decode()
    broken = with_extra(system.connection, private_key=text, private_key_passphrase=CANARY)
    with pytest.raises(ConsumerRefused, match="Check key and passphrase") as caught:
        sent(system, tmp_path, broken)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("says", [None, b"", b"HTTP/1.1 400 CANARY\r\n\r\n" * 50, b"SSH-2.0-CANARY\r\n"])
def test_no_ssh_server_at_all(system, tmp_path, monkeypatch, says):
    """It says nothing, hangs up, speaks of something else, or falls silent after a greeting."""
    monkeypatch.setattr("crossdock.delivery.sftp._CONNECT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept = []

        def answer():
            caller, _ = listening.accept()
            kept.append(caller)
            if says is not None:
                caller.sendall(says)
            if says == b"":
                caller.close()

        thread = threading.Thread(target=answer)
        thread.start()
        began = time.monotonic()
        with pytest.raises(ConsumerUnavailable) as caught:
            sent(system, tmp_path, replace(system.connection, port=listening.getsockname()[1]))
        assert time.monotonic() - began < 5
        thread.join()
        for caller in kept:
            caller.close()
    assert CANARY not in f"{caught.value!r} {caught.value}"


def test_a_server_without_sftp(system, other_server, tmp_path):
    other_server.stop()
    other_server.serves_files = False
    other_server.start()
    with pytest.raises(ConsumerRefused, match="offers no SFTP"):
        sent(system, tmp_path, other_server.connection(tmp_path / "consumer"))


@pytest.mark.parametrize("name", ["lstat", "mkdir", "open", "write", "fsync", "rename"])
def test_a_server_that_stalls_is_given_up(system, server, tmp_path, monkeypatch, name):
    monkeypatch.setattr("crossdock.delivery.sftp._OPERATION", 0.3)
    monkeypatch.setattr("crossdock.delivery.sftp._FAREWELL", 0.3)
    server.before = lambda asked: 20 if asked == name else 0
    began = time.monotonic()
    with pytest.raises(ConsumerUnavailable, match="TimeoutError"):
        sent(system, tmp_path)
    assert time.monotonic() - began < 5
    server.before = lambda _: 0
    assert system.rows() == {}
    sent(system, tmp_path, name="2")
    assert len(system.rows()) == 3


def test_a_slow_server_is_waited_for_as_long_as_it_goes_on(system, server, tmp_path, monkeypatch):
    monkeypatch.setattr("crossdock.delivery.sftp._OPERATION", 0.6)
    big = tmp_path / "big"
    big.write_bytes(os.urandom(12 << 20))
    server.before = lambda asked: 0.05 if asked == "write" else 0
    began = time.monotonic()
    run(system.connection, lambda session: session.upload(big, session.base / "big"))
    assert time.monotonic() - began > 1.2
    assert (tmp_path / "consumer" / "big").read_bytes() == big.read_bytes()


def test_a_server_that_restarts_in_the_middle(system, other_server, tmp_path):
    system.connection = other_server.connection(tmp_path / "consumer")

    def before(asked):
        if asked == "write":
            for connection in list(other_server.connections):
                connection.abort()
        return 0

    other_server.before = before
    with pytest.raises(ConsumerUnavailable):
        sent(system, tmp_path)
    other_server.stop()
    with pytest.raises(ConsumerUnavailable, match="ConnectionRefusedError"):
        sent(system, tmp_path, name="2")
    assert system.rows() == {}
    other_server.before = lambda _: 0
    other_server.start()
    sent(system, tmp_path, name="3")
    assert len(system.rows()) == 3
    assert list((tmp_path / "consumer" / "population" / ".incoming").iterdir()) == []


@pytest.mark.parametrize("name", ["open", "write", "mkdir", "fsync", "rename"])
@pytest.mark.parametrize(
    "answer",
    [
        (OSError(errno.ENOSPC, CANARY), ConsumerUnavailable),
        (asyncssh.SFTPQuotaExceeded(CANARY), ConsumerUnavailable),
        (PermissionError(errno.EACCES, CANARY), ConsumerRefused),
        (asyncssh.SFTPFailure(CANARY), ConsumerUnavailable),
    ],
    ids=["disk full", "quota", "permission", "failure"],
)
def test_a_server_that_says_no_shows_nothing(system, server, tmp_path, name, answer):
    failure, error = answer
    server.before = failing(name, failure)
    with pytest.raises(error) as caught:
        sent(system, tmp_path)
    assert CANARY not in f"{caught.value!r} {caught.value}"
    assert caught.value.__suppress_context__
    server.before = lambda _: 0
    assert system.rows() == {}
    assert not [p for p in (tmp_path / "consumer").rglob("*") if p.is_file()]


def test_one_block_that_is_lost_among_many_is_noticed(system, server, tmp_path):
    """Later blocks are written, so the size is right and the content is not."""
    big = tmp_path / "big"
    big.write_bytes(os.urandom(4 << 20))  # 16 blocks
    seen = []

    def before(asked):
        seen.append(asked)
        if asked == "write" and seen.count("write") == 3:
            raise OSError(errno.ENOSPC, "no space")
        return 0

    server.before = before
    with pytest.raises(ConsumerUnavailable):
        run(system.connection, lambda session: session.upload(big, session.base / "big"))


def test_a_server_that_cuts_a_file_short_is_noticed(system, server, tmp_path):
    cut = tmp_path / "consumer" / "population" / ".incoming"

    def before(asked):
        files = list(cut.glob("*/rows.parquet"))
        if asked == "fsync" and files:
            files[0].write_bytes(b"short")
        return 0

    server.before = before
    with pytest.raises(ConsumerUnavailable, match="not what we sent"):
        sent(system, tmp_path)
    assert system.rows() == {}


@pytest.mark.parametrize("path", ["", "/etc", "../out", "a/../../out", "a/./b/..", ".hidden", "a\\b", "a\nb", None])
def test_improper_paths_are_refused(system, tmp_path, path):
    with pytest.raises(ConsumerRefused, match="path"):
        deliver(shipment(tmp_path / "1", at(system, path), PEOPLE), system.connection)


@pytest.mark.parametrize("link", ["link", "population/.incoming"])
def test_a_link_does_not_lead_out(system, tmp_path, link):
    (tmp_path / "outside").mkdir()
    place = tmp_path / "consumer" / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "outside")
    agreed = at(system, link if link == "link" else "population")
    with pytest.raises(ConsumerRefused, match="leads out"):
        deliver(shipment(tmp_path / "1", agreed, PEOPLE), system.connection)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_inside_the_folder_is_followed(system, tmp_path):
    (tmp_path / "consumer" / "real").mkdir()
    (tmp_path / "consumer" / "link").symlink_to("real")
    deliver(shipment(tmp_path / "1", at(system, "link"), PEOPLE), system.connection)
    assert (tmp_path / "consumer" / "real" / "d1" / "manifest.json").exists()


def test_asking_changes_nothing(system, tmp_path):
    assert arrived(system.agreed(), "d1", system.connection) is None
    assert list((tmp_path / "consumer").iterdir()) == []


def test_left_overs_of_killed_attempts_are_cleared(system, tmp_path):
    incoming = tmp_path / "consumer" / "population" / ".incoming"
    (incoming / "d1-killed").mkdir(parents=True)
    (incoming / "d1-killed" / "rows.parquet").write_bytes(b"half")
    (incoming / "d2-running").mkdir()
    sent(system, tmp_path)
    assert {p.name for p in incoming.iterdir()} == {"d2-running"}


def test_a_folder_in_the_way_is_not_replaced(system, tmp_path):
    theirs = tmp_path / "consumer" / "population" / "d1"
    theirs.mkdir(parents=True)
    with pytest.raises(ConsumerRefused, match="without a manifest"):
        sent(system, tmp_path)
    assert list(theirs.iterdir()) == []


def test_another_process_is_first(system, server, tmp_path):
    """It shows the same delivery while ours is on its way, and clears ours: both have the one receipt."""
    place = tmp_path / "consumer" / "population"
    deliver(shipment(tmp_path / "1", at(system, "population"), PEOPLE), system.connection)
    first = arrived(at(system, "population"), "d1", system.connection)
    shutil.move(place / "d1", tmp_path / "d1")

    def before(asked):
        if asked == "rename" and not (place / "d1").exists():
            shutil.rmtree(next((place / ".incoming").glob("d1-*")))
            shutil.move(tmp_path / "d1", place / "d1")
        return 0

    server.before = before
    assert deliver(shipment(tmp_path / "2", at(system, "population"), PEOPLE), system.connection) == first


def test_a_newer_delivery_that_comes_while_we_upload_is_seen(system, server, tmp_path):
    agreed = at(system, "population")
    deliver(make(tmp_path, agreed, 2), system.connection)
    place = tmp_path / "consumer" / "population"
    (place / "d2").rename(tmp_path / "d2")

    def before(asked):
        if asked == "write" and not (place / "d2").exists():
            (tmp_path / "d2").rename(place / "d2")
        return 0

    server.before = before
    with pytest.raises(ConsumerRefused, match="already holds a newer delivery, d2"):
        deliver(make(tmp_path, agreed, 1), system.connection)
    assert {p.name for p in place.iterdir()} == {"d2", ".incoming"}
    assert list((place / ".incoming").iterdir()) == []


def test_a_consumer_may_take_the_folder_away_the_moment_it_appears(system, server, tmp_path):
    place, taken = tmp_path / "consumer" / "population" / "d1", tmp_path / "taken"

    def before(_):
        if place.exists():
            place.rename(taken)
        return 0

    server.before = before
    delivered = shipment(tmp_path / "1", system.agreed(), PEOPLE)
    receipt = deliver(delivered, system.connection)
    assert (taken / "manifest.json").read_bytes() == delivered.manifest
    assert receipt.digest == delivered.digest
    assert receipt.location.endswith(str(place))


def test_files_of_the_consumer_are_passed_over(system, tmp_path):
    own = tmp_path / "consumer" / "population" / "own"
    own.mkdir(parents=True)
    (own / "manifest.json").write_text(json.dumps({"name": "my web app"}))
    (own.parent / "notes.txt").write_text("mine")
    sent(system, tmp_path)
    assert arrived(system.agreed(), "d1", system.connection)


def test_a_consumer_may_remove_what_it_took_in(system, tmp_path):
    agreed = system.agreed("changes")
    deliver(make(tmp_path, agreed, 1), system.connection)
    shutil.rmtree(tmp_path / "consumer" / "population" / "d1")
    deliver(make(tmp_path, agreed, 2), system.connection)
    assert arrived(agreed, "d2", system.connection)


def test_nothing_that_the_server_says_is_logged(system, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    sent(system, tmp_path)
    assert not [r for r in caplog.records if r.name.startswith("asyncssh")]


def test_what_arrives_is_no_program(system, tmp_path):
    sent(system, tmp_path)
    for file in (tmp_path / "consumer").rglob("*.parquet"):
        assert not Path(file).stat().st_mode & stat.S_IXUSR
