"""Homes in which tests start Airflow's servers, each on a port of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from provinces import ROOT


def copy_of(demo_home: Path, home: Path) -> Path:
    """Copies the home in which the demo ran, with Airflow's database; `provision` moves its connections along."""
    return Path(shutil.copytree(demo_home, home, symlinks=True))


def environment(home: Path, port: int) -> dict[str, str]:
    """What Airflow's processes of that home are started with."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "AIRFLOW"))}
    url = f"http://127.0.0.1:{port}"
    return kept | {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(ROOT / "plugins"),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
    }
