"""publish__<department>: releases what each department publishes."""

from crossdock.airflow.build import index, publish_dags

for dag in publish_dags(index()):
    globals()[dag.dag_id] = dag
