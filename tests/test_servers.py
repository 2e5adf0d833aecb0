"""The servers that other tests stand on are what they claim to be: real, closed to others, and strict."""

import psutil
import pytest
import sqlalchemy as sa
from minio import Minio
from minio.error import S3Error


def listeners(port):
    """Returns the addresses on which the process that has this port listens."""
    found = {c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port}
    return {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in found}


def test_the_s3_server_listens_on_loopback_only(s3):
    assert listeners(int(s3.endpoint.rpartition(":")[2])) == {"127.0.0.1"}


def test_postgres_listens_on_loopback_only(postgres):
    assert listeners(postgres.port) == {"127.0.0.1"}


@pytest.mark.parametrize(
    "keys", [{"access_key": "other"}, {"secret_key": "other"}, {"access_key": None, "secret_key": None}]
)
def test_the_s3_server_refuses_wrong_keys(s3, keys):
    right = {"access_key": s3.access_key, "secret_key": s3.secret_key}
    client = Minio(s3.endpoint, **{**right, **keys}, secure=False, region="us-east-1")
    with pytest.raises(S3Error):
        client.list_buckets()


def test_each_database_and_bucket_is_new(postgres, s3):
    assert postgres.new_database()[1] != postgres.new_database()[1]
    assert s3.new_bucket() != s3.new_bucket()
    connection, url = postgres.new_database()
    engine = sa.create_engine(url)
    with engine.connect() as opened:
        assert opened.execute(sa.text("SELECT current_database()")).scalar_one() == connection.schema
    engine.dispose()
