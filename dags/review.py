"""review__<department>__<dataset>__<consumer>: asks the provider whether a requested agreement may be served."""

from crossdock.airflow.build import index
from crossdock.airflow.review import review_dags

for dag in review_dags(index()):
    globals()[dag.dag_id] = dag
