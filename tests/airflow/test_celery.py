"""A real Celery worker, with folders for a broker: what its parent loads before it forks, the processes of its pool have."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
PATIENCE = 120
CONFIG = """
[core]
executor = CeleryExecutor
load_examples = False
dags_folder = {home}/dags
plugins_folder = {plugins}
[celery]
broker_url = filesystem://
result_backend = db+sqlite:///{home}/results.db
[celery_broker_transport_options]
data_folder_in = {home}/queue
data_folder_out = {home}/queue
[database]
sql_alchemy_conn = sqlite:///{home}/airflow.db
"""


@pytest.fixture
def worker(tmp_path):
    for name in ("dags", "queue"):
        (tmp_path / name).mkdir()
    (tmp_path / "airflow.cfg").write_text(CONFIG.format(home=tmp_path, plugins=PLUGINS))
    said = tmp_path / "said.txt"
    own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    with said.open("w") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "airflow", "celery", "worker", "--skip-serve-logs", "--concurrency", "2"],
            env={**own, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(PLUGINS)},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while "ready." not in said.read_text():
            assert started.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.2)
        yield started
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def pool(worker):
    """The processes of a worker's pool, which are named so."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return [each for each in children if b"ForkPoolWorker" in Path(f"/proc/{each}/cmdline").read_bytes()]


def test_the_pool_has_what_tasks_need_from_its_parent(worker):
    forked = pool(worker)
    assert len(forked) == 2
    for each in forked:
        loaded = Path(f"/proc/{each}/maps").read_text()
        assert "libllvmlite" in loaded  # what Numba compiled was loaded by it
        assert "_duckdb" in loaded
