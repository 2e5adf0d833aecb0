"""audit: verifies, recounts and signs the ledger every night."""

from crossdock.airflow.build import audit_dag

dag = audit_dag()
