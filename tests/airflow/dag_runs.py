"""Runs DAGs of AIRFLOW_HOME with `dag.test()` in a process of its own, and tells what came of each task as JSON.

python dag_runs.py RESULT.json DAG_ID[=PARAMS]...    (params as JSON)
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.serialization.encoders import encode_timetable
    from airflow.utils.db import initdb

    home = os.environ["AIRFLOW_HOME"]
    result, *wanted = sys.argv[1:]
    initdb()
    bag = DagBag(f"{home}/dags")
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    told = {
        "import_errors": bag.import_errors,
        "dags": {name: sorted(dag.task_ids) for name, dag in bag.dags.items()},
        "schedules": {name: encode_timetable(dag.timetable) for name, dag in bag.dags.items()},
        "undocumented": [name for name, dag in bag.dags.items() if not dag.doc_md],
        "runs": {name: _run(bag.dags[name], params) for name, _, params in (word.partition("=") for word in wanted)},
        "plugins": _plugins(),
    }
    Path(result).write_text(json.dumps(told, default=str))


def _plugins():
    """What Airflow's own loader took from plugins/: its plugins, its errors, and the modules it executed there."""
    from airflow import plugins_manager

    loaded, errors = plugins_manager._get_plugins()
    folder = f"{os.environ['AIRFLOW_HOME']}/plugins/"
    files = [getattr(module, "__file__", "") or "" for name, module in sys.modules.items() if "." not in name]
    executed = sorted(file.removeprefix(folder) for file in files if file.startswith(folder))
    return {"loaded": [str(plugin.name) for plugin in loaded], "errors": errors, "executed": executed}


def _run(dag, params):
    run = dag.test(run_conf=json.loads(params or "{}"))
    instances = run.get_task_instances()
    return {
        "state": str(run.state),
        "tasks": {f"{i.task_id}[{i.map_index}]" if i.map_index >= 0 else i.task_id: str(i.state) for i in instances},
        "labels": sorted(str(i.rendered_map_index) for i in instances if i.map_index >= 0),
    }


if __name__ == "__main__":
    main()
