"""A DAG of your own, from the operators that crossdock's DAGs are made of.

The enterprise register is taken in, and two departments are served as soon as it is accepted, whatever else is due.
A rejected extract fails `validate`, so nobody is served; an agreement that does not allow it skips its own task only.
"""

import pendulum
from airflow.sdk import DAG

from crossdock.airflow.operators import PullOperator, PushOperator, ValidateOperator

DATASET = "market_regulation/enterprises"

with DAG(
    "hand_written",
    schedule=None,  # "0 6 * * 1-5" would be every working day at six
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    tags=["crossdock", "example"],
    doc_md=__doc__,
) as dag:
    pulled = PullOperator(task_id="pull", dataset=DATASET)
    accepted = ValidateOperator(task_id="validate", extract=pulled.output)
    accepted >> [
        PushOperator(task_id="to_tax", agreement=f"{DATASET}/tax"),
        PushOperator(task_id="to_human_resources", agreement=f"{DATASET}/human_resources"),
    ]
