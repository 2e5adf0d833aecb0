"""What `make up` asks of Airflow's own REST API."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from crossdock.errors import Transient

SERVERS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
TRIES = stop_after_attempt(20)
ENDED = ["success", "failed"]  # without a state, runs that have no end yet pass every filter of `end_date`


class AirflowApi:
    """A client of one Airflow, logged in as one user.

    Args:
        base_url: such as http://127.0.0.1:8080.
        user: who logs in.
        password: of that user.
    """

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=10, trust_env=False)  # it is on this machine: no proxy
        self._login = {"username": user, "password": password}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def unhealthy(self) -> Sequence[str]:
        """Returns which servers do not report to be healthy; needs no login."""
        try:
            answer = self._http.get("/api/v2/monitor/health")
        except httpx.TransportError:
            return ("api-server",)
        if answer.status_code != httpx.codes.OK:
            return ("api-server",)
        health = answer.json()
        return [name for name in SERVERS if (health.get(name) or {}).get("status") != "healthy"]

    def dags(self) -> list[dict[str, Any]]:
        """Returns crossdock's DAGs."""
        return list(self._ask("GET", "/dags", params={"tags": "crossdock", "limit": 1000})["dags"])

    def broken_files(self) -> dict[str, str]:
        """Returns the DAG files that could not be read, with the reason."""
        found = self._ask("GET", "/importErrors", params={"limit": 1000})["import_errors"]
        return {str(each["filename"]): str(each["stack_trace"]) for each in found}

    def ran_before(self, dag_id: str, instant: str) -> bool:
        """Returns whether a run of a DAG had ended by then (ISO 8601)."""
        params = {"end_date_lte": instant, "state": ENDED, "limit": 1}
        return bool(self._ask("GET", f"/dags/{dag_id}/dagRuns", params=params)["total_entries"])

    def ran_by_itself(self, dag_id: str) -> bool:
        """Returns whether a DAG was ever started by its schedule or its assets."""
        params = {"run_type": ["scheduled", "asset_triggered"], "limit": 1}
        return bool(self._ask("GET", f"/dags/{dag_id}/dagRuns", params=params)["total_entries"])

    def unpause(self, dag_id: str) -> None:
        """Lets a DAG's schedule and assets start it."""
        self._ask("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str) -> None:
        """Starts a run by hand."""
        self._ask("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None})

    def ended_runs(self, since: str) -> list[dict[str, Any]]:
        """Returns the runs of all DAGs that ended after an instant (ISO 8601), in the order in which they ended."""
        params = {"end_date_gt": since, "state": ENDED, "order_by": "end_date", "limit": 100}
        return list(self._ask("GET", "/dags/~/dagRuns", params=params)["dag_runs"])

    def _ask(self, method: str, path: str, **given: Any) -> Any:
        """Asks until Airflow answers: its API server fails now and then while SQLite is busy."""
        try:
            for attempt in Retrying(retry=retry_if_exception(_may_pass), wait=wait_fixed(1), stop=TRIES, reraise=True):
                with attempt:
                    answer = self._asked(method, path, **given)
        except httpx.HTTPError as error:
            raise Transient(f"Airflow's API did not answer as expected: {error}", where=f"{method} {path}") from error
        return answer.json()

    def _asked(self, method: str, path: str, **given: Any) -> httpx.Response:
        answer = self._http.request(method, f"/api/v2{path}", **given)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._http.headers["Authorization"] = f"Bearer {self._token()}"
            answer = self._http.request(method, f"/api/v2{path}", **given)
        return answer.raise_for_status()

    def _token(self) -> str:
        answer = self._http.post("/auth/token", json=self._login)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)
