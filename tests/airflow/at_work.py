"""Says as JSON how Airflow is told of errors at work, and what it knows of connections.

python at_work.py CONNECTION_ID...
"""

import json
import sys

import pyarrow as pa

from crossdock.airflow.work import airflow_lookup, exchange_at_work
from crossdock.errors import CrossdockError, SourceInvalid, SourceUnavailable


def fail(error):
    raise error


def fate(raised):
    """What Airflow sees when this is raised at work: the message, and whether it is tried again."""
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    try:
        with exchange_at_work():
            fail(raised)
    except AirflowException as error:
        return [str(error), not isinstance(error, AirflowFailException)]


def connection(name):
    try:
        found = airflow_lookup(name)
    except CrossdockError as error:
        return [type(error).__name__, str(error)]
    fields = ("id", "type", "host", "port", "login", "password", "schema")
    return {field: getattr(found, field) for field in fields} | {"extra": dict(found.extra)}


told = {
    "permanent": fate(SourceInvalid("The file has no header.", where="a.csv", fix="Add one.")),
    "transient": fate(SourceUnavailable("The source did not answer.", where="a host", fix="Wait.")),
    "unforeseen": fate(KeyError("a value of a row")),
    "library": fate(pa.ArrowInvalid("a value of a row")),
    "connections": {name: connection(name) for name in sys.argv[1:]},
}
sys.stdout.write(json.dumps(told))
