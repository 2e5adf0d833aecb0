"""quarantine__release and quarantine__replay: what a steward does with rows that failed."""

from crossdock.airflow.steward import release_dag, replay_dag

release, replay = release_dag(), replay_dag()
