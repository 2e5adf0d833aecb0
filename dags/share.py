"""share__<consumer>: delivers what each consumer has an agreement for."""

from crossdock.airflow.build import index, share_dags

for dag in share_dags(index()):
    globals()[dag.dag_id] = dag
