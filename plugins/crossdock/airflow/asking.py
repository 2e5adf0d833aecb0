"""An answer that needs a reason is taken with one only: without, the person is asked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

REASON = "reason"  # the field that the person fills in


class Approval(ApprovalOperator):
    """Asks a person to approve, and why."""

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Returns the answer; of an approval that has no reason, asks again."""
        ask_for_reason(self, context, event, chosen=self.APPROVE)
        return super().execute_complete(context, event)


def ask_for_reason(asking: HITLOperator, context: Context, event: dict[str, Any], *, chosen: str) -> None:
    """Puts the question anew, and waits, where an option that needs a reason was chosen without one.

    Airflow lets a form be sent that lacks what only one of its options needs. An error would leave nobody to ask.
    """
    if event.get("chosen_options") == [chosen] and not reason_of(event).strip():
        asking.log.warning("'%s' needs a reason, and none was given: the question is put again.", chosen)
        asking.execute(context)


def reason_of(answer: Mapping[str, Any]) -> str:
    """Returns the reason that came with an answer; "" without one: who answers by Airflow's API may leave the field out."""
    return str((answer.get("params_input") or {}).get(REASON, ""))
