"""What every crossdock task does around its verb: open the exchange, and say how its errors are to be retried."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from crossdock.connections import Connection, Lookup
from crossdock.discretion import Discretion
from crossdock.errors import Permanent, Transient, WrongUse

if TYPE_CHECKING:
    from crossdock.exchange import Exchange


def airflow_lookup(connection_id: str) -> Connection:
    """Finds a connection as Airflow does: secrets backends, environment, database."""
    try:
        found = BaseHook.get_connection(connection_id)
    except AirflowException as error:
        raise WrongUse(
            f"Airflow has no connection '{connection_id}'.",
            where="Airflow connections",
            fix="Add it to var/connections.json, or under Admin, Connections.",
        ) from error
    return Connection(
        id=connection_id,
        type=found.conn_type or "",
        host=found.host or "",
        port=found.port,
        login=found.login or "",
        password=found.password or "",
        schema=found.schema or "",
        extra=found.extra_dejson,
    )


@contextmanager
def exchange_at_work(home: str | None = None) -> Iterator[Exchange]:
    """Gives the exchange; a permanent error fails the task at once, a transient one leaves it to Airflow's retries.

    Args:
        home: the exchange's folder; by default CROSSDOCK_HOME, else AIRFLOW_HOME.
    """
    from crossdock.exchange import find_home, open_exchange  # heavy: DAG files are parsed without it

    lookup: Lookup = airflow_lookup
    try:
        with Discretion(AirflowException):
            yield open_exchange(Path(home) if home else find_home(), lookup=lookup)
    except Permanent as error:
        raise AirflowFailException(str(error)) from error
    except Transient as error:
        raise AirflowException(str(error)) from error


def home_folder() -> Path:
    """Returns the exchange's folder while a DAG file is parsed."""
    return Path(os.environ.get("CROSSDOCK_HOME") or os.environ["AIRFLOW_HOME"])
