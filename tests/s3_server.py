"""A real S3 server for tests, SeaweedFS, that can be killed and started again with what it holds."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from minio import Minio
from minio.error import S3Error
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from crossdock.connections import Connection
from ports import PATIENCE, free_port, wait_until


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
        name = f"t-{secrets.token_hex(6)}"
        self.client().make_bucket(name)
        return name

    def client(self, http: PoolManager | None = None) -> Minio:
        return Minio(
            self.endpoint, self.access_key, self.secret_key, secure=False, region="us-east-1", http_client=http
        )


class S3Server:
    """Listens on loopback only, on every port of its own; `others` are the actions of further logins, by name.

    An action is `Read`, `Write` or `List`, alone or with `:<bucket>` or `:<bucket>/<prefix>*` behind it. `anonymous` is
    whoever does not log in. `options` are further ones of the server.
    """

    def __init__(
        self, folder: Path, others: Mapping[str, Sequence[str]] | None = None, options: Sequence[str] = ()
    ) -> None:
        self._folder, self._options = folder, options
        self._ports = {name: free_port() for name in ("s3", "filer", "master", "volume", "admin")}
        self._grpc = {name: free_port() for name in self._ports}
        everyone = {"admin": ["Admin", "Read", "Write", "List", "Tagging"], **(others or {})}
        self.logins = {
            name: S3(f"127.0.0.1:{self._ports['s3']}", secrets.token_hex(8), secrets.token_hex(16)) for name in everyone
        }
        identities = [{"name": name, "actions": list(actions)} for name, actions in everyone.items()]
        for identity in identities:
            login = self.logins[str(identity["name"])]
            if identity["name"] != "anonymous":
                identity["credentials"] = [{"accessKey": login.access_key, "secretKey": login.secret_key}]
        self._config = folder / "identities.json"
        self._config.write_text(json.dumps({"identities": identities}))
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def s3(self) -> S3:
        """The login that may do everything."""
        return self.logins["admin"]

    def start(self) -> None:
        """Begins to listen, on the ports it had before."""
        options = [f"-{name}.port={port}" for name, port in self._ports.items()]
        options += [f"-{name}.port.grpc={port}" for name, port in self._grpc.items()]
        options += [f"-s3.localSocket={self._folder}/s3.sock", f"-filer.localSocket={self._folder}/filer.sock"]
        weed = Path(sys.executable).with_name("weed")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._server = subprocess.Popen(
            [
                weed, "mini", f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *options, "-webdav=false",
                "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.allowDeleteBucketNotEmpty=false",
                "-master.telemetry=false", "-volume.max=10000",  # however little room the disk has
                f"-s3.config={self._config}", *self._options,
            ],
            env=clean,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )  # fmt: skip
        wait_until(lambda: _stores(self.s3), "the S3 server", self._server)

    def stop(self) -> None:
        """Kills it: it would take 12 s to end in order."""
        if self._server:
            self._server.kill()
            self._server.wait(PATIENCE)
        for port in (*self._ports.values(), *self._grpc.values()):  # some sockets go there whatever the options say
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink(missing_ok=True)


def _stores(server: S3) -> bool:
    """True once a bucket can be made and an object written: the gateway answers before its volumes do."""
    client = server.client(PoolManager(retries=Retry(0), timeout=5))
    try:
        httpx.get(f"http://{server.endpoint}/status", timeout=1)
        if not client.bucket_exists("ready"):
            client.make_bucket("ready")
        client.put_object("ready", "probe", io.BytesIO(b"1"), 1)
    except (httpx.HTTPError, S3Error, HTTPError):
        return False
    return True
