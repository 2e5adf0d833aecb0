"""Departments as Airflow assets: an event says that a department has new accepted data."""

from __future__ import annotations

from airflow.sdk import Asset


def department_asset(department: str) -> Asset:
    """Returns a department's asset; DAGs that deliver its data are scheduled on it."""
    return Asset(name=department, uri=f"crossdock://{department}", group="department")
