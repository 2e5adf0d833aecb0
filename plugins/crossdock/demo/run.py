"""The demo: a province's data through the real Airflow DAGs, in order, in this process; then what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from crossdock.airflow.secrets import make_secrets
from crossdock.demo.provision import alone, provision
from crossdock.demo.report import report
from crossdock.demo.server import serve
from crossdock.display import terminal
from crossdock.errors import ContractInvalid
from crossdock.exchange import open_exchange
from crossdock.sweep import in_order

if TYPE_CHECKING:
    from airflow.sdk import DAG


def run(home: Path, *, people: int, enterprises: int) -> int:
    """Lays the province out if need be, runs receive__*, share__* and publish__* DAGs, and prints what came of it.

    Returns:
        0 when every DAG run succeeded, 1 when one failed or a contract is wrong.
    """
    os.umask(0o077)  # databases and logs are nobody else's
    make_secrets(home)
    log = home / "var" / "logs" / "demo.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with terminal.progress(1) as told:
            stack.enter_context(alone(home, told))
            provision(home, people=people, enterprises=enterprises, progress=told)
        stack.enter_context(serve(home))
        stack.enter_context(_quiet(log))
        dags = _dags(home)
        with terminal.progress(len(dags)) as advance:
            failed = [dag.dag_id for dag in dags if not _succeeds(dag, advance)]
    for name in failed:
        terminal.err.print(f"[red]failed[/] {escape(name)}; see {escape(str(log))}")
    exchange = open_exchange(home)
    report(exchange)
    if exchange.catalogue.problems:  # what is wrong has no DAG, so no run could fail
        terminal.error(ContractInvalid(exchange.catalogue.problems))
    return 1 if failed or exchange.catalogue.problems else 0


def _dags(home: Path) -> list[DAG]:
    """Returns the DAGs in the order in which data flows, recorded in Airflow's database."""
    os.environ["AIRFLOW_HOME"] = str(home)
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    initdb()
    bag = DagBag(str(home / "dags"))
    if bag.import_errors:
        raise SystemExit("\n".join(bag.import_errors.values()))
    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call] # Airflow leaves it untyped
    sync_bag_to_db(bag, "dags-folder", None)
    return [bag.dags[name] for name in _order(home, set(bag.dags))]


def _order(home: Path, names: set[str]) -> list[str]:
    """Sorts DAG ids: departments after those they refer to, then who receives, then who publishes, then the audit."""
    contracts = in_order(c for c in open_exchange(home).catalogue.contracts.values() if c.source)
    last = {contract.department: place for place, contract in enumerate(contracts)}
    first = {f"receive__{name}": place for name, place in last.items()}
    verbs = ["receive", "share", "publish", "audit"]
    wanted = [name for name in names if name.partition("__")[0] in verbs]
    return sorted(wanted, key=lambda name: (verbs.index(name.partition("__")[0]), first.get(name, 0), name))


def _succeeds(dag: DAG, advance: terminal.Advance) -> bool:
    state = dag.test().state
    advance(dag.dag_id)
    return str(state) == "success"


@contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """Sends what Airflow and its tasks write to stdout and stderr to a file; our own progress keeps the terminal."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    screen = os.fdopen(os.dup(2), "w")
    terminal.err.file = screen
    with log.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            screen.flush()
            terminal.err.file = sys.stderr
