"""receive__<department>: pulls and validates the datasets a department owes us."""

from crossdock.airflow.build import index, receive_dags

for dag in receive_dags(index()):
    globals()[dag.dag_id] = dag
