"""Links from a task to the page of its verdict or delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

ROOT = "/crossdock"


class VerdictLink(BaseOperatorLink):
    """Leads from a validate task to its verdict."""

    name = "Verdict"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Returns the page's address, "" before the task has a result."""
        return _page("verdicts", "verdict", ti_key)


class DeliveryLink(BaseOperatorLink):
    """Leads from a push or publish task to its delivery."""

    name = "Delivery"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Returns the page's address, "" when nothing was delivered."""
        return _page("deliveries", "delivery", ti_key)


def _page(kind: str, field: str, ti_key: TaskInstanceKey) -> str:
    result = XCom.get_value(key="return_value", ti_key=ti_key)
    name = result.get(field) if isinstance(result, dict) else None
    return f"{ROOT}/{kind}/{name}" if name else ""
