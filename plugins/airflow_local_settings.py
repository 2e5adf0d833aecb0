"""Read by Airflow at start: makes crossdock importable, and tasks quick that a scheduler or a Celery worker forks.

Airflow puts this folder on sys.path, so `import crossdock` works wherever the package itself is not installed.
"""

import sys

if "scheduler" in sys.argv or sys.argv[1:3] == ["celery", "worker"]:
    # Tasks are forked from these: what they have imported, tasks need not import again (4-5 s each for GX).
    # Imports only: threads that Arrow or DuckDB start before a fork would not exist after it.
    import crossdock.pipeline
    import crossdock.validation.engine
    import crossdock.validation.suite  # noqa: F401 - for the tasks that are forked
    from crossdock.rowhash import warm_up

    warm_up()
