"""`python -m crossdock.airflow.up`, what `make up` runs: all of Airflow on this machine, until Ctrl-C.

Scheduler, API server, DAG processor and triggerer run as children of this process, and beside them the web service of
the demo's meteorological department. Everything listens on 127.0.0.1 only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

from rich.markup import escape

from crossdock.airflow.api import AirflowApi
from crossdock.airflow.processes import Children
from crossdock.airflow.secrets import PASSWORDS, USERS, make_secrets, password
from crossdock.demo.provision import alone, provision
from crossdock.display import terminal
from crossdock.errors import CrossdockError, Permanent, Transient, WrongUse
from crossdock.exchange import find_home
from crossdock.identity import instant, now

PATIENCE = 300.0  # seconds until servers that do not become healthy are given up
LOOK = 2.0  # seconds between two looks at what ended
_STEPS = 9
# Scheduler and triggerer would serve their logs on all interfaces; here the API server reads them from the disk.
SERVERS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the API server is to listen, and how it is called."""

    host: str
    port: int
    url: str

    @classmethod
    def configured(cls) -> Self:
        """Reads it from airflow.cfg and the environment, as Airflow does."""
        from airflow.configuration import conf

        host, port = str(conf.get("api", "host")), conf.getint("api", "port")
        return cls(host=host, port=port, url=str(conf.get("api", "base_url") or f"http://{host}:{port}").rstrip("/"))

    def check_free(self) -> None:
        """Does nothing when the port can be had.

        Raises:
            WrongUse: something listens there.
        """
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise WrongUse(
                    f"Port {self.port} is taken.",
                    where=f"{self.host}:{self.port}",
                    fix="End what listens there (another `make up`?), or change [api] port and base_url and "
                    "[core] execution_api_server_url in airflow.cfg.",
                ) from error


def up(home: Path) -> None:
    """Starts everything, says how to reach it, and shows which runs end, until it is told to stop.

    Raises:
        WrongUse: the port is taken.
        Permanent: a server ends by itself again and again.
    """
    os.umask(0o077)  # databases and logs are nobody else's
    os.environ["AIRFLOW_HOME"] = str(home)
    began = instant(now())
    make_secrets(home)
    with ExitStack() as stack:
        children = stack.enter_context(Children(home / "var" / "logs", _tell_restart))
        with terminal.progress(_STEPS) as told:
            with alone(home, told):
                _lay_out(home, told)
                told("reading airflow.cfg")
                address = Address.configured()
                address.check_free()
                told("bringing Airflow's database up to date")
                _migrate(home)
            _start(home, children)
            api = stack.enter_context(AirflowApi(address.url, USERS[0], password(home, USERS[0])))
            told(f"waiting for {', '.join(SERVERS)}")
            _until(lambda: not api.unhealthy(), children, "Starting Airflow")
            told("reading the DAGs")
            _until_read(home, api, children)
            paused = _begin(api, began)
        _say(address, paused)
        _show_runs(api, children, began)


def _lay_out(home: Path, told: terminal.Advance) -> None:
    """Lays out the demo's data when it is missing or no longer fresh, in the sizes it had before."""
    stamp = home / "var" / "demo" / "made.json"
    made = json.loads(stamp.read_text("utf-8")) if stamp.exists() else {}
    if made:
        provision(home, people=made["people"], enterprises=made["enterprises"], progress=told)
    else:
        provision(home, progress=told)


def _migrate(home: Path) -> None:
    log = home / "var" / "logs" / "migrate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        done = subprocess.run(_airflow("db", "migrate"), stdout=file, stderr=file, check=False)  # noqa: S603 - our words
    if done.returncode:
        raise Permanent("Airflow's database could not be brought up to date.", where=str(log), fix="The log says why.")


def _start(home: Path, children: Children) -> None:
    children.start("weather", [sys.executable, "-m", "crossdock.demo.server", str(home)], os.environ)
    for name, words in SERVERS.items():
        children.start(name, _airflow(*words), _environment(name))


