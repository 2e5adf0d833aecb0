"""review__<department>__<dataset>__<consumer>__<wording>: asks the provider whether a requested agreement may be served.

fulfil__...: waits until what was approved has been delivered.
"""

from crossdock.airflow.build import index
from crossdock.airflow.review import review_dags

for dag in review_dags(index()):
    globals()[dag.dag_id] = dag
