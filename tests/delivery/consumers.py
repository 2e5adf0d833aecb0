"""Consumers' systems for the channel tests: real ones, each read back as its owner would read it."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import sqlalchemy as sa
from minio import Minio

from crossdock.connections import Connection
from delivery.samples import agreement

COLUMNS = ("resident_id", "name", "phone")


@dataclass
class Consumer:
    """Base: an agreement to deliver to it, the connection, and the rows it has, by key."""

    connection: Connection
    channel: str
    options: dict = field(default_factory=dict)

    def agreed(self, mode="full", columns=COLUMNS, **fields):
        return agreement(*columns, mode=mode, channel=self.channel, options=self.options, **fields)

    def rows(self):
        raise NotImplementedError


@dataclass
class SqliteConsumer(Consumer):
    """A SQLite file."""

    def query(self, sql, *values):
        with closing(sqlite3.connect(self.connection.host)) as database, database:
            return database.execute(sql, values).fetchall()

    def rows(self):
        found = self.query("SELECT resident_id, name, phone FROM population")
        assert len({r[0] for r in found}) == len(found)
        return {r[0]: r for r in found}


@dataclass
class ServerConsumer(Consumer):
    """A database on a server."""

    url: str = ""

    def query(self, sql, **values):
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            result = connection.execute(sa.text(sql), values)
            return [tuple(r) for r in result] if result.returns_rows else []

    def rows(self):
        found = self.query("SELECT resident_id, name, phone FROM population")
        assert len({r[0] for r in found}) == len(found)
        return {r[0]: r for r in found}


class _Files(Consumer):
    """Applies deliveries in the order of their manifests, as the documentation tells consumers to."""

    def deliveries(self):
        """Yields (manifest, {file name: content})."""
        raise NotImplementedError

    def rows(self):
        held, last = {}, None
        for body, files in sorted(self.deliveries(), key=lambda d: (d[0]["snapshot"]["sequence"], d[0]["intended_at"])):
            assert {f["name"] for f in body["files"]} == set(files)
            if body["replaces"]:
                held.clear()
            else:
                assert body["base"] == last
            for name, content in files.items():
                if name.startswith("deletes"):
                    for row in _read(name, content):
                        del held[row["resident_id"]]
            for name, content in files.items():
                if name.startswith("rows"):
                    held |= {r["resident_id"]: tuple(r[c] for c in COLUMNS) for r in _read(name, content)}
            last = body["delivery"]
        return held


def _read(name, content: bytes):
    if name.endswith(".parquet"):
        import pyarrow as pa

        return pq.read_table(pa.BufferReader(content)).to_pylist()
    text = content.decode()
    if name.endswith(".csv"):
        return list(csv.DictReader(text.splitlines(keepends=True)))
    return [json.loads(line) for line in text.splitlines()]


@dataclass
class FolderConsumer(_Files):
    """A folder, or one behind an SFTP server or a web service."""

    def deliveries(self):
        place = Path(self.connection.extra["path"]) / "population"
        for found in place.glob("*/manifest.json"):
            files = {p.name: p.read_bytes() for p in found.parent.iterdir() if p != found}
            yield json.loads(found.read_bytes()), files

    def keys(self):
        place = Path(self.connection.extra["path"])
        return [p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file() and p.name != "lock"]


@dataclass
class BucketConsumer(_Files):
    """A bucket."""

    def client(self):
        address = urlsplit(self.connection.extra["endpoint_url"])
        return Minio(address.netloc, self.connection.login, self.connection.password, secure=False, region="us-east-1")

    def keys(self):
        return [o.object_name for o in self.client().list_objects(self.connection.schema, recursive=True)]

    def get(self, key):
        response = self.client().get_object(self.connection.schema, key)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def deliveries(self):
        keys = self.keys()
        for found in keys:
            if found.endswith("/manifest.json"):
                inside = [k for k in keys if k.startswith(found.removesuffix("manifest.json")) and k != found]
                yield json.loads(self.get(found)), {k.rpartition("/")[2]: self.get(k) for k in inside}


def index_names(system):
    """Makes an index of a consumer's own; MySQL indexes no more than the beginning of a text."""
    on = "name(20)" if system.connection.type == "mysql" else "name"
    system.query(f"CREATE INDEX by_name ON population ({on})")


def consumer(kind, folder, request):
    """Makes a fresh consumer of a kind; servers start only when asked for."""
    if kind == "sqlite":
        connection = Connection(id="consumer_tax", type="sqlite", host=str(folder / "tax.db"))
        return SqliteConsumer(connection, "database", {"table": "population"})
    if kind in ("postgres", "mariadb", "mysql", "dialect"):
        server = request.getfixturevalue("postgres" if kind == "dialect" else kind)
        connection, url = server.new_database()
        if kind == "dialect":  # the general way, to a database that has a better one
            connection = replace(connection, type="another", extra={"sqlalchemy_url": url})
        return ServerConsumer(connection, "database", {"table": "population"}, url)
    if kind == "bucket":
        server = request.getfixturevalue("s3")
        base = server.connection
        connection = Connection(
            id="consumer_tax",
            type="aws",
            login=base.login,
            password=base.password,
            schema=server.new_bucket(),
            extra=base.extra,
        )
        return BucketConsumer(connection, "bucket", {"path": "population"})
    place = folder / "consumer"
    place.mkdir()
    if kind == "webhook":
        server = request.getfixturevalue("receiver")(place)
        return FolderConsumer(server.connection(place), "webhook", {"path": "population"})
    if kind == "sftp":
        return FolderConsumer(request.getfixturevalue("sftp").connection(place), "sftp", {"path": "population"})
    connection = Connection(id="consumer_tax", type="fs", extra={"path": str(place)})
    return FolderConsumer(connection, "folder", {"path": "population", "format": kind.removeprefix("folder-")})


KINDS = [
    "sqlite",
    "postgres",
    "mariadb",
    "mysql",
    "dialect",
    "bucket",
    "sftp",
    "webhook",
    "folder-parquet",
    "folder-csv",
    "folder-jsonl",
]