def _environment(server: str) -> Mapping[str, str]:
    """Returns a server's environment; on SQLite the API server waits for locks for a short time only.

    Its event loop waits for a lock that a request of its own holds, which only the event loop can end: until one gives
    up, nobody writes. The request is tried again by whoever asked; a scheduler that had to give up would end.
    """
    from airflow.configuration import conf

    database = str(conf.get("database", "sql_alchemy_conn"))
    if server != "api-server" or not database.startswith("sqlite"):
        return os.environ
    return {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"{database.partition('?')[0]}?timeout=2"}


def _tell_restart(what: str) -> None:
    terminal.out.print(f"[yellow]{escape(what)}[/]")


def _airflow(*words: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *words]


def _until(done: Callable[[], bool], children: Children, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        children.check()
        if time.monotonic() > deadline:
            raise Transient(f"{what} took more than {PATIENCE:.0f} s.", where="var/logs", fix="The logs there say why.")
        time.sleep(0.5)


def _until_read(home: Path, api: AirflowApi, children: Children) -> None:
    """Waits until each DAG file has shown its DAGs, or why it cannot."""
    files = {file.name for file in (home / "dags").glob("*.py")}

    def read() -> bool:
        shown = {Path(dag["fileloc"]).name for dag in api.dags()} | {Path(name).name for name in api.broken_files()}
        return files <= shown

    _until(read, children, "Reading the DAGs")


def _begin(api: AirflowApi, began: str) -> list[str]:
    """Lets DAGs run that are new, and starts those that receive and ran before: their schedule finds nothing due yet.

    Returns:
        The DAGs that somebody has paused, which stay so.
    """
    paused = []
    for name, is_paused in sorted((dag["dag_id"], dag["is_paused"]) for dag in api.dags()):
        if is_paused and api.ran_by_itself(name):
            paused.append(name)
            continue
        if is_paused:
            api.unpause(name)  # Airflow pauses every DAG that is new to it.
        if name.startswith("receive__") and api.ran_before(name, began):
            api.trigger(name)
    return paused


def _say(address: Address, paused: list[str]) -> None:
    terminal.out.print(
        f"\n[bold green]Airflow runs[/] at [bold]{escape(address.url)}[/]\n"
        f"  user      {USERS[0]} (or {USERS[1]}, who only looks)\n"
        f"  password  in {escape(str(PASSWORDS))}\n"
        f"  exchange  {escape(address.url)}/crossdock/\n"
        f"  logs      in {escape(str(Path('var', 'logs')))}"
    )
    for name in paused:
        terminal.out.print(f"  [yellow]paused[/]    {escape(name)}; unpause it in the DAG list")
    terminal.out.print("Ctrl-C ends it. These runs end meanwhile:\n")


def _show_runs(api: AirflowApi, children: Children, since: str) -> None:
    """Prints each DAG run as it ends, until a signal comes."""
    while True:
        children.check()
        try:
            runs = api.ended_runs(since)
        except Transient:
            runs = []  # A busy API server is no reason to stop; one that has ended is found by the check.
        for run in runs:
            since = str(run["end_date"])
            colour = "green" if run["state"] == "success" else "red"
            when = terminal.moment(since)
            terminal.out.print(
                f"{when}  [{colour}]{run['state']:8}[/] {escape(str(run['dag_id']))} [dim]{run['run_type']}[/]"
            )
        time.sleep(LOOK)


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    raise KeyboardInterrupt


def main() -> None:
    """Runs until Ctrl-C, SIGTERM or the end of the terminal; exits with 1 when a server fails."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT too: a shell may have us ignore it
        signal.signal(number, _stop)
    try:
        up(find_home())
    except KeyboardInterrupt:
        terminal.out.print("\nEverything has ended.")
    except CrossdockError as error:
        terminal.error(error)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
