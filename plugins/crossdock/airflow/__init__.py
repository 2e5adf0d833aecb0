"""The four verbs as Airflow DAGs, operators and assets: the only package that imports Airflow."""
