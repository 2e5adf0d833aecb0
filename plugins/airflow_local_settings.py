"""Read by Airflow at start: makes crossdock importable, and the scheduler's forked tasks quick.

Airflow puts this folder on sys.path, so `import crossdock` works wherever the package itself is not installed.
"""

import sys

if any(word == "scheduler" for word in sys.argv):
    # Tasks are forked from the scheduler: what it has imported, they need not import again (4-5 s each for GX).
    # Imports only: threads that Arrow or DuckDB start before a fork would not exist after it.
    import crossdock.pipeline
    import crossdock.validation.engine
    import crossdock.validation.suite  # noqa: F401
    from crossdock.rowhash import warm_up

    warm_up()
