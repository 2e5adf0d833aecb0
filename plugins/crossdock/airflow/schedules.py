"""What started a run: by that, agreements that share one DAG keep their own times."""

from __future__ import annotations

from typing import Any

from crossdock.contracts.agreement import AT_CHANGES


def kind_of_run(context: Any) -> str:
    """Returns how a task's DAG run came about: manual, scheduled, asset_triggered or backfill."""
    return str(context["dag_run"].run_type).rpartition(".")[2].lower()


def is_asked(frequency: str, *, run: str) -> bool:
    """Returns whether a run of this kind asks for an agreement of this frequency to be served.

    What has times of its own never goes because of a change. Whether it is due is decided where it is handed over.
    """
    return frequency in AT_CHANGES or run != "asset_triggered"
